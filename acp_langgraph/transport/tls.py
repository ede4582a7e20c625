"""How a server proves who it is, and how this side does: the TLS context of a configuration.

What of it cannot be used is a setting that is wrong. It is said before anything is sent, by the name
of the setting and of the file, and is not tried again, for it does not pass.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.errors import ApiValueError

# How OpenSSL says it -> what it means to whoever named the file.
_MEANINGS: Final = {
    "KEY_VALUES_MISMATCH": "the key belongs to another certificate",
    "PEM lib": "what should be there in PEM is missing or broken",
    "NO_CERTIFICATE_OR_CRL_FOUND": "there is no certificate in PEM in it",
    "no start line": "there is no certificate in PEM in it",
    "not enough data": "there is no certificate in it",
}


def tls_context(configuration: ApiClientConfiguration) -> ssl.SSLContext:
    """The TLS context that a configuration stands for.

    Raises:
        ApiValueError: If a certificate or a key cannot be used.
    """
    file, data = configuration.ssl_ca_cert, configuration.ca_cert_data
    if not configuration.verify_ssl:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif file:
        with _blaming("ssl_ca_cert", file):
            context = ssl.create_default_context(cafile=file)
        if data:
            with _blaming("ca_cert_data"):
                context.load_verify_locations(cadata=_text_of(data))
    elif data:
        with _blaming("ca_cert_data"):
            context = ssl.create_default_context(cadata=_text_of(data))
    else:
        context = _default_context()
    if configuration.client_cert:
        _load_own(context, configuration.client_cert)
    return context


def _default_context() -> ssl.SSLContext:
    """The context for who configured nothing, which the environment may know more about."""
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):  # as httpx reads them
        if place := os.environ.get(variable):
            with _blaming(f"the environment variable {variable}", place):
                if variable == "SSL_CERT_DIR":
                    os.scandir(place).close()  # OpenSSL would take a missing one for an empty one
                return httpx.create_ssl_context()
    return httpx.create_ssl_context()


def _load_own(context: ssl.SSLContext, certificate: str | tuple[str, str]) -> None:
    """Load what this side proves with who it is."""
    file, key = (certificate, None) if isinstance(certificate, str) else certificate
    named = (file,) if key is None else (file, key)
    for each in named:
        with _blaming("client_cert", each):
            Path(each).open("rb").close()  # OpenSSL does not say which of the two is missing
    with _blaming("client_cert", *named):
        context.load_cert_chain(file, key, password=_no_password)


def _no_password() -> str:
    # OpenSSL would ask for it at the terminal, and wait.
    raise ValueError("the key is encrypted; give one that is not")


def _text_of(data: str | bytes) -> str | bytes:
    """Certificates as `ssl` tells PEM from DER: by their type."""
    return data.decode() if isinstance(data, bytes) and b"-----BEGIN" in data else data


@contextmanager
def _blaming(setting: str, *files: str) -> Iterator[None]:
    """Tell which setting it is that does not work, and which files it names."""
    try:
        yield
    except (OSError, TypeError, ValueError) as error:
        named = f", {' and '.join(files)}," if files else ""
        raise ApiValueError(f"{setting}{named} cannot be used: {_why(error)}") from None


def _why(error: Exception) -> str:
    said = str(error)
    for words, meaning in _MEANINGS.items():
        if words in said:
            return meaning
    return getattr(error, "strerror", None) or said

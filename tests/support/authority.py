"""A certificate authority for tests: certificates of any time, and for any host."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from support.peers import certificate

__all__ = ["Authority"]

_SETTINGS = """
[ca]
default_ca = here
[here]
dir = .
database = index
serial = serial
new_certs_dir = .
private_key = authority.pem
certificate = authority.pem
default_md = sha256
policy = names
copy_extensions = copy
x509_extensions = leaf
unique_subject = no
[names]
commonName = supplied
[leaf]
authorityKeyIdentifier = keyid
basicConstraints = CA:FALSE
"""


class Authority:
    """Signs certificates.

    Attributes:
        file: Its own certificate and key.

    Args:
        folder: Where to keep them.
    """

    def __init__(self, folder: Path) -> None:
        self.file = certificate(folder, "authority")
        self._folder = folder
        (folder / "settings").write_text(_SETTINGS)
        (folder / "index").touch()
        (folder / "serial").write_text("01")

    def certificate(
        self, name: str, *, host: str = "IP:127.0.0.1", begins: int = 2020, ends: int = 2090
    ) -> Path:
        """A key and a certificate in one file, good from the beginning of a year to that of another."""
        key, request, signed = (self._folder / f"{name}.{each}" for each in ("key", "csr", "crt"))
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
        subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={host}"]
        self._openssl("req", *kind, *subject, "-keyout", key, "-out", request)
        dates = ["-startdate", f"{begins}0101000000Z", "-enddate", f"{ends}0101000000Z"]
        how = ["-batch", "-notext", "-config", "settings"]
        self._openssl("ca", *how, *dates, "-in", request, "-out", signed)
        file = self._folder / f"{name}.pem"
        file.write_bytes(key.read_bytes() + signed.read_bytes())
        return file

    def _openssl(self, *arguments: Any) -> None:
        subprocess.run(
            ["openssl", *arguments],  # noqa: S607 - wherever it is
            cwd=self._folder,
            check=True,
            capture_output=True,
        )

"""What a `$ref` leads to, within the schema that it stands in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

__all__ = ["target"]


def target(root: Any, reference: Any, otherwise: Any) -> Any:
    """What a reference leads to.

    Only pointers into the schema itself are followed (RFC 6901, as a URI's fragment): nobody who reads
    a schema should have to fetch more.

    Args:
        root: The whole schema.
        reference: The value of `$ref`.
        otherwise: Given where the reference leads nowhere, or elsewhere.
    """
    if reference == "#":
        return root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return otherwise
    here = root
    for part in reference[2:].split("/"):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(here, Mapping) and key in here:
            here = here[key]
        elif isinstance(here, list) and key.isdecimal() and int(key) < len(here):
            here = here[int(key)]
        else:
            return otherwise
    return here

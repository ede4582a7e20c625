"""Names of a package that are imported when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazily(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """What a package is to have for its `__getattr__` and `__dir__`.

    Args:
        package: Its name.
        homes: The names that it exports, by the module below it that each is in.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def find(name: str) -> Any:
        module = sys.modules[package]
        if name not in home_of:
            # With `obj` Python tells what may have been meant.
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}", name=name, obj=module
            )
        found = getattr(import_module(f"{package}.{home_of[name]}"), name)
        setattr(module, name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of})

    return find, names

"""Writes `llms.txt`, a list of the pages for programs that read, and each page's Markdown beside it.

A hook of MkDocs: what is in the navigation is listed, in its order, with what it says first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_PAGES: list[Any] = []


def on_nav(nav: Any, **_: Any) -> None:
    """Keep the pages, in their order; their text is read later."""
    _PAGES[:] = nav.pages


def on_post_build(config: Any, **_: Any) -> None:
    """Write the list, and the pages."""
    site, section = Path(config.site_dir), ""
    lines = [f"# {config.site_name}", "", f"> {config.site_description}", ""]
    for page in _PAGES:
        if page.parent and page.parent.title != section:
            section = page.parent.title
            lines += ["", f"## {section}", ""]
        text = re.sub(r'^--8<-- "(.*)"$', _included, page.markdown, flags=re.MULTILINE)
        (site / page.file.src_uri).write_text(text, encoding="utf-8")
        said = _first_sentence(text)
        lines.append(f"- [{page.title}]({page.file.src_uri})" + (f": {said}" if said else ""))
    (site / "llms.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")


def _included(line: re.Match[str]) -> str:
    return Path(line[1]).read_text(encoding="utf-8")


def _first_sentence(markdown: str) -> str:
    """What a page says first, below its heading."""
    prose = re.sub(r"^```.*?^```$|^:::.*$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    found = re.search(r"\n\n(?=[\w*`\"])(.+?)(?:\n\n|$)", prose, re.DOTALL)
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(found[1].split()) if found else "")
    return re.split(r"(?<=[.!?])\s", plain)[0]

"""The site's entrance: the sections in the navigation of the root page, and ``index.html``.

The root page is read on a repository's host too, which would show a directive as text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

_SECTIONS = """

```{toctree}
:hidden:

Quickstart <quickstart>
site/guides
site/reference
site/design
site/measurements
site/project
```
"""

_ENTRANCE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="refresh" content="0; url={page}"><link rel="canonical" href="{page}"></head>
<body><a href="{page}">{title}</a></body></html>
"""


def _add_sections(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == app.config.root_doc:
        source[0] += _SECTIONS


def _write_entrance(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        page = app.builder.get_target_uri(app.config.root_doc)
        text = _ENTRANCE.format(page=page, title=app.config.html_title)
        (Path(app.outdir) / "index.html").write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", _add_sections)
    app.connect("build-finished", _write_entrance)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

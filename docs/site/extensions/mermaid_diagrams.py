"""Diagrams in Mermaid, drawn by a script of the site itself, also from a directory without a server.

sphinxcontrib-mermaid loads the library as a module, which browsers refuse from ``file://``.
"""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_LIBRARY = "mermaid.min.js"


def _draw(app: Sphinx, doctree: nodes.document) -> None:
    for block in list(doctree.findall(nodes.literal_block)):
        if block.get("language") == "mermaid":
            text = f'<pre class="mermaid">{escape(block.astext())}</pre>'
            block.replace_self(nodes.raw("", text, format="html"))


def _add_script(
    app: Sphinx,
    _page: str,
    _template: str,
    _context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    if doctree and any('class="mermaid"' in raw.astext() for raw in doctree.findall(nodes.raw)):
        app.add_js_file(_LIBRARY)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("doctree-read", _draw)
    app.connect("html-page-context", _add_script)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

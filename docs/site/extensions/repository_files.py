"""Links to files and directories of the repository that are no pages.

Each gets a page with the file's text, or with a list of the directory's files.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging

_log = logging.getLogger(__name__)

#: Larger files, and those that are no text, are downloads.
_MOST_BYTES = 200_000


@cache
def _repository(root: Path) -> tuple[str, ...]:
    """Return the files of the repository, without ignored ones, which may hold passwords."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(
            command, cwd=root, check=True, capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or error
        raise ExtensionError(f"git cannot list the repository's files: {detail}") from error
    return tuple(sorted(name for name in done.stdout.split("\0") if (root / name).is_file()))


def _shown(path: Path) -> bool:
    if path.is_dir():
        return True
    content = path.read_bytes()[: _MOST_BYTES + 1]
    return len(content) <= _MOST_BYTES and b"\0" not in content


def _link(app: Sphinx, doctree: nodes.document) -> None:
    """Turn links to files into links to their pages; runs before Sphinx collects downloads."""
    env, docname = app.env, app.env.docname
    links: list[nodes.Element] = [*doctree.findall(addnodes.download_reference)]
    links += [each for each in doctree.findall(addnodes.pending_xref) if each["reftype"] == "myst"]
    for link in links:
        if "://" in link["reftarget"]:
            continue
        name, path = env.relfn2path(link["reftarget"].partition("#")[0], docname)
        file = Path(path)
        is_page = isinstance(link, addnodes.pending_xref) and not file.is_dir()
        if is_page or not file.exists() or not _shown(file):
            continue
        root = Path(app.srcdir).resolve()
        name = file.resolve().relative_to(root).as_posix()
        if not any(each == name or each.startswith(f"{name}/") for each in _repository(root)):
            _log.warning("%s is not part of the repository", name, location=link)
            continue
        _files(env).setdefault(docname, set()).add(name)
        uri = app.builder.get_relative_uri(docname, f"_files/{name}")
        link.replace_self(nodes.reference("", "", *link.children, internal=True, refuri=uri))


def _files(env: BuildEnvironment) -> dict[str, set[str]]:
    """Return the files that each page links to."""
    if not hasattr(env, "repository_files"):
        env.repository_files = {}
    return env.repository_files


def _purge(_: Sphinx, env: BuildEnvironment, docname: str) -> None:
    _files(env).pop(docname, None)


def _merge(_: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment) -> None:
    _files(env).update({name: _files(other)[name] for name in docnames if name in _files(other)})


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    names = set().union(*_files(app.env).values())
    root = Path(app.srcdir).resolve()
    # The files of a listed directory have pages too.
    names |= {each for name in names if (root / name).is_dir() for each in _listed(root, name)}
    for name in sorted(names):
        page = f"_files/{name}"
        is_directory = (root / name).is_dir()
        body = _directory(app, root, name) if is_directory else _text(app, root / name)
        yield page, {"title": name, "body": f"<h1>{name}</h1>{body}"}, "page.html"


def _listed(root: Path, directory: str) -> list[str]:
    return [
        name
        for name in _repository(root)
        if name.startswith(f"{directory}/") and _shown(root / name)
    ]


def _directory(app: Sphinx, root: Path, directory: str) -> str:
    items = ""
    for name in _listed(root, directory):
        uri = app.builder.get_relative_uri(f"_files/{directory}", f"_files/{name}")
        items += f'<li><a href="{uri}">{name.removeprefix(directory + "/")}</a></li>'
    return f"<ul>{items}</ul>"


def _text(app: Sphinx, file: Path) -> str:
    try:
        language = get_lexer_for_filename(file.name).aliases[0]
    except ClassNotFound:
        language = "text"
    text = file.read_text("utf-8", errors="replace")
    block: str = app.builder.highlighter.highlight_block(text, language, force=True)
    return block


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("doctree-read", _link, priority=100)
    app.connect("env-purge-doc", _purge)
    app.connect("env-merge-info", _merge)
    app.connect("html-collect-pages", _pages)
    return {
        "version": "1",
        "env_version": 1,
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }

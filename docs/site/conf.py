"""Configuration of the documentation site (``make docs``).

The source directory is the root of the repository: pages link to each other, to the README of a directory
and to files as they do on a repository's host, and all these links work on the site.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent / "extensions"))

_project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
_pythons = [each.rpartition(" ")[2] for each in _project["classifiers"] if "Python :: 3." in each]
_requirement = next(
    each for each in _project["dependencies"] if each.startswith("apache-airflow>=")
)
_first, _end = re.fullmatch(r"apache-airflow>=([\d.]+),<([\d.]+)", _requirement).groups()

project = _project["name"]
author = f"the authors of {project}"
release = version = next(
    line.split('"')[1]
    for line in (ROOT / "airflow_deepseek_ocr" / "__init__.py").read_text("utf-8").splitlines()
    if line.startswith("__version__")
)

extensions = [
    "myst_parser",
    "autoapi.extension",
    "sphinx.ext.githubpages",
    "navigation",
    "repository_files",
    "mermaid_diagrams",
]
root_doc = "docs/README"
include_patterns = [
    "docs/**",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "models/*/README.md",
    "packages/*/README.md",
    "tests/corpus/*/README.md",
    "training/README.md",
]

# Anchors of headings down to the fourth level are those of a repository's host.
myst_heading_anchors = 4
# Outputs of the model and commands with their output have no language.
highlight_language = "none"
suppress_warnings = [
    # CHANGELOG.md and generated pages skip levels of headings.
    "myst.header",
    # Imports of the packages that are not read.
    "autoapi.python_import_resolution",
]

# Read, not imported: the environment of the site has neither Airflow nor torch.
autoapi_dirs = [str(ROOT / "airflow_deepseek_ocr")]
_public = ("connection", "decorators", "hooks", "operators", "sensors", "store", "triggers")
autoapi_ignore = [
    f"*/airflow_deepseek_ocr/{each.name}/*"
    for each in (ROOT / "airflow_deepseek_ocr").iterdir()
    if each.is_dir() and each.name not in _public
]
autoapi_generate_api_docs = False
autoapi_add_toctree_entry = False
autoapi_options = ["members", "show-inheritance"]
autoapi_member_order = "bysource"
autoapi_python_class_content = "class"

# One argument a line where a signature is longer, and names without their class in the page's contents.
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = f"{project} {release}"
html_static_path = ["static", str(ROOT / ".docs" / "static")]
templates_path = ["templates"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_favicon = html_logo = "../integration-logos/deepseek-ocr.svg"
html_show_sourcelink = False
html_copy_source = False
html_context = {
    "default_mode": "auto",
    "versions": f"Apache Airflow from {_first} and below {_end}, and Python {_pythons[0]} to {_pythons[-1]}",
}
html_theme_options = {
    "logo": {"text": html_title},
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "show_nav_level": 2,
    "footer_start": ["versions"],
    "footer_end": [],
}


def setup(app: Sphinx) -> None:
    """Register the languages of blocks that only this documentation has."""
    app.add_lexer("model-output", TextLexer)

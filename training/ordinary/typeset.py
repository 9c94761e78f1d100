"""Ordinary documents as PDF files, each by the program that it names."""

from __future__ import annotations

import hashlib
import html
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from training.ordinary.documents import PACKAGES, Document, Part

_COMMANDS = {"writer": "soffice", "latex": "pdflatex", "chromium": "chromium"}
#: Seconds for one call of a program: LibreOffice takes all of its documents at once.
_PATIENCE_S = 300
#: Margins in points, and their largest share of the paper's shorter side.
_MARGIN_PT, _MOST_MARGIN = 64, 0.11
_FACTORS = {"title": 1.6, "heading": 1.15}


def typeset(documents: Iterable[Document], out: Path) -> dict[int, Path]:
    """Typeset documents.

    :param documents: the documents.
    :param out: directory for ``NAME-DIGEST.pdf``; it is created. A file of the same source is kept.
    :return: the PDF files by the documents' numbers.
    :raises RuntimeError: if a program is missing, fails, or a document does not fit on its page.
    """
    out.mkdir(parents=True, exist_ok=True)
    documents = list(documents)
    paths = {each.number: out / f"{each.name}-{_digest(each)}.pdf" for each in documents}
    missing = [each for each in documents if not paths[each.number].exists()]
    with tempfile.TemporaryDirectory() as work:
        for program, command in _COMMANDS.items():
            own = [each for each in missing if each.program == program]
            if not own:
                continue
            if shutil.which(command) is None:
                raise RuntimeError(
                    f"{command} is missing. Install it with: "
                    f"apt-get install --no-install-recommends {' '.join(PACKAGES)}"
                )
            _PROGRAMS[program](own, Path(work))
            for each in own:
                shutil.move(Path(work) / f"{each.name}.pdf", paths[each.number])
    return paths


def _digest(document: Document) -> str:
    return hashlib.sha256(_SOURCES[document.program](document).encode()).hexdigest()[:8]


def _margin(document: Document) -> float:
    return min(_MARGIN_PT, _MOST_MARGIN * min(document.size))


def _run(arguments: list[str], work: Path) -> None:
    done = subprocess.run(
        arguments, cwd=work, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed: {(done.stdout + done.stderr)[-600:]}")


def _by_writer(documents: list[Document], work: Path) -> None:
    for each in documents:
        (work / f"{each.name}.fodt").write_text(as_flat_odt(each), encoding="utf-8")
    profile = f"-env:UserInstallation=file://{work}/profile"
    files = [f"{each.name}.fodt" for each in documents]
    _run(["soffice", profile, "--headless", "--convert-to", "pdf", *files], work)


def _by_latex(documents: list[Document], work: Path) -> None:
    for each in documents:
        (work / f"{each.name}.tex").write_text(as_latex(each), encoding="utf-8")
        _run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{each.name}.tex"], work)


def _by_chromium(documents: list[Document], work: Path) -> None:
    for each in documents:
        page = work / f"{each.name}.html"
        page.write_text(as_html(each), encoding="utf-8")
        out = f"--print-to-pdf={work / (each.name + '.pdf')}"
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
        _run(
            ["chromium", *options, f"--user-data-dir={work / 'chromium'}", out, page.as_uri()], work
        )


_PROGRAMS = {"writer": _by_writer, "latex": _by_latex, "chromium": _by_chromium}


def as_html(document: Document) -> str:
    """A document as a web page for printing."""
    width, height = document.size
    align = "justify" if document.justified else "left"
    style = (
        f"@page {{ size: {width}pt {height}pt; margin: {_margin(document)}pt }}"
        f" body {{ font: {document.points}pt/1.3 '{document.family}'; margin: 0 }}"
        f" main {{ columns: {document.columns}; column-gap: 18pt }}"
        f" p {{ margin: 0 0 .8em; text-align: {align}; hyphens: none }} .right {{ text-align: right }}"
        f" h1 {{ font-size: 1.6em; margin: 0 0 .6em }} h2 {{ font-size: 1.15em; margin: .4em 0 }}"
        " table { border-collapse: collapse; width: 100%; margin: 0 0 .8em }"
        " td { padding: .2em .4em; text-align: right; border-bottom: .5pt solid #888 }"
        " td:first-child { text-align: left }"
    )
    body = "\n".join(map(_html_part, document.parts))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><style>{style}</style>'
        f"<body><main>{body}</main></body></html>"
    )


def _html_part(part: Part) -> str:
    if part.rows:
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in part.rows)
        return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"
    tag = {"title": "h1", "heading": "h2"}.get(part.kind, "p")
    lines = "<br>".join(map(html.escape, part.lines))
    return f'<{tag} class="{part.align}">{lines}</{tag}>'


_TEX = {
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "£": r"\pounds{}",
    "–": "--",
    "*": r"{*}",
    "'": r"\textquotesingle{}",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def as_latex(document: Document) -> str:
    """A document as LaTeX's source."""
    width, height = document.size
    pitch = round(document.points * 1.22, 1)
    return "\n".join(
        (
            r"\documentclass{article}",
            r"\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{textcomp}",
            rf"\usepackage[paperwidth={width}bp,paperheight={height}bp,margin={_margin(document)}bp]{{geometry}}",
            rf"\usepackage{{{document.family}}}\usepackage{{booktabs}}\usepackage{{multicol}}",
            r"\pagestyle{empty}\setlength{\parindent}{0pt}",
            r"\hyphenpenalty=10000\exhyphenpenalty=10000\emergencystretch=3em",
            r"\begin{document}",
            rf"\fontsize{{{document.points}}}{{{pitch}}}\selectfont\setlength{{\parskip}}{{.7\baselineskip}}",
            "" if document.justified else r"\raggedright",
            rf"\begin{{multicols}}{{{document.columns}}}" if document.columns > 1 else "",
            *(_latex_part(part, document.points) for part in document.parts),
            r"\end{multicols}" if document.columns > 1 else "",
            r"\end{document}",
        )
    )


def _latex_part(part: Part, points: int) -> str:
    if part.rows:
        columns = "l" + "r" * (len(part.rows[0]) - 1)
        rows = [" & ".join(map(_tex, row)) + r" \\" for row in part.rows]
        return "\n".join(
            (
                rf"\begin{{tabular*}}{{\linewidth}}{{@{{\extracolsep{{\fill}}}}{columns}}}",
                r"\toprule",
                rows[0],
                r"\midrule",
                *rows[1:],
                r"\bottomrule\end{tabular*}",
                "",
            )
        )
    body = r"\\".join(f"{{}}{_tex(line)}" for line in part.lines)
    if part.kind in _FACTORS:
        size = points * _FACTORS[part.kind]
        return rf"{{\fontsize{{{size}}}{{{size * 1.2}}}\bfseries {body}\par}}" + "\n"
    return (rf"{{\raggedleft {body}\par}}" if part.align == "right" else body) + "\n"


def as_flat_odt(document: Document) -> str:
    """A document as Writer's, in one XML file."""
    width, height = document.size
    face = html.escape(document.family)
    align = "justify" if document.justified else "start"
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{path}:1.0"'
        for name, path in (
            *(("office", "office"), ("style", "style"), ("text", "text"), ("table", "table")),
            *(("fo", "xsl-fo-compatible"), ("svg", "svg-compatible")),
        )
    )
    text = 'style:font-name="F" fo:language="en" fo:country="GB" fo:hyphenate="false"'

    def paragraph(name: str, factor: float, weight: str, side: str) -> str:
        return (
            f'<style:style style:name="{name}" style:family="paragraph" style:master-page-name="">'
            f'<style:paragraph-properties fo:text-align="{side}" fo:margin-bottom="{document.points * 0.6}pt"'
            f' fo:margin-top="0pt"/><style:text-properties {text} fo:font-weight="{weight}"'
            f' fo:font-size="{document.points * factor}pt"/></style:style>'
        )

    body = "".join(_odt_part(part) for part in document.parts)
    if document.columns > 1:
        body = f'<text:section text:style-name="S" text:name="S">{body}</text:section>'
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document {spaces} office:version="1.2"'
        ' office:mimetype="application/vnd.oasis.opendocument.text">'
        f'<office:font-face-decls><style:font-face style:name="F" svg:font-family="\'{face}\'"/>'
        "</office:font-face-decls><office:automatic-styles>"
        + paragraph("B", 1, "normal", align)
        + paragraph("L", 1, "normal", "start")
        + paragraph("R", 1, "normal", "end")
        + paragraph("T", _FACTORS["title"], "bold", "start")
        + paragraph("H", _FACTORS["heading"], "bold", "start")
        + '<style:style style:name="S" style:family="section"><style:section-properties>'
        f'<style:columns fo:column-count="{document.columns}" fo:column-gap="18pt"/>'
        "</style:section-properties></style:style>"
        '<style:style style:name="C" style:family="table-cell"><style:table-cell-properties'
        ' fo:border="0.5pt solid #444444" fo:padding="2pt"/></style:style>'
        f'<style:page-layout style:name="P"><style:page-layout-properties fo:page-width="{width}pt"'
        f' fo:page-height="{height}pt" fo:margin="{_margin(document)}pt"/></style:page-layout>'
        "</office:automatic-styles><office:master-styles>"
        '<style:master-page style:name="Standard" style:page-layout-name="P"/></office:master-styles>'
        f"<office:body><office:text>{body}</office:text></office:body></office:document>"
    )


def _odt_part(part: Part) -> str:
    if part.rows:
        columns = f'<table:table-column table:number-columns-repeated="{len(part.rows[0])}"/>'
        rows = "".join(
            "<table:table-row>"
            + "".join(
                '<table:table-cell table:style-name="C" office:value-type="string">'
                f'<text:p text:style-name="{"R" if place else "L"}">{html.escape(cell)}</text:p>'
                "</table:table-cell>"
                for place, cell in enumerate(row)
            )
            + "</table:table-row>"
            for row in part.rows
        )
        return f"<table:table>{columns}{rows}</table:table>" + '<text:p text:style-name="L"/>'
    style = {"title": "T", "heading": "H", "paragraph": "B"}.get(part.kind, "L")
    if part.align == "right":
        style = "R"
    lines = "<text:line-break/>".join(map(html.escape, part.lines))
    return f'<text:p text:style-name="{style}">{lines}</text:p>'


_SOURCES = {"writer": as_flat_odt, "latex": as_latex, "chromium": as_html}

"""The words of docs, docstrings, comments and messages, as CONTRIBUTING.md asks for them.

A word list finds what a reader trips over; it does not replace reading.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.house.paths import python_files, relative
from tests.support.house.rules import markdown_files

#: Phrases that hide the subject or the field's term, and what to write.
PHRASES = {
    r"what (is|are|was|were)\b": "name the thing",
    r"(of|on) (its|their|his|her|ones?) own": "separate, dedicated, own",
    r"by (itself|themselves)": "automatically, alone",
    r"(go|goes|went|going|gone) on\b": "continue",
    r"(no|some|any)body('s)?|whoever": "name the process or person",
    r"(is|are|was|were|be|been) told": "receives, reports",
    r"(stands?|stood|standing)\b(?!-)": "is",
    r"(looks?|looked|looking)\b(?!-|\s+(up|like)\b)": "check, poll, inspect, appear",
    r"(hand|hands|handed|handing) on\b": "emit, pass",
    r"made again|(begins?|began|begun|beginning) anew": "reproduced, restarted",
}

#: Words that were ours, and the field's term.
VOCABULARY = {
    r"recipes?": "processing configuration",
    r"keepers?": "supervisor",
    r"judge[sd]?|judging|verdicts?": "quality check, quality report",
    r"ladders?": "retry steps",
    r"rereads?|reread": "retry_with",
    r"readings": "outputs, page outputs",
    r"(a|an|the|this|that|its|one|each|every|no|first|another|best) reading(?! order)": "output",
    r"settled": "final",
    r"(take|takes|taken|taking|took) over|takeover": "reclaim",
    r"invented": "hallucinated",
    r"spoilt": "corrupted",
    r"inks?|inked|strokes": "edge density",
    r"scrap": "null block",
    r"surroundings": "infrastructure",
    r"dots (an|per) inch": "dpi",
    r"number formats?": "dtype",
    r"folders?": "directory, prefix",
    r"zoos?|beasts?|animals?": "malformed-document corpus",
    r"calm": "recovery period",
    r"guard": "n-gram blocking, no_repeat_ngram",
    r"diary|crew": "event log, workers",
    r"(written|writes?) down": "registered",
    r"quarters|strips": "slices",
}

#: Words that no name of the package or its tests contains, in snake case or camel case.
NAME_WORDS = re.compile(
    r"recipes?|keeper|judge[sd]?|verdicts?|ladder|reread|guards?|ink|strokes|scrap|zoo|animals?|beasts?|crew|diary"
    r"|folders?|desk|drawer|settled|readings?|told|spoilt|packed|anew|calm|strips|halves|quarters",
    re.IGNORECASE,
)

#: Words with another, proper meaning in these files.
PROPER = {
    "inks?|inked|strokes": ("training/",),
    "(take|takes|taken|taking|took) over|takeover": ("training/",),
    "animals?": ("training/",),
}

_INLINE_CODE = re.compile(r"`[^`\n]*`")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
#: Quoted model output, which keeps to no rules.
_MODEL_OUTPUT = re.compile(r"^(`{3,})model-output\n.*?^\1$", re.MULTILINE | re.DOTALL)
_URL = re.compile(r"https?://\S+|\]\([^)]*\)")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A word that the rules refuse, and where it is."""

    file: str
    line: int
    words: str
    instead: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.words!r}, write: {self.instead}"


def findings() -> list[Finding]:
    """Return every refused word of the pages for people and of the package's texts."""
    found = []
    for page in markdown_files():
        found += in_markdown(page.read_text("utf-8"), relative(page))
    for module in python_files("airflow_deepseek_ocr", "demo"):
        # Migrations name the columns that they rename.
        if "versions" not in module.parts:
            found += in_python(module.read_text("utf-8"), relative(module))
    return found


def in_markdown(text: str, file: str) -> list[Finding]:
    """Return the refused words of a page; code is held to the vocabulary alone, model output to nothing.

    CHANGELOG.md and CONTRIBUTING.md may quote old words as code.
    """
    text = _URL.sub(_blank, _MODEL_OUTPUT.sub(_blank, text))
    if file == "CHANGELOG.md":
        text = re.split(r"^## \[\d", text, maxsplit=1, flags=re.MULTILINE)[0]
    prose = _INLINE_CODE.sub(_blank, _FENCE.sub(_blank, text))
    quotes = file in ("CHANGELOG.md", "CONTRIBUTING.md")
    return [*_find(prose, PHRASES, file), *_find(prose if quotes else text, VOCABULARY, file)]


def in_python(source: str, file: str) -> list[Finding]:
    """Return the refused words of a module's docstrings, comments and messages."""
    found = []
    for line, text in texts(source):
        prose = _INLINE_CODE.sub(_blank, _URL.sub(_blank, text.replace("``", "`")))
        for words in (PHRASES, VOCABULARY):
            found += _find(prose, words, file, first_line=line)
    return found


def names() -> list[str]:
    """Return names of the package and its tests that contain an old word."""
    return [
        f"{relative(module)}: {name}"
        for module in python_files("airflow_deepseek_ocr", "tests", "benchmarks", "demo")
        if not {"versions", "older_tables.py", "test_migrations.py"} & set(module.parts)
        for name in sorted(_defined(ast.parse(module.read_text("utf-8"))) | {module.stem})
        if any(NAME_WORDS.fullmatch(word) for word in _words(name))
    ]


def _words(name: str) -> list[str]:
    # "Reading" is a verb in the sentences that name tests.
    sentence = re.sub(r"reading(?!s)", "", name) if name.startswith("test_") else name
    return re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", sentence)


def _defined(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return found


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of the comments, and of the strings that hold more than one word."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def _find(text: str, words: dict[str, str], file: str, *, first_line: int = 1) -> Iterator[Finding]:
    for pattern, instead in words.items():
        if any(file.startswith(start) for start in PROPER.get(pattern, ())):
            continue
        spaced = pattern.replace(" ", r"\s+")
        for match in re.finditer(rf"\b(?:{spaced})\b", text, re.IGNORECASE):
            line = first_line + text.count("\n", 0, match.start())
            yield Finding(file=file, line=line, words=" ".join(match[0].split()), instead=instead)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])

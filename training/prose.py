"""Words and sentences out of Debian's packages: the same each time for the same package versions."""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

from training.charset import CHARSET
from training.packages import installed

_DICT = Path("/usr/share/dict")
_ENGLISH = "american-english"
_LANGUAGES = (
    "bokmaal",
    "catalan",
    "danish",
    "dutch",
    "french",
    "italian",
    "ngerman",
    "portuguese",
    "spanish",
    "swedish",
)
_WORDS = 30_000
_ACCENTED_PER_LANGUAGE = 1_100

_NOVELS = Path("/usr/lib/R/site-library/janeaustenr/data/Rdata.rdb")
_HANDBOOK = Path("/usr/share/doc/debian-handbook/html/en-US")
_HISTORY = Path("/usr/share/doc/debian-history/docs/project-history.en.txt.gz")
_JARGON = Path("/usr/share/dictd/jargon.dict.dz")
_LICENSES = Path("/usr/share/common-licenses")

#: At most so many sentences of the novels, or they would be nearly everything.
_NOVEL_SENTENCES = 8_000


def stable_hash(text: str) -> int:
    """A number that is the same for the same text everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _pick(texts: Iterable[str], count: int) -> list[str]:
    """A random choice that is the same everywhere, in alphabetical order."""
    return sorted(sorted(set(texts), key=lambda text: (stable_hash(text), text))[:count])


def _lines(language: str) -> list[str]:
    data = installed(_DICT / language).read_bytes()
    try:
        return data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        # Some of Debian's word lists have not left the last century.
        return data.decode("iso-8859-1").splitlines()


def english_words() -> list[str]:
    """English words, in lower case or with a capital.

    :raises RuntimeError: if the package is missing.
    """
    words = filter(re.compile("[A-Za-z][a-z]+").fullmatch, _lines(_ENGLISH))
    return _pick((word for word in words if not _COARSE.search(word)), _WORDS)


def accented_words() -> list[str]:
    """Words of other languages, each with a letter outside ASCII.

    :raises RuntimeError: if one of the packages is missing.
    """
    letters = "".join(c for c in CHARSET if c.isalpha() and not c.isascii())
    # Longer ones are compounds that no page of ordinary width sets well.
    word = re.compile(rf"(?=.*[{letters}])[A-Za-z{letters}][a-z{letters.lower()}]{{1,17}}")
    words: set[str] = set()
    for language in _LANGUAGES:
        words.update(_pick(filter(word.fullmatch, _lines(language)), _ACCENTED_PER_LANGUAGE))
    return sorted(words)


def sentences() -> list[str]:
    """English sentences of 20 to 160 characters, without markup.

    :raises RuntimeError: if one of the packages is missing.
    """
    novels = _pick(_split(_novel_paragraphs()), _NOVEL_SENTENCES)
    rest = (*_handbook_paragraphs(), *_text_paragraphs(), *_jargon_paragraphs())
    return sorted({*novels, *_split(rest)})


def _novel_paragraphs() -> Iterator[str]:
    """Jane Austen's novels, as lines of text in R's own data files."""
    data = installed(_NOVELS).read_bytes()
    start = 0
    while start < len(data):
        # Four bytes of length, then a zlib stream, again and again.
        stream = zlib.decompressobj()
        novel = stream.decompress(data[start + 4 :])
        start = len(data) - len(stream.unused_data)
        lines = []
        # A string is its flags (type 9, ASCII or not), its length and its bytes.
        for found in re.finditer(rb"\x00[\x04\x00]\x00\x09(\x00\x00..)", novel, re.DOTALL):
            (length,) = struct.unpack(">I", found[1])
            lines.append(novel[found.end() : found.end() + length].decode("utf-8", "replace"))
        yield from _blocks(lines)


def _text_paragraphs() -> Iterator[str]:
    """The history of the Debian project, and some licences: prose that lawyers write."""
    yield from _blocks(gzip.decompress(installed(_HISTORY).read_bytes()).decode().splitlines())
    for name in ("Apache-2.0", "Artistic", "CC0-1.0", "GPL-3", "LGPL-2.1", "MPL-2.0"):
        yield from _blocks(installed(_LICENSES / name).read_text().splitlines())


def _jargon_paragraphs() -> Iterator[str]:
    """The Jargon File without head words, pronunciations and cross references."""
    text = gzip.decompress(installed(_JARGON).read_bytes()).decode("utf-8", "replace")
    body = [line if line.startswith("    ") else "" for line in text.splitlines()]
    for block in _blocks(body):
        yield re.sub(r"\[[^\]]*\]|^\d+\. ", "", block).replace("{", "").replace("}", "")


def _handbook_paragraphs() -> Iterator[str]:
    pages = sorted(installed(_HANDBOOK).glob("*.html"))
    for page in pages:
        parser = _Paragraphs()
        parser.feed(page.read_text(encoding="utf-8"))
        yield from parser.found


class _Paragraphs(HTMLParser):
    """Collects what stands in ``<div class="para">``; listings and other blocks end one.

    :ivar found: the paragraphs; code in one is a NUL, which no sentence may contain.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("div", "pre", "ul", "ol", "table"):
            self._inside = tag == "div" and ("class", "para") in attrs
            if self._inside:
                self.found.append("")
        elif tag == "code":
            self._code += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "div":
            self._inside = False
        elif tag == "code":
            self._code -= 1

    def handle_data(self, data: str) -> None:
        if self._inside:
            # Names of commands read like words; the rest of code does not.
            plain = not self._code or re.fullmatch("[A-Za-z][a-z]+(-[a-z]+)*", data)
            self.found[-1] += data if plain else "\0"


def _blocks(lines: Iterable[str]) -> Iterator[str]:
    """Paragraphs: what stands between empty lines."""
    block: list[str] = []
    for line in (*lines, ""):
        if line.strip():
            block.append(line.strip())
        elif block:
            yield " ".join(block)
            block = []


#: A point after these does not end a sentence.
_ABBREVIATION = re.compile(
    r"\b(Mr|Mrs|Ms|Messrs|Dr|St|Sr|Jr|Prof|Col|Capt|Esq|etc|vs|cf|esp|approx|no|vol|sec|"
    r"e\.g|i\.e|[A-Z])\.$"
)
_END = re.compile(r"[.!?][\"”’)]*(?= +[\"“‘(]?[A-Z])")
_MARKUP = re.compile(r"[][{}<>|\\_*#@^~=`+/]|://|\.\.|--|,,| [.,;:!?)]|\( |\w\.\w\w|[a-z][A-Z]")
#: Quotation marks that are not between letters as apostrophes are.
_SINGLE = re.compile(r"(?<!\w)['’]|['’‘](?!\w)")
#: The Jargon File is plain-spoken, and word lists are complete.
_COARSE = re.compile(
    r"fuck|shit|nigg|negr|whor|bitch|\b(cocks?\b|cunt|crap|sex|ass\b|ass(es|hole)|piss|tits|"
    r"rap(e|ist)|nazi|fagg?|dyke|kike|spic\b|wank|slut)",
    re.IGNORECASE,
)


def _split(paragraphs: Iterable[str]) -> Iterator[str]:
    """Sentences that stand on their own."""
    for paragraph in paragraphs:
        text = re.sub(r"\s+", " ", re.sub(r" ?--+ ?", "—", paragraph)).strip()
        # Old plain text marks italics so.
        text = re.sub(r"\b_|_\b", "", text)
        start = 0
        for found in (*_END.finditer(text), None):
            end = found.end() if found else len(text)
            if found and _ABBREVIATION.search(text[start:end]):
                continue
            sentence = _clean(text[start:end].strip())
            start = end
            if sentence:
                yield sentence


def _clean(sentence: str) -> str | None:
    """The sentence without quotation marks around it, or None if it is unfit for a page."""
    if sentence[:1] in ('"', "“") and sentence[-1:] in ('"', "”"):
        sentence = sentence[1:-1]
    fit = (
        20 <= len(sentence) <= 160
        and sentence[0].isupper()
        and sentence[-1] in ".!?"
        and sentence.count(" ") >= 3
        and set(sentence) <= {*CHARSET, " "}
        # Headings and tables: few small letters.
        and sum(c.islower() for c in sentence) > 0.7 * len(sentence)
        and sentence.count('"') % 2 == 0
        and sentence.count("“") == sentence.count("”")
        and sentence.count("(") == sentence.count(")")
        and not _SINGLE.search(sentence)
        and not _MARKUP.search(sentence)
        and not _COARSE.search(sentence)
    )
    return sentence if fit else None

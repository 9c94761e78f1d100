"""Fonts and texts of the synthetic pages, gathered from Debian packages into one folder.

The folder needs no network and no packages afterwards, so it can be carried to the machine
that trains:

- ``fonts/train/FAMILY-STYLE.ttf`` (or ``.otf``) and ``fonts/heldout/...``
- ``texts.json`` with words, accented words, sentences and held-out sentences

Held-out fonts and sentences are never trained on; scores on them say what the checkpoint makes
of pages that it has not seen. To gather again::

    apt-get install --no-install-recommends PACKAGES
    python -m training.assets FOLDER
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from PIL import ImageFont

#: Everything that a page may contain, apart from the space: what keyboards of western Europe
#: write, and the punctuation of typeset text. Every font has a glyph for each of them.
CHARSET = (
    "".join(map(chr, range(0x21, 0x7F)))
    + "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿŒœ"
    + "€£¥§©®°±·•–—‘’“”…×½¼²³«»¿¡"
)

#: Debian packages (names of Debian 12) of the fonts, the word lists and the prose.
PACKAGES = (
    "fonts-adf-accanthis",
    "fonts-adf-baskervald",
    "fonts-adf-gillius",
    "fonts-adf-libris",
    "fonts-adf-romande",
    "fonts-adf-tribun",
    "fonts-adf-universalis",
    "fonts-adf-verana",
    "fonts-arapey",
    "fonts-b612",
    "fonts-cabin",
    "fonts-cantarell",
    "fonts-clear-sans",
    "fonts-comic-neue",
    "fonts-courier-prime",
    "fonts-crosextra-caladea",
    "fonts-crosextra-carlito",
    "fonts-dejavu-core",
    "fonts-dosis",
    "fonts-fantasque-sans",
    "fonts-go",
    "fonts-inter",
    "fonts-jetbrains-mono",
    "fonts-karla",
    "fonts-liberation",
    "fonts-lmodern",
    "fonts-open-sans",
    "fonts-paratype",
    "fonts-roboto-slab",
    "fonts-roboto-unhinted",
    "fonts-sora",
    "fonts-tlwg-kinnari-ttf",
    "fonts-urw-base35",
    "fonts-yrsa-rasa",
    "wamerican",
    "wcatalan",
    "wdanish",
    "wdutch",
    "wfrench",
    "witalian",
    "wngerman",
    "wnorwegian",
    "wportuguese",
    "wspanish",
    "wswedish",
    "debian-handbook",
    "debian-history",
    "dict-jargon",
    "r-cran-janeaustenr",
)

STYLES = ("Regular", "Bold", "Italic", "BoldItalic")

_FONTS = "/usr/share/fonts"
_LM = "/usr/share/texmf/fonts/opentype/public/lm"

#: Family: path with a place for the style, and what stands there for each of STYLES.
#: Families of several megabytes give up their italics, or the folder becomes too large. Left
#: out are fonts in which two characters look the same (curly and straight quotation marks in
#: Latin Modern Mono, the apostrophe and the acute accent in B612 Mono): nobody reads them right.
_TRAIN: dict[str, tuple[str, tuple[str, ...]]] = {
    # Sans serif.
    "B612": (f"{_FONTS}/opentype/b612/B612-{{}}.otf", STYLES[:2]),
    "Cantarell": (f"{_FONTS}/opentype/cantarell/Cantarell-{{}}.otf", STYLES[:2]),
    "ComicNeue": (f"{_FONTS}/opentype/comic-neue/ComicNeue-{{}}.otf", STYLES),
    "DejaVuSans": (f"{_FONTS}/truetype/dejavu/DejaVuSans{{}}.ttf", ("", "-Bold")),
    "Dosis": (f"{_FONTS}/opentype/dosis/Dosis-{{}}.otf", ("Book", "Bold")),
    "Gillius": (f"{_FONTS}/truetype/adf/GilliusADF-{{}}.otf", STYLES),
    "Go": (f"{_FONTS}/fonts-go/Go-{{}}.ttf", STYLES[:2]),
    "Inter": (f"{_FONTS}/opentype/inter/Inter-{{}}.otf", STYLES[:2]),
    "LMSans": (f"{_LM}/lmsans10-{{}}.otf", ("regular", "bold", "oblique")),
    "LiberationSans": (f"{_FONTS}/truetype/liberation/LiberationSans-{{}}.ttf", STYLES[:3]),
    "Libris": (f"{_FONTS}/truetype/adf/LibrisADFStd-{{}}.otf", STYLES),
    "NimbusSans": (f"{_FONTS}/opentype/urw-base35/NimbusSans-{{}}.otf", STYLES[:2]),
    "OpenSans": (f"{_FONTS}/truetype/open-sans/OpenSans-{{}}.ttf", STYLES[:2]),
    "Roboto": (f"{_FONTS}/truetype/roboto/unhinted/RobotoTTF/Roboto-{{}}.ttf", STYLES[:2]),
    "Sora": (f"{_FONTS}/opentype/sora/Sora-{{}}.otf", STYLES[:2]),
    "URWGothic": (
        f"{_FONTS}/opentype/urw-base35/URWGothic-{{}}.otf",
        ("Book", "Demi", "BookOblique"),
    ),
    "Universalis": (f"{_FONTS}/truetype/adf/UniversalisADFStd-{{}}.otf", STYLES),
    "VeranaSans": (
        f"{_FONTS}/truetype/adf/VeranaSans-{{}}.otf",
        ("Regular", "Bold", "Oblique", "BoldOblique"),
    ),
    # Serif.
    "Accanthis": (f"{_FONTS}/truetype/adf/AccanthisADFStd-{{}}.otf", STYLES),
    "Arapey": (f"{_FONTS}/opentype/arapey/Arapey-{{}}.otf", STYLES[:1]),
    "Baskervald": (
        f"{_FONTS}/truetype/adf/BaskervaldADFStd{{}}.otf",
        ("", "-Bold", "-Italic", "-BoldItalic"),
    ),
    "C059": (f"{_FONTS}/opentype/urw-base35/C059-{{}}.otf", ("Roman", "Bold", "Italic")),
    "DejaVuSerif": (f"{_FONTS}/truetype/dejavu/DejaVuSerif{{}}.ttf", ("", "-Bold")),
    "Kinnari": (f"{_FONTS}/truetype/tlwg/Kinnari{{}}.ttf", ("", "-Bold")),
    "LMRoman": (f"{_LM}/lmroman10-{{}}.otf", ("regular", "bold", "italic")),
    "LiberationSerif": (f"{_FONTS}/truetype/liberation/LiberationSerif-{{}}.ttf", STYLES[:3]),
    "NimbusRoman": (f"{_FONTS}/opentype/urw-base35/NimbusRoman-{{}}.otf", STYLES[:2]),
    "P052": (
        f"{_FONTS}/opentype/urw-base35/P052-{{}}.otf",
        ("Roman", "Bold", "Italic"),
    ),
    "Romande": (
        f"{_FONTS}/truetype/adf/RomandeADFStd-{{}}.otf",
        ("Regular", "DemiBold", "Italic", "DemiBoldItalic"),
    ),
    "Tribun": (f"{_FONTS}/truetype/adf/TribunADFStd-{{}}.otf", STYLES),
    "URWBookman": (
        f"{_FONTS}/opentype/urw-base35/URWBookman-{{}}.otf",
        ("Light", "Demi", "LightItalic"),
    ),
    # Slab serif, monospaced, typewriter.
    "CourierPrime": (
        f"{_FONTS}/opentype/courier-prime/Courier Prime{{}}.otf",
        ("", " Bold", " Italic", " Bold Italic"),
    ),
    "DejaVuSansMono": (f"{_FONTS}/truetype/dejavu/DejaVuSansMono{{}}.ttf", ("", "-Bold")),
    "FantasqueSansMono": (
        f"{_FONTS}/truetype/fantasque-sans/Normal/TTF/FantasqueSansMono-{{}}.ttf",
        STYLES[:2],
    ),
    "GoMono": (f"{_FONTS}/fonts-go/Go-Mono{{}}.ttf", ("", "-Bold")),
    "LiberationMono": (f"{_FONTS}/truetype/liberation/LiberationMono-{{}}.ttf", STYLES[:2]),
    "NimbusMono": (f"{_FONTS}/opentype/urw-base35/NimbusMonoPS-{{}}.otf", STYLES[:3]),
    "RobotoSlab": (f"{_FONTS}/opentype/roboto/slab/RobotoSlab-{{}}.otf", STYLES[:2]),
}

#: Held out: no metric or design twin of a family above (Liberation, Nimbus; DejaVu, Verana;
#: Roboto and its slab stand together there; Lato, the parent of Carlito, is in neither table).
_HELDOUT: dict[str, tuple[str, tuple[str, ...]]] = {
    "Cabin": (f"{_FONTS}/opentype/cabin/Cabin-{{}}.otf", STYLES),
    "Caladea": (f"{_FONTS}/truetype/crosextra/Caladea-{{}}.ttf", STYLES),
    "Carlito": (f"{_FONTS}/truetype/crosextra/Carlito-{{}}.ttf", STYLES[:2]),
    "ClearSans": (f"{_FONTS}/truetype/clear-sans/ClearSans-{{}}.ttf", STYLES[:2]),
    "JetBrainsMono": (f"{_FONTS}/truetype/jetbrains-mono/JetBrainsMono-{{}}.ttf", STYLES[:2]),
    "Karla": (f"{_FONTS}/truetype/karla/Karla-{{}}.otf", STYLES),
    "PTMono": (f"{_FONTS}/truetype/paratype/PTM{{}}F.ttf", ("55", "75")),
    "PTSerif": (f"{_FONTS}/truetype/paratype/PTF{{}}F.ttf", ("55", "75")),
    "Yrsa": (f"{_FONTS}/truetype/fonts-yrsa-rasa/Yrsa-{{}}.ttf", STYLES[:2]),
}

_SPLITS = {"train": _TRAIN, "heldout": _HELDOUT}

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
#: One sentence in so many is held out.
_HELDOUT_SHARE = 20


@dataclass(frozen=True)
class Typeface:
    """The files of one font family.

    :param family: the name that its files begin with.
    :param regular: upright, normal weight.
    :param bold: upright and bold.
    :param italic: italic or oblique.
    :param bold_italic: both.
    """

    family: str
    regular: Path
    bold: Path | None
    italic: Path | None
    bold_italic: Path | None


@dataclass(frozen=True)
class Texts:
    """What pages are written with; each sorted and without duplicates.

    :param words: English words, in lower case or with a capital.
    :param accented: words of other languages with at least one letter outside ASCII.
    :param sentences: English sentences to train on.
    :param heldout_sentences: sentences of the same sources that are never trained on.
    """

    words: tuple[str, ...]
    accented: tuple[str, ...]
    sentences: tuple[str, ...]
    heldout_sentences: tuple[str, ...]


def gather(out: Path) -> None:
    """Write the fonts and texts of the installed packages to a folder.

    The same package versions give the same files. Fonts that are already there are replaced.

    :param out: the folder; it is created.
    :raises RuntimeError: if a file of the packages is missing (the message says what to
        install), or a font lacks a glyph for a character of CHARSET.
    """
    for split, families in _SPLITS.items():
        folder = out / "fonts" / split
        # A family that left the table must not stay behind.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for family, (pattern, names) in families.items():
            for style, name in zip(STYLES, names, strict=False):
                source = _installed(Path(pattern.format(name)))
                if lacking := missing_glyphs(source):
                    raise RuntimeError(f"The font {source} has no glyphs for {lacking}")
                shutil.copyfile(source, folder / f"{family}-{style}{source.suffix}")
    sentences = _sentences()
    texts = {
        "words": _english_words(),
        "accented": _accented_words(),
        "sentences": [text for text in sentences if _hash(text) % _HELDOUT_SHARE],
        "heldout_sentences": [text for text in sentences if not _hash(text) % _HELDOUT_SHARE],
    }
    (out / "texts.json").write_text(
        json.dumps(texts, ensure_ascii=False, indent=0) + "\n", encoding="utf-8"
    )


def load_fonts(folder: Path, split: str) -> list[Typeface]:
    """The font families of a gathered folder, sorted by name.

    :param folder: what :func:`gather` has written.
    :param split: ``train`` or ``heldout``.
    :raises RuntimeError: if there are none, or one of them has no regular style.
    """
    families: dict[str, dict[str, Path]] = {}
    for path in sorted((folder / "fonts" / split).glob("*-*.[ot]tf")):
        family, _, style = path.stem.rpartition("-")
        families.setdefault(family, {})[style] = path
    if not families:
        raise RuntimeError(
            f"No fonts in {folder / 'fonts' / split}; gather them with: "
            f"python -m training.assets {folder}"
        )
    if lacking := sorted(name for name, files in families.items() if "Regular" not in files):
        raise RuntimeError(f"Fonts without a regular style in {folder}: {', '.join(lacking)}")
    return [
        Typeface(
            family,
            files["Regular"],
            files.get("Bold"),
            files.get("Italic"),
            files.get("BoldItalic"),
        )
        for family, files in sorted(families.items())
    ]


def load_texts(folder: Path) -> Texts:
    """The texts of a gathered folder.

    :param folder: what :func:`gather` has written.
    :raises RuntimeError: if there are none.
    """
    try:
        lists = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RuntimeError(
            f"No texts in {folder}; gather them with: python -m training.assets {folder}"
        ) from error
    return Texts(
        words=tuple(lists["words"]),
        accented=tuple(lists["accented"]),
        sentences=tuple(lists["sentences"]),
        heldout_sentences=tuple(lists["heldout_sentences"]),
    )


def missing_glyphs(path: Path) -> str:
    """The characters of CHARSET for which a font draws its sign for missing glyphs.

    :param path: a TrueType or OpenType font.
    """
    font = ImageFont.truetype(str(path), 32, layout_engine=ImageFont.Layout.BASIC)

    def drawn(character: str) -> tuple[tuple[int, int], bytes]:
        mask = font.getmask(character)
        return mask.size, bytes(mask)

    # A noncharacter: no font has a glyph of its own for it.
    missing = drawn("\uffff")
    return "".join(character for character in CHARSET if drawn(character) == missing)


def _installed(path: Path) -> Path:
    if not path.exists():
        raise RuntimeError(
            f"{path} is missing. Install the Debian packages of fonts and texts with: "
            f"apt-get install --no-install-recommends {' '.join(PACKAGES)}"
        )
    return path


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _pick(texts: Iterable[str], count: int) -> list[str]:
    """A random choice that is the same everywhere, in alphabetical order."""
    return sorted(sorted(set(texts), key=lambda text: (_hash(text), text))[:count])


def _lines(language: str) -> list[str]:
    data = _installed(_DICT / language).read_bytes()
    try:
        return data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        # Some of Debian's word lists have not left the last century.
        return data.decode("iso-8859-1").splitlines()


def _english_words() -> list[str]:
    words = filter(re.compile("[A-Za-z][a-z]+").fullmatch, _lines(_ENGLISH))
    return _pick((word for word in words if not _COARSE.search(word)), _WORDS)


def _accented_words() -> list[str]:
    letters = "".join(c for c in CHARSET if c.isalpha() and not c.isascii())
    # Longer ones are compounds that no page of ordinary width sets well.
    word = re.compile(rf"(?=.*[{letters}])[A-Za-z{letters}][a-z{letters.lower()}]{{1,17}}")
    words: set[str] = set()
    for language in _LANGUAGES:
        words.update(_pick(filter(word.fullmatch, _lines(language)), _ACCENTED_PER_LANGUAGE))
    return sorted(words)


def _sentences() -> list[str]:
    novels = _pick(_split(_novel_paragraphs()), _NOVEL_SENTENCES)
    rest = (*_handbook_paragraphs(), *_text_paragraphs(), *_jargon_paragraphs())
    return sorted({*novels, *_split(rest)})


def _novel_paragraphs() -> Iterator[str]:
    """Jane Austen's novels, as lines of text in R's own data files."""
    data = _installed(_NOVELS).read_bytes()
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
    yield from _blocks(gzip.decompress(_installed(_HISTORY).read_bytes()).decode().splitlines())
    for name in ("Apache-2.0", "Artistic", "CC0-1.0", "GPL-3", "LGPL-2.1", "MPL-2.0"):
        yield from _blocks(_installed(_LICENSES / name).read_text().splitlines())


def _jargon_paragraphs() -> Iterator[str]:
    """The Jargon File without head words, pronunciations and cross references."""
    text = gzip.decompress(_installed(_JARGON).read_bytes()).decode("utf-8", "replace")
    body = [line if line.startswith("    ") else "" for line in text.splitlines()]
    for block in _blocks(body):
        yield re.sub(r"\[[^\]]*\]|^\d+\. ", "", block).replace("{", "").replace("}", "")


def _handbook_paragraphs() -> Iterator[str]:
    pages = sorted(_installed(_HANDBOOK).glob("*.html"))
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
    r"fuck|shit|nigg|whor|bitch|\b(cocks?\b|cunt|crap|sex|ass\b|ass(es|hole)|piss|tits|"
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


if __name__ == "__main__":
    gather(Path(sys.argv[1]))

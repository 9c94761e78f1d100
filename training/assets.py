"""Fonts and texts of the synthetic pages, gathered from Debian packages into one directory.

The directory needs no network and no packages afterwards, so it can be carried to the machine
that trains:

- ``fonts/train/FAMILY-STYLE.ttf`` (or ``.otf``) and ``fonts/heldout/...``
- ``texts.json`` with words, accented words, sentences and held-out sentences

Held-out fonts and sentences are never trained on; scores on them say what the checkpoint makes
of pages that it has not seen. To gather again::

    apt-get install --no-install-recommends PACKAGES
    python -m training gather --assets DIRECTORY
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageFont

from training.canvas import LIGATURES
from training.charset import CHARSET
from training.packages import installed
from training.prose import accented_words, english_words, sentences, stable_hash

STYLES = ("Regular", "Bold", "Italic", "BoldItalic")

_FONTS = "/usr/share/fonts"
_LM = "/usr/share/texmf/fonts/opentype/public/lm"

#: Family: path with a place for the style, and what stands there for each of STYLES.
#: Left out are fonts in which two characters look the same (curly and straight quotation marks in
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
    "NotoSans": (f"{_FONTS}/truetype/noto/NotoSans-{{}}.ttf", STYLES[:3]),
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
    "NotoSerif": (f"{_FONTS}/truetype/noto/NotoSerif-{{}}.ttf", STYLES[:3]),
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
    "NotoSansMono": (f"{_FONTS}/truetype/noto/NotoSansMono-{{}}.ttf", STYLES[:2]),
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
    """Write the fonts and texts of the installed packages to a directory.

    The same package versions give the same files. Fonts that are already there are replaced.

    :param out: the directory; it is created.
    :raises RuntimeError: if a file of the packages is missing (the message says what to
        install), or a font lacks a glyph for a character of CHARSET.
    """
    for split, families in _SPLITS.items():
        directory = out / "fonts" / split
        # A family that left the table must not stay behind.
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        for family, (pattern, names) in families.items():
            for style, name in zip(STYLES, names, strict=False):
                source = installed(Path(pattern.format(name)))
                if lacking := missing_glyphs(source):
                    raise RuntimeError(f"The font {source} has no glyphs for {lacking}")
                _copy_font(source, directory / f"{family}-{style}{source.suffix}")
    prose = sentences()
    texts = {
        "words": english_words(),
        "accented": accented_words(),
        "sentences": [text for text in prose if stable_hash(text) % _HELDOUT_SHARE],
        "heldout_sentences": [text for text in prose if not stable_hash(text) % _HELDOUT_SHARE],
    }
    (out / "texts.json").write_text(
        json.dumps(texts, ensure_ascii=False, indent=0) + "\n", encoding="utf-8"
    )


def _copy_font(source: Path, target: Path) -> None:
    """Copy what a font has for CHARSET and joined letters, hints included: the directory travels."""
    from fontTools import subset

    options = subset.Options(layout_features=[], notdef_outline=True, recalc_timestamp=False)
    font = subset.load_font(str(source), options)
    try:
        subsetter = subset.Subsetter(options)
        subsetter.populate(text=CHARSET + " " + "".join(LIGATURES.values()))
        subsetter.subset(font)
        subset.save_font(font, str(target), options)
    finally:
        font.close()


def load_fonts(directory: Path, split: str) -> list[Typeface]:
    """The font families of a gathered directory, sorted by name.

    :param directory: what :func:`gather` has written.
    :param split: ``train`` or ``heldout``.
    :raises RuntimeError: if there are none, or one of them has no regular style.
    """
    families: dict[str, dict[str, Path]] = {}
    for path in sorted((directory / "fonts" / split).glob("*-*.[ot]tf")):
        family, _, style = path.stem.rpartition("-")
        families.setdefault(family, {})[style] = path
    if not families:
        raise RuntimeError(
            f"No fonts in {directory / 'fonts' / split}; gather them with: "
            f"python -m training gather --assets {directory}"
        )
    if lacking := sorted(name for name, files in families.items() if "Regular" not in files):
        raise RuntimeError(f"Fonts without a regular style in {directory}: {', '.join(lacking)}")
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


def load_texts(directory: Path) -> Texts:
    """The texts of a gathered directory.

    :param directory: what :func:`gather` has written.
    :raises RuntimeError: if there are none.
    """
    try:
        lists = json.loads((directory / "texts.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RuntimeError(
            f"No texts in {directory}; gather them with: python -m training gather --assets {directory}"
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

"""Debian's packages of fonts and texts that pages are drawn from."""

from __future__ import annotations

from pathlib import Path

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
    "fonts-noto-core",
    "fonts-noto-mono",
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


def installed(path: Path) -> Path:
    """The path, if it is there.

    :raises RuntimeError: if not; the message says what to install.
    """
    if not path.exists():
        raise RuntimeError(
            f"{path} is missing. Install the Debian packages of fonts and texts with: "
            f"apt-get install --no-install-recommends {' '.join(PACKAGES)}"
        )
    return path

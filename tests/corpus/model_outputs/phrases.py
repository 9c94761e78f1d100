"""What made-up pages are filled with."""

# Templates of texts are longer than lines of code.

from __future__ import annotations

import random

from tests.corpus.model_outputs.languages import SENTENCES

ITEMS = (
    "Paper A4 white", "Paper A3 white", "Toner black", "Toner cyan", "Stapler", "Staples 24/6",
    "Envelope C5", "Envelope C4", "Directory grey", "Directory blue", "Pencil HB", "Eraser", "Ruler 30 cm",
    "Coordinator lamp", "Cable 2 m", "Cable 5 m", "Adapter", "Battery AA", "Battery AAA", "Marker red",
)  # fmt: skip
NAMES = (
    "Abbott", "Baker", "Castillo", "Dufour", "Eriksen", "Fontana", "Gruber", "Haddad", "Ito", "Jansen",
    "Kowalski", "Lindgren", "Moreau", "Novak", "Okafor", "Petrov", "Quinn", "Rossi", "Silva", "Tanaka",
)  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip


def amount_of_money(rng: random.Random) -> str:
    return f"{rng.randint(1, 4000) * rng.choice((1, 5, 10)) / 100:,.2f}"


def sentences_of(rng: random.Random, language: str, count: int) -> list[str]:
    """Without one twice in a row of fewer than there are."""
    found: list[str] = []
    while len(found) < count:
        found += rng.sample(SENTENCES[language], len(SENTENCES[language]))
    return found[:count]

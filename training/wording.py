"""What people's letters, invoices and statements say, and words that no dictionary has.

A reader that has seen real words alone guesses them; so on some pages words are changed or invented.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from training.charset import CHARSET
from training.text import Writer

_FIRST_NAMES: tuple[str, ...] = (
    *("Anna", "James", "Maria", "John", "Sarah", "Peter", "Julia", "Thomas", "Laura", "David"),
    *("Emma", "Robert", "Sofia", "Michael", "Nina", "Daniel", "Helen", "Paul", "Claire", "Mark"),
    *("Olga", "Simon", "Grace", "Henry", "Ines", "Jakob", "Marta", "Oscar", "Ruth", "Victor"),
)
_LAST_NAMES: tuple[str, ...] = (
    *("Miller", "Smith", "Jones", "Brown", "Taylor", "Wilson", "Davies", "Evans", "Thomas", "Hill"),
    *("Johnson", "Roberts", "Walker", "Wright", "Green", "Hughes", "Clark", "Morris", "Cooper"),
    *("Ward", "Turner", "Schmidt", "Weber", "Fischer", "Novak", "Rossi", "Costa", "Silva", "Berg"),
    *("Lindqvist", "O'Brien", "MacLeod", "van Dijk", "Kowalski", "Petrov", "Moreau", "Dubois"),
)
_OPENINGS = (
    "Thank you for your letter of {date}.",
    "Thank you for your order {code} of {date}.",
    "I am writing to you about {code}, which we received on {date}.",
    "We are pleased to confirm your booking for {date} at {time}.",
    "Further to our telephone call of {date}, I enclose the papers that you asked for.",
    "Please find enclosed our invoice {code} for {amount}.",
    "With reference to your letter of {date}, we regret that the goods have not arrived.",
    "We refer to our meeting in {city} on {date}.",
    "It was good to speak to you on {date}.",
    "I should like to apply for the post that you advertised on {date}.",
    "Following your enquiry, we can offer you the items below at {amount} each.",
    "This is to remind you that {amount} has been due since {date}.",
    "You asked us for a copy of the agreement that was signed on {date}.",
    "In reply to your message of {date}, I can tell you that the matter is closed.",
)
_PHRASES = (
    "The amount of {amount} is payable within {number} days of the date of this invoice.",
    "Please quote the number {code} in all letters and payments.",
    "If you have any questions, please call {name} on {phone}.",
    "You can reach us on weekdays between {time} and {time}.",
    "We would be grateful if you could return the signed copy by {date}.",
    "The goods will be sent to {city} on {date}.",
    "Our bank has been told to pay {amount} into your account.",
    "Please let me know by {date} whether this suits you.",
    "A deposit of {percentage} is due when you sign the contract.",
    "The price rose by {percentage} to {amount} in the second half of the year.",
    "Your policy {code} ends on {date} unless you tell us otherwise.",
    "{name} will meet you at the station in {city} at {time}.",
    "We look forward to hearing from you.",
    "Do not hesitate to get in touch if anything is unclear.",
    "All prices are in euros and do not include value added tax.",
    "We apologise for the delay and have asked {name} to look into it.",
    "Copies have gone to {name} and to {name}.",
    "Write to {email} if you would like the report as a file.",
    "The meeting of {date} has been moved to {date}, again at {time}.",
    "Enclosed you will find {number} forms, two of which need your signature.",
)
_ITEMS: tuple[str, ...] = (
    *("Office chair", "Desk lamp", "Paper A4, 500 sheets", "Printer ink, black", "Delivery"),
    *("Consulting, per hour", "Software licence", "Repair of pump", "Oak shelf 80 cm", "Batteries"),
    *(
        "Hotel, one night",
        "Breakfast",
        "Train ticket",
        "Garden hose 20 m",
        "Paint, white",
        "Coffee",
    ),
    *("Steel screws, box", "Installation", "Annual service", "Rent", "Insurance", "Translation"),
    *("Bread", "Milk 1 l", "Apples", "Cheese", "Washing powder", "Orange juice", "Olive oil"),
    *("Photocopies", "Postage", "Phone bill", "Electricity", "Cleaning", "Travel costs", "Books"),
)
_CITIES: tuple[str, ...] = (
    *("London", "Leeds", "Bristol", "Dublin", "Boston", "Chicago", "Denver", "Berlin", "Hamburg"),
    *("Vienna", "Zurich", "Paris", "Lyon", "Madrid", "Lisbon", "Milan", "Oslo", "Gdansk", "Prague"),
)
_STREETS = (
    "Street",
    "St",
    "Road",
    "Avenue",
    "Ave",
    "Lane",
    "Square",
    "Way",
    "Close",
    "Drive",
    "Hill",
)
_STATES = ("NY", "CA", "TX", "WA", "IL", "MA", "FL", "OH", "PA", "NC", "AZ", "VA", "NJ", "CO")
_SLOTS = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[A-Za-z]{3,}")
_ONSETS: tuple[str, ...] = (
    *(
        "b",
        "br",
        "c",
        "ch",
        "d",
        "dr",
        "f",
        "fl",
        "g",
        "gr",
        "h",
        "j",
        "k",
        "l",
        "m",
        "n",
        "p",
        "pl",
    ),
    *("qu", "r", "s", "sc", "sk", "st", "str", "t", "th", "tr", "v", "w", "wh", "y", "z"),
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ee", "ie", "oo", "ou", "y")
_CODAS = (
    "",
    "",
    "ck",
    "d",
    "ft",
    "l",
    "ll",
    "m",
    "n",
    "nd",
    "ng",
    "nt",
    "p",
    "r",
    "rm",
    "s",
    "st",
    "x",
)
#: How many words of a page are changed or invented, and how often that is.
_STRANGENESS = {0.0: 0.5, 0.12: 0.2, 0.5: 0.1, 1.0: 0.2}


class PeopleWriter(Writer):
    """Writes as people do: real names, natural sentences, and on some pages words that are none.

    :param rng: the only source of chance.
    :param words: English words, lower case.
    :param accented: words with accents.
    :param sentences: whole sentences.
    """

    def __init__(
        self,
        rng: Random,
        words: Sequence[str],
        accented: Sequence[str],
        sentences: Sequence[str],
    ) -> None:
        super().__init__(rng, words, accented, sentences)
        self._strangeness = rng.choices(list(_STRANGENESS), list(_STRANGENESS.values()))[0]

    def invented(self) -> str:
        """Write a word that can be spoken and means nothing."""
        rng = self.rng
        syllables = (
            rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS)
            for _ in range(rng.choice((1, 2, 2, 3)))
        )
        return "".join(syllables)

    def strange(self, text: str) -> str:
        """Change as many words of a text as this page has it; lengths and capitals stay about the same."""
        if not self._strangeness:
            return text
        return _WORD.sub(self._stranger, text)

    def _stranger(self, found: re.Match[str]) -> str:
        rng, word = self.rng, found[0]
        if rng.random() > self._strangeness:
            return word
        if rng.random() < 0.4:
            new = self.invented()
            if word.isupper():
                return new.upper()
            return new.capitalize() if word[0].isupper() else new
        # A letter or two that a guess would set right.
        letters = list(word)
        for _ in range(rng.choice((1, 1, 2))):
            place = rng.randrange(len(letters))
            letter = rng.choice("abcdefghijklmnopqrstuvwxyz")
            letters[place] = letter.upper() if letters[place].isupper() else letter
        return "".join(letters)

    def name(self) -> str:
        """Write a person's name, with a title at times."""
        rng = self.rng
        first, last = self.strange(rng.choice(_FIRST_NAMES)), self.strange(rng.choice(_LAST_NAMES))
        form = rng.randrange(6)
        if form == 0:
            return f"{rng.choice(('Mr', 'Mrs', 'Ms', 'Mr.', 'Dr', 'Dr.', 'Prof.'))} {last}"
        return f"{first[0]}. {last}" if form == 1 else f"{first} {last}"

    def address(self) -> list[str]:
        """Write a postal address, line by line, as several countries have them."""
        rng = self.rng
        street, house = self.capital(), rng.randint(1, 320)
        town, code = self.city(), self._postcode()
        lines = [
            rng.choice((self.name, self.company))(),
            rng.choice(
                (
                    f"{house} {street} {rng.choice(_STREETS)}",
                    f"{house}{rng.choice('abc')} {street} {rng.choice(_STREETS)}",
                    f"{street} {rng.choice(('Road', 'Lane'))} {house}",
                    f"Flat {rng.randint(1, 40)}, {street} House",
                    f"P.O. Box {rng.randint(10, 9999)}",
                )
            ),
            rng.choice(
                (
                    f"{town} {code}",
                    f"{town}, {rng.choice(_STATES)} {rng.randint(10000, 99999)}",
                    f"{rng.randint(1000, 99999)} {town}",
                    f"{code} {town}",
                )
            ),
        ]
        if rng.random() < 0.15:
            lines.append(rng.choice(("United Kingdom", "Ireland", "Germany", "U.S.A.", "Norway")))
        return lines

    def _postcode(self) -> str:
        """Letters and figures such as ``SW1A 2AA``: nothing in it can be guessed."""
        pattern = self.rng.choice(
            ("A9 9AA", "A99 9AA", "AA9 9AA", "AA99 9AA", "A9A 9A9", "A99 A9A9")
        )
        letters, figures = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
        return "".join(
            self.rng.choice(letters if mark == "A" else figures) if mark != " " else mark
            for mark in pattern
        )

    def city(self) -> str:
        """Write the name of a town."""
        return self.strange(self.rng.choice(_CITIES))

    def item(self) -> str:
        """Write what an invoice or a receipt charges for."""
        if self.rng.random() < 0.7:
            return self.strange(self.rng.choice(_ITEMS))
        text = self.strange(self.phrase(self.rng.randint(1, 3)))
        upper = text[0].upper() + text[1:]
        return upper if set(upper) <= {*CHARSET, " "} else text

    def opening(self) -> str:
        """Write the first sentence of a letter."""
        return self._filled(self.rng.choice(_OPENINGS))

    def word(self) -> str:
        """Write a word as it stands in running text; few have accents or capitals."""
        rng = self.rng
        case = rng.random()
        word = rng.choice(self._accented if rng.random() < 0.02 else self._words)
        word = self.strange(word)
        return word if case > 0.05 or not word.isascii() else word.capitalize()

    def sentence(self) -> str:
        """Write a sentence: natural ones mostly, some that letters are full of, some of random words."""
        chance = self.rng.random()
        if chance < 0.72 and self._sentences:
            return self.strange(self.rng.choice(self._sentences))
        return self._filled(self.rng.choice(_PHRASES)) if chance < 0.9 else self._made_sentence()

    def _filled(self, phrase: str) -> str:
        slots = {
            "date": self.date,
            "code": self.code,
            "amount": self.amount,
            "city": self.city,
            "time": self.time,
            "number": lambda: str(self.rng.randint(2, 90)),
            "name": self.name,
            "phone": self.phone,
            "percentage": self.percentage,
            "email": self.email,
        }
        # Facts are not made strange.
        parts = _SLOTS.split(phrase)
        return "".join(
            slots[part]() if number % 2 else self.strange(part) for number, part in enumerate(parts)
        )

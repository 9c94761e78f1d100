"""Random content of synthetic pages: words, sentences, numbers, dates, addresses and codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from training.charset import CHARSET

#: The model's own markup, which a page's text must never hold.
MARKUP = re.compile(r"<[|/a-zA-Z]|\|>|\[\[|\]\]")

_SYMBOLS = tuple(c for c in CHARSET if not c.isspace())
_LETTERS = frozenset(CHARSET)
_MONTHS: tuple[str, ...] = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_LABELS: tuple[str, ...] = (
    *("Account", "Address", "Amount", "Approved", "Balance", "Branch", "Category", "Cell", "City"),
    *("Client", "Code", "Colour", "Company", "Contact", "Country", "Currency", "Customer", "Date"),
    *("Delivery", "Department", "Deposit", "Discount", "Due", "Email", "Expires", "Fax"),
    *("First name", "Group", "ID", "Invoice no.", "Issued", "Item", "Last name", "Location"),
    *("Model", "Name", "No.", "Notes", "Order", "Order no.", "Origin", "Owner", "Paid", "Payment"),
    *("Period", "Phone", "Postcode", "Price", "Product", "Project", "Purpose", "Qty", "Quantity"),
    *("Rate", "Received", "Ref.", "Region", "Room", "Serial no.", "Ship to", "Size", "Status"),
    *("Subtotal", "Supplier", "Tax", "Terms", "Time", "Title", "Total", "Type", "Unit"),
    *("Unit price", "Valid until", "VAT", "VAT ID", "Version", "Weight"),
)
_STREETS = ("Street", "St", "Road", "Ave", "Lane", "Avenue", "Square", "Way", "Court", "Blvd")
_COMPANIES = ("Inc.", "Ltd", "GmbH", "LLC", "& Co.", "& Sons", "Group", "S.A.", "Partners", "Corp.")
_QUOTES = ("“{}”", "‘{}’", '"{}"', "'{}'", "({})", "[{}]", "*{}*", "_{}_", "«{}»", "{{{}}}")
_SIGNS = ("&", "+", "=", "/", "–", "—", "%", "@", "§", "~", "^", "|", "<", ">", "\\", "°", "©", "…")
_ENDS = (".", ".", ".", ".", ".", "!", "?", "…")


def allowed(text: str) -> bool:
    """Say whether a page may show a text.

    :param text: the text.
    :return: whether all of it is in the character set, and none is the model's markup.
    """
    return _LETTERS.issuperset(text) and MARKUP.search(text) is None


class Writer:
    """Writes content; everything random comes from one generator.

    :param rng: the generator.
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
        self.rng = rng
        self._words = words
        self._accented = accented
        self._sentences = sentences
        #: What stands among the words of prose, in figures mostly.
        self._facts: tuple[Callable[[], str], ...] = (
            self.number,
            self.number,
            self.number,
            self.amount,
            self.amount,
            self.percentage,
            self.date,
            self.date,
            self.time,
            self.phone,
            self.email,
            self.url,
            self.code,
            self.code,
            self.name,
            self.measure,
        )

    def word(self) -> str:
        """Write a word, at times capitalised, in upper case or with accents."""
        rng = self.rng
        word = rng.choice(self._accented if rng.random() < 0.08 else self._words)
        case = rng.random()
        if case > 0.16:
            return word
        cased = word.capitalize() if case > 0.05 else word.upper()
        return cased if _LETTERS.issuperset(cased) else word

    def capital(self) -> str:
        """Write a capitalised word."""
        word = self.word()
        upper = word[0].upper() + word[1:]
        return upper if _LETTERS.issuperset(upper) else word

    def fact(self) -> str:
        """Write a number, an amount, a date, an address, a code or the like."""
        return self.rng.choice(self._facts)()

    def number(self) -> str:
        """Write a number in one of the common forms."""
        rng = self.rng
        whole = int(10 ** rng.uniform(0, rng.choice((2, 4, 7))))
        form = rng.randrange(12)
        if form < 4:
            return str(whole)
        if form == 4:
            return f"{whole:,}"
        if form == 5:
            return f"{whole:,}.{rng.randrange(100):02d}"
        if form == 6:
            return f"{whole:,}".replace(",", ".") + f",{rng.randrange(100):02d}"
        if form == 7:
            return f"{rng.uniform(0, 100):.{rng.randint(1, 4)}f}"
        if form == 8:
            return f"-{whole}"
        if form == 9:
            return f"({rng.uniform(0, 1000):.2f})"
        if form == 10:
            return f"{rng.randint(1, 9)}/{rng.randint(2, 16)}"
        return f"{rng.choice(('+', '~', '#', '±', '×', '$'))}{whole}"

    def percentage(self) -> str:
        """Write a percentage."""
        rng = self.rng
        return f"{rng.uniform(0, 100):.{rng.choice((0, 0, 1, 2))}f}{rng.choice(('%', '%', ' %'))}"

    def amount(self) -> str:
        """Write an amount of money, its currency before or after it."""
        rng = self.rng
        value = 10 ** rng.uniform(0, rng.choice((2, 3, 5)))
        figure = f"{value:,.2f}"
        form = rng.randrange(6)
        if form < 3:
            return f"{rng.choice('$€£$')}{figure}"
        if form == 3:
            return f"{figure} {rng.choice('€€$£')}"
        if form == 4:
            swapped = figure.translate(str.maketrans(",.", ".,"))
            return f"{swapped} €"
        return f"{rng.choice(('USD', 'EUR', 'GBP', 'CHF'))} {figure}"

    def date(self) -> str:
        """Write a date in one of the common formats."""
        rng = self.rng
        day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1950, 2035)
        name = _MONTHS[month - 1]
        form = rng.randrange(9)
        if form < 2:
            return f"{year}-{month:02d}-{day:02d}"
        if form == 2:
            return f"{day:02d}/{month:02d}/{year}"
        if form == 3:
            return f"{month}/{day}/{year % 100:02d}"
        if form == 4:
            return f"{day:02d}.{month:02d}.{year}"
        if form == 5:
            return f"{day} {name} {year}"
        if form == 6:
            return f"{day} {name[:3]} {year}"
        if form == 7:
            return f"{name[:3]} {day}, {year}"
        return f"{name} {day}, {year}"

    def time(self) -> str:
        """Write a time of day."""
        rng = self.rng
        hour, minute = rng.randrange(24), rng.randrange(60)
        form = rng.randrange(3)
        if form == 0:
            return f"{hour % 12 + 1}:{minute:02d} {rng.choice(('AM', 'PM', 'am', 'pm'))}"
        return f"{hour:02d}:{minute:02d}" + (f":{rng.randrange(60):02d}" if form == 1 else "")

    def phone(self) -> str:
        """Write a telephone number."""
        rng = self.rng
        a, b, c = rng.randint(100, 999), rng.randint(100, 999), rng.randint(1000, 9999)
        form = rng.randrange(4)
        if form == 0:
            return f"({a}) {b}-{c}"
        if form == 1:
            return f"{a}-{b}-{c}"
        return f"+{rng.randint(1, 99)} {a} {b}{c}" if form == 2 else f"0{a}/{b}{c % 100:02d}"

    def email(self) -> str:
        """Write an e-mail address."""
        rng = self.rng
        user = self._plain() + rng.choice((".", "_", "-", "")) + rng.choice((self._plain(), "7"))
        return f"{user}@{self._host()}"

    def url(self) -> str:
        """Write a web address."""
        rng = self.rng
        path = rng.choice(("", "/" + self._plain(), f"/{self._plain()}?id={rng.randint(1, 999)}"))
        return rng.choice(("www.", "https://", "http://")) + self._host() + path

    def code(self) -> str:
        """Write a reference, such as ``INV-2041`` or ``AB12-9X``."""
        rng = self.rng
        form = rng.randrange(4)
        if form == 0:
            prefix = rng.choice(("INV", "PO", "REF", "SKU", "ID", "NO", "RMA", "DOC"))
            return f"{prefix}{rng.choice('-/ #_')}{rng.randint(1, 999999)}"
        alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        if form == 1:
            alphabet = "0123456789abcdef"
        marks = rng.choices(alphabet, k=rng.randint(3, 10))
        if form > 1 and len(marks) > 4:
            marks.insert(rng.randint(2, len(marks) - 2), rng.choice("-./"))
        return "".join(marks)

    def symbols(self) -> str:
        """Write 4 to 12 random characters of the whole set."""
        while True:
            text = "".join(self.rng.choices(_SYMBOLS, k=self.rng.randint(4, 12)))
            if MARKUP.search(text) is None:
                return text

    def measure(self) -> str:
        """Write a measure or a comparison."""
        rng = self.rng
        a, b = rng.randint(1, 99), rng.randint(1, 99)
        text = rng.choice(
            (
                f"{a} °C",
                f"{a}°",
                f"{a} kg",
                f"{a} x {b} mm",
                f"{a} < {b}",
                f"{a} > {b}",
                f"{a} + {b} = {a + b}",
                f"x^{b % 9}",
                f"§ {a}",
                f"§{a}({b})",
                f"{a}–{b}",
                f"© {1950 + a}",
                f"{a} * {b}",
                f"~{a}%",
                f"n = {a}",
                f"[{a}]",
            )
        )
        return text if allowed(text) else str(a)

    def name(self) -> str:
        """Write a person's name."""
        rng = self.rng
        first, last = self.capital(), self.capital()
        form = rng.randrange(5)
        if form == 0:
            return f"{rng.choice(('Mr', 'Mrs', 'Ms', 'Dr.', 'Prof.'))} {last}"
        if form == 1:
            return f"{first[0]}. {last}"
        return f"{last}, {first}" if form == 2 else f"{first} {last}"

    def company(self) -> str:
        """Write a company's name."""
        return f"{self.capital()} {self.rng.choice(_COMPANIES)}"

    def address(self) -> list[str]:
        """Write a postal address, line by line."""
        rng = self.rng
        lines = [rng.choice((self.name, self.company))()]
        lines.append(f"{rng.randint(1, 999)} {self.capital()} {rng.choice(_STREETS)}")
        city = self.capital()
        lines.append(
            rng.choice(
                (
                    f"{rng.randint(1000, 99999)} {city}",
                    f"{city}, {self.code()[:2].upper()} {rng.randint(10000, 99999)}",
                )
            )
        )
        if rng.random() < 0.3:
            lines.append(rng.choice((self.phone, self.email, self.capital))())
        return lines

    def label(self) -> str:
        """Write the name of a field."""
        return self.rng.choice(_LABELS)

    def phrase(self, words: int) -> str:
        """Write some words.

        :param words: how many.
        """
        return " ".join(self.word() for _ in range(words))

    def heading(self) -> str:
        """Write a heading of 1 to 6 words."""
        rng = self.rng
        words = [self.word() for _ in range(rng.choice((1, 2, 2, 3, 3, 4, 6)))]
        if rng.random() < 0.15:
            words.append(rng.choice((self.number, self.date, self.code))())
        text = " ".join(words)
        form = rng.random()
        if form < 0.2 and _LETTERS.issuperset(text.upper()):
            return text.upper()
        first = text[0].upper()
        return (first if first in _LETTERS else text[0]) + text[1:]

    def sentence(self) -> str:
        """Write a sentence: half of them natural, the others of random words."""
        if self._sentences and self.rng.random() < 0.5:
            return self.rng.choice(self._sentences)
        return self._made_sentence()

    def prose(self, characters: int) -> str:
        """Write sentences.

        :param characters: about how many characters of them.
        """
        sentences = []
        while characters > 0:
            sentences.append(self.sentence())
            characters -= len(sentences[-1]) + 1
        return " ".join(sentences)

    def token(self) -> str:
        """Write what cannot be guessed: a word, a number, a code or random characters."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.43:
            return self.word()
        if kind < 0.57:
            return self.number()
        if kind < 0.66:
            return self.code()
        if kind < 0.8:
            return self.symbols()
        if kind < 0.86:
            return self._quoted(self.word())
        if kind < 0.9:
            return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9)))
        return self.fact()

    def tokens(self, characters: int) -> str:
        """Write tokens.

        :param characters: about how many characters of them.
        """
        tokens = []
        while characters > 0:
            tokens.append(self.token())
            characters -= len(tokens[-1]) + 1
        return " ".join(tokens)

    def _made_sentence(self) -> str:
        rng = self.rng
        words = [self.capital()]
        for _ in range(rng.randint(3, 13)):
            chance = rng.random()
            if chance < 0.12:
                words.append(self.fact())
            elif chance < 0.18:
                words.append(self._quoted(self.word()))
            elif chance < 0.21:
                words.append(f"{rng.choice(_SIGNS)} {self.word()}")
            else:
                words.append(self.word())
            if rng.random() < 0.09:
                words[-1] += rng.choice((",", ",", ",", ";", ":", "'s", "’s", " –", " —"))
        text = " ".join(words) + rng.choice(_ENDS)
        return text if allowed(text) else f"{self.capital()} {self.word()}."

    def _quoted(self, word: str) -> str:
        text: str = self.rng.choice(_QUOTES).format(word)
        return text if allowed(text) else word

    def _plain(self) -> str:
        return self.rng.choice(self._words).lower().replace("'", "")

    def _host(self) -> str:
        return f"{self._plain()}.{self.rng.choice(('com', 'org', 'net', 'io', 'eu', 'de'))}"

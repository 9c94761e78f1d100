"""The record of a run, as Markdown: enough to run it again and to compare two runs."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.printable import hide_logins
from airflow_deepseek_ocr.run_record.facts import Facts
from airflow_deepseek_ocr.undecodable import readable

if TYPE_CHECKING:
    from airflow_deepseek_ocr.ocr.results import PageResult

#: Options whose value is a secret; ``--api-key-file`` names a file and is kept.
_SECRET_OPTION = re.compile(r"--[\w-]*(password|passwd|token|secret|api-key|key)", re.IGNORECASE)
_HIDDEN = "***"
_PAGE_COLUMNS = (
    "document",
    "page",
    "status",
    "score",
    "confidence",
    "flags",
    "mode",
    "attempts",
    "vision tokens",
    "text tokens",
    "model s",
    "finished after s",
)


@dataclass
class RunRecord:
    """Record of a run, extended while it continues.

    :param command: the command line with the program's name.
    :param sections: facts by heading.
    :param output: where the text was written.
    :param directory: working directory.
    :param started: start in UTC.
    :ivar loading_s: seconds that loading the model took; None if no page needed it.
    :ivar first_page_after_s: seconds until the first page was finished.
    :ivar text_tokens: generated tokens of all pages.
    :ivar pages: the cells of each page.
    :ivar failures: documents without pages, and why.
    :ivar error: why the run ended early; None if it did not.
    :ivar ended_after_s: seconds until the end; None while it runs.
    """

    command: Sequence[str]
    sections: dict[str, Facts] = field(default_factory=dict)
    output: str = ""
    directory: str = field(default_factory=lambda: str(Path.cwd()))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    loading_s: float | None = None
    pages: list[tuple[str, ...]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    error: str | None = None
    ended_after_s: float | None = None
    text_tokens: int = 0
    first_page_after_s: float | None = None
    _clock: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._clock

    def loaded(self, loading_s: float) -> None:
        """Record that the model is ready.

        :param loading_s: seconds that loading took, a fetch included.
        """
        self.loading_s = loading_s

    def page(self, document: str, page: PageResult) -> None:
        """Record a page that finished now.

        :param document: path or URI of its document.
        :param page: its result.
        """
        after = self.seconds()
        if self.first_page_after_s is None:
            self.first_page_after_s = after
        self.text_tokens += page.text_tokens
        self.pages.append(
            (
                document,
                str(page.number),
                page.status.value + (f" ({page.error_code})" if page.error_code else ""),
                "" if page.score is None else f"{page.score:.2f}",
                "" if page.confidence is None else f"{page.confidence:.3f}",
                " ".join(page.flags),
                page.resolution,
                str(page.read_count),
                str(page.vision_tokens),
                str(page.text_tokens),
                f"{page.seconds:.2f}",
                f"{after:.1f}",
            )
        )

    def end(self, error: BaseException | None) -> None:
        """Record the end of the run.

        :param error: why it ended early; None if it did not.
        """
        self.ended_after_s = self.seconds()
        if error is not None:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self.error = hide_logins(reason)

    def markdown(self) -> str:
        """Return the record as a Markdown page."""
        command = f"cd {quoted(self.directory)}\n{safe_command(self.command)}"
        parts = [
            f"# Run of {self.started:%Y-%m-%d %H:%M:%S} UTC",
            f"To repeat it, in a shell:\n\n```\n{command}\n```",
            _table(("what", "result"), self._summary()),
        ]
        parts += [f"## {name}\n\n{_table(('', ''), rows)}" for name, rows in self.sections.items()]
        if self.pages:
            parts.append(f"## Pages\n\n{_table(_PAGE_COLUMNS, self.pages)}")
        if self.failures:
            parts.append(
                f"## Documents without pages\n\n{_table(('document', 'error'), self.failures)}"
            )
        return "\n\n".join(parts) + "\n"

    def _summary(self) -> Facts:
        state = "running" if self.ended_after_s is None else "finished"
        if self.error:
            state = f"ended early: {self.error}"
        facts = [("State", state), ("Pages", str(len(self.pages)))]
        if self.failures:
            facts.append(("Documents without pages", str(len(self.failures))))
        facts.append(("Text tokens", str(self.text_tokens)))
        for name, seconds in (
            ("Loading the model", self.loading_s),
            ("First page after", self.first_page_after_s),
            ("In all", self.ended_after_s),
        ):
            if seconds is not None:
                facts.append((name, f"{seconds:.1f} s"))
        if self.output:
            facts.append(("Text written to", self.output))
        return facts


def safe_command(command: Sequence[str]) -> str:
    """Return a command line for a shell, with the values of secret options and logins in URLs hidden.

    :param command: program and arguments.
    """
    words: list[str] = []
    hide = False
    for word in command:
        option, equals, _ = word.partition("=")
        if hide:
            words.append(shlex.quote(_HIDDEN))
            hide = False
        elif _SECRET_OPTION.fullmatch(option):
            words.append(f"{option}={shlex.quote(_HIDDEN)}" if equals else word)
            hide = not equals
        else:
            words.append(quoted(hide_logins(word)))
    return " ".join(words)


def quoted(word: str) -> str:
    """Return a word for a shell; one with bytes that are not UTF-8 in the form of bash and zsh.

    :param word: an argument or a path.
    """
    if readable(word) == word:
        return shlex.quote(word)
    content = word.encode("utf-8", "surrogateescape")
    return "$'" + "".join(map(_escaped, content)) + "'"


def _escaped(byte: int) -> str:
    plain = chr(byte).isprintable() and byte < 0x80 and chr(byte) not in "'\\"
    return chr(byte) if plain else f"\\x{byte:02x}"


def as_lines(facts: Iterable[tuple[str, str]]) -> str:
    """Return facts as indented lines, for a log.

    :param facts: names and values.
    """
    return "\n".join(f"  {name}: {value}" for name, value in facts)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(columns), "|---" * len(columns) + "|", *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"

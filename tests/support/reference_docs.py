"""Tables of ``docs/reference``, generated from the code: ``python -m tests.support.reference_docs``.

A page marks a table with ``<!-- table: NAME -->`` and ``<!-- end of table -->``; :data:`TABLES` has the
names.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.cli.main import build_parser
from airflow_deepseek_ocr.connection.fields import FIELDS
from airflow_deepseek_ocr.connection.form import FIELD_BEHAVIOUR
from airflow_deepseek_ocr.connection.options import DiscoveryOptions, OcrOptions
from airflow_deepseek_ocr.connection.queue_options import QueueOptions
from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.pipeline.summary import Summary
from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor
from airflow_deepseek_ocr.triggers.s3 import S3NewDocumentEventTrigger
from airflow_deepseek_ocr.triggers.sqs import SqsNewDocumentEventTrigger
from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
_TABLE = re.compile(r"(<!-- table: (\S+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)
_PARAM = re.compile(r"^:(?:param|ivar) (\w+):(.*?)(?=^:|\Z)", re.DOTALL | re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?(?:[\w.]+\.)?(\w+)`")
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def tables_of(page: Path) -> list[tuple[str, str]]:
    """Return name and text of each marked table of a page."""
    return [(name, text) for _, name, text, _ in _TABLE.findall(page.read_text("utf-8"))]


def parameter_docs(kind: type) -> dict[str, str]:
    """Return the description of each parameter in a class's docstring, as Markdown."""
    return {
        name: _ROLE.sub(r"`\1`", " ".join(text.split())).replace("``", "`")
        for name, text in _PARAM.findall(inspect.getdoc(kind) or "")
    }


def parameters(kind: type) -> str:
    """Return the table of a class's parameters."""
    docs = parameter_docs(DiscoveryOptions) | parameter_docs(OcrOptions)
    if kind is SqsNewDocumentEventTrigger:
        docs |= parameter_docs(QueueOptions)
    docs |= parameter_docs(kind)
    templated = getattr(kind, "template_fields", ())
    rows = []
    for name, parameter in inspect.signature(kind.__init__).parameters.items():  # type: ignore[misc]
        if name == "self" or parameter.kind is parameter.VAR_KEYWORD:
            continue
        meaning = docs[name].removesuffix(" (templated)")
        mark = " *(templated)*" if name in templated else ""
        rows.append((f"`{name}`", _default(name, parameter.default), meaning + mark))
    return _table(("parameter", "default", "meaning"), rows)


def summary() -> str:
    """Return the table of the keys in the operator's return value."""
    docs = parameter_docs(Summary)
    return _table(("key", "value"), [(f"`{name}`", docs[name]) for name in Summary().as_dict()])


def connection_fields() -> str:
    """Return the table of the fields in the connection's extra."""
    rows = []
    for each in FIELDS:
        default = "" if each.default is None else f"`{each.default}`"
        values = f" Values: {', '.join(f'`{value}`' for value in each.enum)}." if each.enum else ""
        rows.append((each.label, f"`{each.name}`", default, f"{each.help}.{values}"))
    return _table(("field", "key", "default", "meaning"), rows)


def standard_fields() -> str:
    """Return the table of the connection's standard fields."""
    labels, hints = FIELD_BEHAVIOUR["relabeling"], FIELD_BEHAVIOUR["placeholders"]
    return _table(
        ("field", "key", "meaning"),
        [(labels.get(name, name.title()), f"`{name}`", hint) for name, hint in hints.items()],
    )


def command(name: str) -> str:
    """Return the table of a command's arguments.

    :param name: with a hyphen before a command of a command, such as ``db-sql``.
    """
    parser = build_parser()
    for part in name.split("-"):
        (commands,) = (
            action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
        )
        parser = commands.choices[part]
    rows = [
        (_usage(action), (action.help or "").replace("%%", "%"))
        for action in parser._actions
        if action.help not in (None, argparse.SUPPRESS) and action.dest != "help"
    ]
    return _table(("argument", "meaning"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "connection_fields": connection_fields,
    "standard_fields": standard_fields,
    "summary": summary,
    **{
        kind.__name__: lambda kind=kind: parameters(kind)  # type: ignore[misc]
        for kind in (
            DeepSeekOCROperator,
            S3NewDocumentSensor,
            S3NewDocumentEventTrigger,
            SqsNewDocumentEventTrigger,
        )
    },
    **{
        name: lambda name=name: command(name)  # type: ignore[misc]
        for name in (
            "read",
            "pull",
            "serve",
            "stop",
            "preflight",
            "db-upgrade",
            "db-check",
            "db-sql",
            "forget",
        )
    },
}


def main() -> None:
    """Write the tables into the pages."""
    for page in PAGES:
        text = page.read_text("utf-8")
        page.write_text(_TABLE.sub(lambda match: match[1] + TABLES[match[2]]() + match[4], text))


def _usage(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return f"`{action.option_strings[-1]}{value}`" + (", required" if action.required else "")


def _default(name: str, value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if name == "deferrable":
        return "`[operators] default_deferrable`"
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        size, unit = next((s, u) for s, u in _UNITS if seconds >= s or s == 1)
        return f"{seconds / size:g} {unit}{'' if seconds == size else 's'}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, tuple):
        return " ".join(f"`{each}`" for each in value)
    return f"`{value!r}`" if not isinstance(value, str) else f"`{value or chr(34) * 2}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )


if __name__ == "__main__":
    main()

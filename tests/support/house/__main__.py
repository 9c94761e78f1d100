"""Write the exceptions that are left: ``python -m tests.support.house``. It never adds one."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

from tests.support.house import links, prose, rules
from tests.support.house.paths import ALLOWANCES, allowances

HEAD = """\
# Exceptions from the rules of the house (tests/unit/test_layout.py, tests/unit/test_prose.py).
# This file may only shrink: `python -m tests.support.house` removes what no longer applies.
"""


def main(*, may_add: bool = False) -> None:
    """Keep the exceptions that still apply.

    :param may_add: also write new ones, which the tests would refuse.
    """
    before = {} if may_add else allowances()
    lists = {
        name: [
            entry for entry in getattr(rules, name)() if may_add or entry in before.get(name, ())
        ]
        for name in (
            "modules_without_test",
            "tests_without_module",
            "long_files",
            "long_functions",
            "asserts",
            "loose_codes",
        )
    }
    for name, found in {"broken_links": links.broken_links(), "names": prose.names()}.items():
        lists[name] = [entry for entry in found if may_add or entry in before.get(name, ())]
    counts = Counter(finding.file for finding in prose.findings())
    allowed = before.get("prose", {})
    words = {
        file: count if may_add else min(count, allowed[file])
        for file, count in sorted(counts.items())
        if may_add or file in allowed
    }
    ALLOWANCES.write_text(
        "\n".join([HEAD, *map(_array, lists, lists.values()), _table("prose", words)])
    )


def _array(name: str, values: list[str]) -> str:
    if not values:
        return f"{name} = []"
    lines = "".join(f"    {json.dumps(value)},\n" for value in values)
    return f"{name} = [\n{lines}]"


def _table(name: str, values: dict[str, Any]) -> str:
    return f"\n[{name}]\n" + "".join(
        f"{json.dumps(key)} = {value}\n" for key, value in values.items()
    )


if __name__ == "__main__":
    main(may_add="--add" in sys.argv)

"""Where the package, its tests and its documentation are, and which exceptions from the rules are left."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "airflow_deepseek_ocr"
UNIT_TESTS = ROOT / "tests" / "unit"
ALLOWANCES = UNIT_TESTS / "allowances.toml"


def allowances() -> dict[str, Any]:
    """Return the exceptions of ``tests/unit/allowances.toml`` by their heading."""
    return tomllib.loads(ALLOWANCES.read_text("utf-8"))


def relative(path: Path) -> str:
    """Return the path as it is written in messages and in the list of exceptions."""
    return path.relative_to(ROOT).as_posix()


def package_modules() -> list[Path]:
    """Return every module of the package that a test belongs to: no ``__init__``, no migration.

    Example DAGs are run by tests/integration/airflow.
    """
    return sorted(
        path
        for path in PACKAGE.rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
        and not {"migrations", "example_dags"} & set(path.parts)
    )


def python_files(*directories: str) -> list[Path]:
    """Return the Python files below directories of the repository."""
    return sorted(
        path
        for directory in directories
        for path in (ROOT / directory).rglob("*.py")
        if "golden" not in path.parts
    )

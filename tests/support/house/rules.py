"""The rules of the house, each as a function that returns what breaks it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.house.paths import (
    PACKAGE,
    ROOT,
    UNIT_TESTS,
    package_modules,
    python_files,
    relative,
)

MAX_LINES = 400
MAX_MODULES = 16
MAX_FUNCTION_LINES = 50

#: A code as :class:`ErrorCode` spells it; a message has spaces or a capital letter.
_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def modules_without_test() -> list[str]:
    """Return modules of the package without ``tests/unit/<path>/test_<module>.py``."""
    return [
        relative(module)
        for module in package_modules()
        if not _test_of(module.relative_to(PACKAGE)).exists()
    ]


def tests_without_module() -> list[str]:
    """Return unit tests in a mirrored directory that name no module of the package."""
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    return [
        relative(test)
        for test in sorted(UNIT_TESTS.rglob("test_*.py"))
        if (inside := test.relative_to(UNIT_TESTS)).parts[0] in rooms
        and not (PACKAGE / inside.parent / inside.name.removeprefix("test_")).exists()
    ]


def long_files() -> list[str]:
    """Return Python files with more than :data:`MAX_LINES` lines."""
    files = python_files("airflow_deepseek_ocr", "tests", "benchmarks", "training", "demo")
    return [relative(file) for file in files if len(file.read_text().splitlines()) > MAX_LINES]


def full_directories() -> dict[str, int]:
    """Return directories of the package with more than :data:`MAX_MODULES` modules."""
    directories = [PACKAGE, *(path for path in PACKAGE.rglob("*") if path.is_dir())]
    counts = {
        relative(directory): sum(file.name != "__init__.py" for file in directory.glob("*.py"))
        for directory in directories
    }
    return {directory: count for directory, count in counts.items() if count > MAX_MODULES}


def asserts() -> list[str]:
    """Return modules of the package that use ``assert`` or ``AssertionError``."""
    return _modules_with(
        lambda node: (
            isinstance(node, ast.Assert)
            or (isinstance(node, ast.Name) and node.id == "AssertionError")
        )
    )


def loose_codes() -> list[str]:
    """Return modules of the package that give an error a code as a string instead of ``ErrorCode``."""
    return _modules_with(lambda node: isinstance(node, ast.Call) and _raises_loosely(node))


def _modules_with(matches: Callable[[ast.AST], bool]) -> list[str]:
    return [
        relative(module)
        for module in python_files("airflow_deepseek_ocr")
        if any(matches(node) for node in ast.walk(ast.parse(module.read_text())))
    ]


def _raises_loosely(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    return (
        name.endswith("Error")
        and isinstance(first, ast.Constant)
        and isinstance(first.value, str)
        and _CODE.fullmatch(first.value) is not None
    )


def _test_of(module: Path) -> Path:
    return UNIT_TESTS / module.parent / f"test_{module.name}"


def markdown_files() -> Iterator[Path]:
    """Yield the pages for people: the root's, and those of each directory that has some."""
    yield from sorted(ROOT.glob("*.md"))
    for directory in ("docs", "benchmarks", "models", "packages", "training", "tests", "demo"):
        yield from sorted((ROOT / directory).rglob("*.md"))


def long_functions() -> list[str]:
    """Return functions of the package with :data:`MAX_FUNCTION_LINES` lines or more below the docstring."""
    return [
        f"{relative(module)}:{node.name}"
        for module in python_files("airflow_deepseek_ocr")
        if "versions" not in module.parts
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and _lines(node) >= MAX_FUNCTION_LINES
    ]


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return (function.end_lineno or 0) - function.lineno + 1
    return (function.end_lineno or 0) - (first.end_lineno or 0)

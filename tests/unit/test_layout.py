"""What may import what, where a module and its test are, and how long a file may be."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.house import rules
from tests.support.house.paths import PACKAGE, ROOT, allowances, python_files

#: What Airflow's own classes import; the package's are imported after them.
IMPORT_AIRFLOW_CLASSES = """
import json, sys
import airflow_deepseek_ocr.get_provider_info
import airflow_deepseek_ocr.hooks.deepseek_ocr
import airflow_deepseek_ocr.operators.deepseek_ocr
import airflow_deepseek_ocr.sensors.s3
import airflow_deepseek_ocr.triggers.s3
import airflow_deepseek_ocr.triggers.sqs
import airflow_deepseek_ocr.decorators.deepseek_ocr
print(json.dumps([name for name in ("torch", "transformers", "pypdfium2") if name in sys.modules]))
"""


def test_airflow_classes_import_without_the_model() -> None:
    output = _python(IMPORT_AIRFLOW_CLASSES).stdout
    assert json.loads(output.splitlines()[-1]) == []


def test_the_core_works_without_airflow_and_torch() -> None:
    block = "import sys; sys.modules.update(dict.fromkeys(('airflow', 'torch', 'transformers')))\n"
    modules = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for room in ("ocr", "pipeline", "cli")
        for file in python_files(f"airflow_deepseek_ocr/{room}")
        if file.stem != "__main__"
    ]
    assert len(modules) > 40
    _python(block + "\n".join(f"import {module.removesuffix('.__init__')}" for module in modules))


def test_without_torch_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from airflow_deepseek_ocr.cli.main import main\n"
        "sys.exit(main(['read', 'demo/documents/table.png', '--model', 'models/deepseek-ocr-tiny']))"
    )
    done = _python(code, check=False)
    assert done.returncode == 1
    assert "airflow-deepseek-ocr[transformers]" in done.stderr


def test_no_file_is_longer_than_400_lines() -> None:
    assert rules.long_files() == allowances()["long_files"]


def test_no_function_is_longer_than_50_lines() -> None:
    assert rules.long_functions() == allowances()["long_functions"]


def test_no_directory_holds_more_than_16_modules() -> None:
    assert rules.full_directories() == {}


def test_every_module_has_a_test_at_the_mirrored_path() -> None:
    """The allowance may only shrink: an entry whose test exists now must be removed."""
    assert rules.modules_without_test() == allowances()["modules_without_test"]


def test_every_mirrored_test_belongs_to_a_module() -> None:
    assert rules.tests_without_module() == allowances()["tests_without_module"]


def test_the_package_controls_nothing_by_assertions() -> None:
    assert rules.asserts() == allowances()["asserts"]


def test_errors_name_members_of_the_enum_of_codes() -> None:
    assert rules.loose_codes() == allowances()["loose_codes"]


def _python(code: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=check,
        timeout=120,
        cwd=PACKAGE.parent,
    )

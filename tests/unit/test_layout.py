"""What may import what, how long it takes, and how long a module may be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import airflow_deepseek_ocr

PACKAGE = Path(airflow_deepseek_ocr.__file__).parent

#: What Airflow loads by itself for any provider's operator, sensor and trigger with a database.
AIRFLOW_ITSELF = """
import airflow.sdk, airflow.triggers.base, asgiref.sync, sqlalchemy.orm
import airflow.providers.common.compat.sdk as compat
for name in ("BaseHook", "BaseOperator", "BaseSensorOperator", "DecoratedOperator", "conf"):
    getattr(compat, name)
"""

IMPORT_ALL = f"""
import json, sys, time
{AIRFLOW_ITSELF}
start = time.perf_counter()
import airflow_deepseek_ocr.get_provider_info
import airflow_deepseek_ocr.hooks.deepseek_ocr
import airflow_deepseek_ocr.operators.deepseek_ocr
import airflow_deepseek_ocr.sensors.s3
import airflow_deepseek_ocr.triggers.s3
import airflow_deepseek_ocr.decorators.deepseek_ocr
seconds = time.perf_counter() - start
heavy = [name for name in ("torch", "transformers", "pypdfium2", "PIL", "numpy") if name in sys.modules]
print(json.dumps([seconds, heavy]))
"""


def test_airflow_classes_import_fast_and_without_the_model() -> None:
    seconds = []
    for _ in range(3):
        output = subprocess.run(
            [sys.executable, "-c", IMPORT_ALL],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        took, heavy = json.loads(output.splitlines()[-1])
        assert not {"torch", "transformers", "pypdfium2"} & set(heavy)
        seconds.append(took)
    assert min(seconds) < 0.3, seconds


def test_the_core_works_without_airflow_and_torch() -> None:
    block = "import sys; sys.modules.update(dict.fromkeys(('airflow', 'torch', 'transformers')))\n"
    names = [
        f"airflow_deepseek_ocr.ocr.{path.stem}" for path in (PACKAGE / "ocr").glob("[a-z]*.py")
    ]
    names += ["airflow_deepseek_ocr.cli.main", "airflow_deepseek_ocr.pipeline.pipeline"]
    subprocess.run(
        [sys.executable, "-c", block + "\n".join(f"import {name}" for name in names)],
        check=True,
        timeout=120,
    )


def test_without_torch_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from airflow_deepseek_ocr.cli.main import main\n"
        "sys.exit(main(['read', 'demo/documents/table.png', '--model', 'models/deepseek-ocr-tiny']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120,
        cwd=PACKAGE.parent,
    )  # fmt: skip
    assert done.returncode == 1
    assert "airflow-deepseek-ocr[transformers]" in done.stderr


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert [path for path, length in lengths.items() if length > 400] == []

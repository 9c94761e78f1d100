"""The connection form and the imports on older versions of Airflow, each in a separate environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.support.airflow_releases import RELEASES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FORM = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
import airflow_deepseek_ocr.operators.deepseek_ocr
import airflow_deepseek_ocr.sensors.s3
import airflow_deepseek_ocr.triggers.s3
import airflow_deepseek_ocr.triggers.sqs
import airflow_deepseek_ocr.decorators.deepseek_ocr
(form,) = (m for m in HookMetaService.hook_meta_data() if m.connection_type == "deepseek_ocr")
form = form.model_dump(mode="json")
fields = {
    name: [
        field["value"], field["description"],
        *(field["schema"].get(key) for key in ("title", "type", "enum")),
    ]
    for name, field in form["extra_fields"].items()
}
print(json.dumps([fields, form["standard_fields"], form["hook_name"]]))
"""


def form_shown_by(python: Path, home: Path) -> Any:
    environment = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    environment |= {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [python, "-c", FORM],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("version", "before"), [release for release in RELEASES.values() if release.before]
)
def test_the_form_is_the_same(version: str, before: str, tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    python = tmp_path / "venv" / "bin" / "python"

    def run(*arguments: object) -> None:
        subprocess.run([uv, *map(str, arguments)], check=True, timeout=600)

    run("venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    requirements = [
        f"apache-airflow=={version}", "apache-airflow-providers-amazon",
        "apache-airflow-providers-sqlite", "SQLAlchemy>=2,!=2.1.0", "pypdfium2", "pillow", "numpy",
        "huggingface_hub", "filelock",
    ]  # fmt: skip
    install = ("pip", "install", "--quiet", "--python", python)
    run(*install, "--exclude-newer", before, *requirements)
    run(*install, "--no-deps", "--editable", ROOT)

    shown = form_shown_by(python, tmp_path / "home")
    assert shown == form_shown_by(Path(sys.executable), tmp_path / "current")
    assert len(shown[0]) >= 10

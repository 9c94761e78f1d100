"""The plugin as Airflow's processes load it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib import import_module

from airflow.plugins_manager import AirflowPlugin

from airflow_deepseek_ocr.airflow_support.results_page import PageSettings
from airflow_deepseek_ocr.plugins import deepseek_ocr
from airflow_deepseek_ocr.plugins.deepseek_ocr import DeepSeekOCRPlugin, lazy_app
from tests.conftest import ROOT

IMPORT = """
import json, sys
import airflow.plugins_manager
import airflow_deepseek_ocr.plugins.deepseek_ocr
heavy = ["torch", "transformers", "pypdfium2", "nh3", "boto3"]
heavy += ["airflow_deepseek_ocr.plugins.results_page.app", "airflow_deepseek_ocr.store.tables"]
print(json.dumps([name for name in heavy if name in sys.modules]))
"""


def test_the_plugin_is_an_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, name = project["entry-points"]["airflow.plugins"]["deepseek_ocr"].partition(":")
    assert getattr(import_module(module), name) is DeepSeekOCRPlugin
    assert issubclass(DeepSeekOCRPlugin, AirflowPlugin)


def test_it_has_one_app_and_one_entry_of_the_menu() -> None:
    (app,) = DeepSeekOCRPlugin.fastapi_apps
    assert app == {"app": lazy_app, "url_prefix": "/deepseek-ocr", "name": "OCR results"}
    (view,) = DeepSeekOCRPlugin.external_views
    assert view["destination"] == "nav"
    # Without the slash, Airflow's own page answers.
    assert view["href"] == "/deepseek-ocr/"


def test_it_can_be_switched_off() -> None:
    off = PageSettings(enabled=False)
    assert deepseek_ocr._apps(off) == deepseek_ocr._views(off) == []


def test_loading_it_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True, timeout=120
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []

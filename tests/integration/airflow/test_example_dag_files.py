"""The files of the example DAGs: what each one says, needs and costs, and how Airflow finds them."""

from __future__ import annotations

import ast
import json
import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor
from tests.conftest import ROOT
from tests.support.servers.airflow import DAGS

FILES = sorted(path for path in DAGS.glob("*.py") if path.name != "__init__.py")
IDS = {path.stem for path in FILES}
#: Parameters that the documentation of their DAG does not name one by one.
UNNAMED = ("max_failed_pages", "aws_conn_id", "deepseek_ocr_conn_id", "db_conn_id")
#: Packages that no parse of a DAG should import: they take seconds, or are not on the DAG processor.
HEAVY = ("torch", "transformers", "pypdfium2", "boto3", "pandas")

#: Prints a description of the DAGs of all files, or of the provider's bundle with the argument "bundle".
DESCRIBE = """
import json, socket, sys

def refuse(*arguments, **named):
    raise AssertionError("A connection was opened while a DAG was parsed.")

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag
known = set(sys.modules)
directory = sys.argv[1]
if directory == "bundle":
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    bundles = {bundle.name: bundle for bundle in DagBundlesManager().get_all_dag_bundles()}
    bundle = bundles["airflow-deepseek-ocr-example-dags"]
    bundle.initialize()
    directory = str(bundle.path)
connect, socket.socket.connect = socket.socket.connect, refuse
bag = DagBag(directory)
socket.socket.connect = connect
print(json.dumps({
    "directory": directory,
    "errors": bag.import_errors,
    "imported": sorted(set(sys.modules) - known),
    "dags": {
        name: {
            "file": dag.fileloc,
            "doc": dag.doc_md,
            "description": dag.description,
            "params": {key: param.schema | {"description": param.description}
                       for key, param in ((key, dag.params.get_param(key)) for key in dag.params)},
            "tasks": [task.task_id for task in dag.tasks],
        }
        for name, dag in bag.dags.items()
    },
}))
"""


def describe(directory: Path | str, home: Path, **settings: str) -> Any:
    """Return what a DAG processor without connections makes of a directory."""
    environment = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    environment |= {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **settings}
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE, str(directory)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=environment,
        cwd=home,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    return describe(DAGS, tmp_path_factory.mktemp("home"), PYTHONPATH=path)


def test_each_file_has_the_dag_of_its_name(described: Any) -> None:
    assert described["errors"] == {}
    assert {Path(dag["file"]).stem for dag in described["dags"].values()} == IDS
    assert set(described["dags"]) >= IDS


def test_parsing_needs_neither_model_nor_s3_nor_a_database(described: Any) -> None:
    imported = {name.partition(".")[0] for name in described["imported"]}
    assert imported.isdisjoint(HEAVY)
    assert "airflow_deepseek_ocr" in imported


@pytest.mark.parametrize("name", sorted(IDS))
def test_the_dags_of_a_file_say_what_to_set(name: str, described: Any) -> None:
    for dag in described["dags"].values():
        if Path(dag["file"]).stem == name:
            check_documentation(dag)


def check_documentation(dag: dict[str, Any]) -> None:
    assert "onnection" in dag["doc"]
    assert "Set " in dag["doc"]
    for param, schema in dag["params"].items():
        assert schema.get("type"), param
        assert schema["description"], param
        assert f"``{param}``" in dag["doc"] or param in UNNAMED


@pytest.mark.parametrize("name", sorted(IDS))
def test_a_dag_is_documented_and_run(name: str) -> None:
    guide = (ROOT / "docs" / "guides" / "examples.md").read_text("utf-8")
    link = f"[{name}](../../airflow_deepseek_ocr/example_dags/{name}.py)"
    assert len([line for line in guide.splitlines() if line.startswith("| ") and link in line]) == 1
    directory = Path(__file__).parent
    assert name in {
        node.value.removesuffix(".py")
        for test in directory.glob("test_*.py")
        if test != Path(__file__)
        for node in ast.walk(ast.parse(test.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("name", ["gpu_pods", "s3_to_database_pods"])
def test_without_kubernetes_its_dags_are_left_out_with_a_warning(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.client", None)
    defined = runpy.run_path(str(DAGS / f"{name}.py"))
    assert "find" not in defined
    # Airflow's logging, once it is set up, prints.
    said = caplog.text + capsys.readouterr().out
    assert f"There is no DAG {name}: it needs the package kubernetes" in said


@pytest.mark.parametrize(
    ("name", "asset"),
    [("s3_events_to_database", "new_documents"), ("s3_queue_to_database", "uploaded_documents")],
)
def test_a_run_of_several_events_reads_each_version_once(name: str, asset: str) -> None:
    """Events come twice, or without documents: a person made them in the UI."""
    defined = runpy.run_path(str(DAGS / f"{name}.py"))
    first, second = ({"uri": f"s3://b/{key}.pdf", "version": "etag:1"} for key in "ab")
    extras = [
        {"payload": {"documents": [[first]]}},
        {"from_rest_api": True},
        {"payload": {"documents": [[first, second]]}},
    ]
    found = [
        SimpleNamespace(asset=defined[asset], source_aliases=[], extra=extra) for extra in extras
    ]
    # In Airflow 3.1 an asset with a watcher has no hash, and is no key of a dictionary.
    events = TriggeringAssetEventsAccessor.build(found)
    (batch,) = defined["batches"].function(events)
    assert [each["uri"] for each in batch] == [first["uri"], second["uri"]]


def test_both_dags_of_a_queue_take_the_documents_below_the_prefix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEEPSEEK_OCR_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/1/letters")
    monkeypatch.setenv("DEEPSEEK_OCR_BUCKET", "letters")
    monkeypatch.setenv("DEEPSEEK_OCR_PREFIX", "in/")
    defined = runpy.run_path(str(DAGS / "s3_queue_to_database.py"))
    _, trigger = defined["trigger"].serialize()
    assert (trigger["bucket"], trigger["prefix"]) == (["letters"], "in/")
    assert (defined["find"].bucket, defined["find"].prefix) == ("letters", "in/")


@pytest.mark.parametrize("name", sorted(IDS))
def test_a_run_that_is_triggered_by_hand_does_not_wait(name: str) -> None:
    """As the quickstart says of a run that finds no documents."""
    for each in runpy.run_path(str(DAGS / f"{name}.py")).values():
        if isinstance(each, S3NewDocumentSensor):
            assert each.timeout == 0 or each.manual_timeout == 0


@pytest.mark.slow
def test_airflow_loads_the_examples_of_an_installed_wheel(tmp_path: Path) -> None:
    """As a user installs it: from the sdist a wheel, in a directory without this checkout."""
    uv = Path(sys.executable).with_name("uv")
    # The sdist first, and the wheel from it.
    subprocess.run([uv, "build", "--quiet", "--out-dir", tmp_path, ROOT], check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    home = tmp_path / "home"
    home.mkdir()
    found = describe("bundle", home, PYTHONPATH=str(installed), AIRFLOW__CORE__LOAD_EXAMPLES="True")
    assert found["errors"] == {}
    assert set(found["dags"]) >= IDS
    assert Path(found["directory"]) == installed / "airflow_deepseek_ocr" / "example_dags"

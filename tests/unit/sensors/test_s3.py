"""Arguments of the sensor; tests/integration/airflow polls a real S3 server with it."""

from __future__ import annotations

import inspect
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_deepseek_ocr.airflow_support.new_documents import NewDocuments
from airflow_deepseek_ocr.connection.options import DiscoveryOptions, OcrOptions
from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor
from airflow_deepseek_ocr.store.results_store import State
from tests.support.airflow_connections import define_model

CONN_ID = "deepseek_ocr_default"


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    define_model(monkeypatch, CONN_ID, model="/m", resolution="small")


def sensor(**arguments: Any) -> S3NewDocumentSensor:
    return S3NewDocumentSensor(task_id="find", **{"bucket": "b"} | arguments)


def test_the_same_templates_give_operator_and_sensor_the_same_configuration() -> None:
    templates = {
        "deepseek_ocr_conn_id": "{{ params.conn_id }}",
        "prompt": "{{ params.prompt }}",
        "resolution": "{{ params.resolution }}",
        "retry_with": "{{ params.steps }}",
        "text_layer": "{{ params.text_layer }}",
        "pages": "{{ params.pages }}",
    }
    params = {"conn_id": CONN_ID, "prompt": "ocr", "resolution": "base", "steps": "slices_2"}
    params |= {"text_layer": "off", "pages": "1-3"}
    find = sensor(**templates)
    read = DeepSeekOCROperator(task_id="read", documents=[], **templates)
    for task in (find, read):
        task.render_template_fields({"params": params})
    config = read.hook.settings.processing_config(OcrOptions.of(read))
    assert (config.prompt, config.resolution, config.pages) == ("ocr", "base", "1-3")
    assert NewDocuments.of(find).config_key() == config.key


def test_the_operator_s_templates_are_the_sensor_s() -> None:
    def arguments(kind: type) -> set[str]:
        return set(inspect.signature(kind.__init__).parameters) - {"self", "kwargs"}  # type: ignore[misc]

    for kind in (DeepSeekOCROperator, S3NewDocumentSensor):
        assert set(kind.template_fields) == arguments(kind)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"with_version_ids": "maybe"}, "with_version_ids"),
        ({"bucket": None}, "bucket"),
        ({"batch_size": "many"}, "batch_size"),
        ({"deferrable": "later"}, "deferrable"),
        ({"db_conn_id": None}, "db_conn_id"),
        ({"db_schema": "a;b"}, "db_schema"),
        ({"db_table_prefix": "Scans"}, "db_table_prefix"),
        ({"minimum_age": "soon"}, "minimum_age"),
    ],
)
def test_a_rendered_value_of_another_type_is_named(arguments: dict[str, Any], said: str) -> None:
    ((name, value),) = arguments.items()
    find = sensor(**{name: "{{ params.x }}"})
    find.render_template_fields({"params": {"x": value}})
    with pytest.raises(AirflowFailException, match=said):
        find.execute({})
    setattr(find, name, "{{ params.x }}")
    with pytest.raises(AirflowFailException, match=f"{said} is .* not rendered"):
        find.execute({})


def test_rendered_text_becomes_the_search_s_values() -> None:
    given = {
        "bucket": "b",
        "prefix": None,
        "suffixes": [".PDF", ".png"],
        "glob": None,
        "minimum_age": timedelta(minutes=1),
        "with_version_ids": False,
        "batch_size": 4,
        "retry_failed_after": 60,
        "deepseek_ocr_conn_id": None,
        "dpi": 72,
        "min_score": 0.25,
        "pages": 3,
    }
    find = sensor(**{name: f"{{{{ params.{name} }}}}" for name in given})
    find.render_template_fields({"params": given})
    search = find._search()
    assert search.discovery == DiscoveryOptions(
        bucket="b",
        suffixes=[".PDF", ".png"],
        minimum_age=timedelta(minutes=1),
        batch_size=4,
        retry_failed_after=timedelta(minutes=1),
    )
    assert search.ocr == OcrOptions(dpi=72, min_score=0.25, pages="3")
    assert search.deepseek_ocr_conn_id is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"prompt": "markdwon"}, "markdown, ocr, free, figure, describe, locate"),
        ({"resolution": "huge"}, "tiny, small, base, large, gundam"),
        ({"retry_with": ["halves"]}, "slices_2, slices_4"),
        ({"text_layer": "always"}, "off, compare, first"),
        ({"pages": "x"}, "1-3,5,10-"),
        ({"dpi": 5}, "18 to 1200"),
        ({"min_score": 2}, "from 0 to 1"),
        ({"batch_size": 0}, "batch_size"),
        ({"minimum_age": "1h"}, "minimum_age"),
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_typo_fails_and_the_message_names_the_choices(
    arguments: dict[str, Any], said: str, deferrable: bool
) -> None:
    with pytest.raises(AirflowFailException, match=said):
        sensor(**arguments)
    ((name, value),) = arguments.items()
    if name in S3NewDocumentSensor.template_fields:
        template = ["{{ params.x }}"] if isinstance(value, list) else "{{ params.x }}"
        find = sensor(deferrable=deferrable, deepseek_ocr_conn_id=CONN_ID, **{name: template})
        find.render_template_fields(
            {"params": {"x": value[0] if isinstance(value, list) else value}}
        )
        with pytest.raises(AirflowFailException, match=said):
            find.execute({}) if deferrable else find.poke({})


def test_more_batches_than_mapped_tasks_are_refused() -> None:
    with pytest.raises(AirflowFailException, match="max_map_length=1024"):
        sensor(batch_size=1, max_documents=5000).poke({})


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (None, AirflowFailException),
        ({"status": "odd"}, AirflowFailException),
        ({"status": "error", "message": "m", "retryable": True}, AirflowException),
        ({"status": "error", "message": "m"}, AirflowFailException),
    ],
)
def test_an_event_without_documents_fails(event: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        sensor().execute_complete({}, event)
    assert type(caught.value) is kind


def test_an_event_with_documents_is_returned() -> None:
    documents = [[{"uri": "s3://b/k"}]]
    assert sensor().execute_complete({}, {"status": "success", "documents": documents}) == documents


@pytest.mark.parametrize("waited_in_triggerer", [False, True])
def test_the_documents_that_are_returned_are_counted_once(
    monkeypatch: pytest.MonkeyPatch, waited_in_triggerer: bool
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "airflow_deepseek_ocr.sensors.s3.send_found",
        lambda documents, batches, dag_id, task_id: sent.append((documents, batches)),
    )
    found = [[{"uri": "s3://b/1"}, {"uri": "s3://b/2"}], [{"uri": "s3://b/3"}]]
    answers = [[], found]
    monkeypatch.setattr(NewDocuments, "find", lambda _, seen: answers.pop(0))
    find = sensor()
    assert not find.poke({}).is_done
    if waited_in_triggerer:
        find.execute_complete({}, {"status": "success", "documents": found})
    else:
        assert find.poke({}).is_done
    assert sent == [(3, 2)]


def test_defaults_are_those_of_the_options() -> None:
    parameters = inspect.signature(S3NewDocumentSensor.__init__).parameters
    options = vars(DiscoveryOptions(bucket="b")) | vars(OcrOptions())
    del options["bucket"]
    assert {name: parameters[name].default for name in options} == options


def test_a_templated_bucket_is_checked_when_it_is_rendered() -> None:
    find = sensor(bucket="{{ params.bucket }}", suffixes=".PDF")
    find.render_template_fields({"params": {"bucket": "s3://letters/in"}})
    with pytest.raises(AirflowFailException, match=r"bucket='letters' and prefix='in'"):
        find.poke({})
    with pytest.raises(AirflowFailException, match=r"bucket='letters'"):
        sensor(bucket="s3://letters")


class _Searches:
    """Stands for the bucket and the database: finds nothing, and counts how often it is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0

        def find(search: NewDocuments, *, seen: Counter[State]) -> list[Any]:
            self.count += 1
            seen.update({State.DONE: 7, State.RUNNING: 2})
            return []

        monkeypatch.setattr(NewDocuments, "find", find)


def _run(run_type: str) -> Any:
    return {"dag_run": SimpleNamespace(run_type=run_type)}


@pytest.mark.parametrize(
    ("run_type", "manual_timeout", "waits_s"),
    [
        ("scheduled", 0, 3000),
        ("manual", None, 3000),
        ("manual", 90, 90),
        ("manual", timedelta(hours=9), 3000),
        ("asset_triggered", 0, 3000),
    ],
)
def test_a_run_that_is_triggered_by_hand_may_wait_shorter(
    run_type: str, manual_timeout: Any, waits_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Searches(monkeypatch)
    find = sensor(deferrable=True, timeout=3000, manual_timeout=manual_timeout)
    with pytest.raises(TaskDeferred) as deferred:
        find.execute(_run(run_type))
    assert deferred.value.timeout == timedelta(seconds=waits_s)


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("soft_fail", "kind"), [(True, AirflowSkipException), (False, AirflowSensorTimeout)]
)
def test_a_run_that_does_not_wait_searches_once(
    soft_fail: bool, kind: type[Exception], deferrable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = _Searches(monkeypatch)
    find = sensor(
        deferrable=deferrable, soft_fail=soft_fail, timeout=3000, manual_timeout="{{ params.x }}"
    )
    find.render_template_fields({"params": {"x": 0}})
    lines: list[str] = []
    monkeypatch.setattr(find.log, "info", lambda text, *values: lines.append(text % values))
    with pytest.raises(kind) as ended:
        find.execute(_run("manual"))
    assert type(ended.value) is kind
    assert searches.count == 1
    assert lines == [
        "No new documents in s3://b/: 9 documents known, 2 of them in work by other tasks."
    ]


@pytest.mark.parametrize(("conn_id", "warnings"), [(CONN_ID, 0), (None, 1)])
def test_a_sensor_without_the_operator_s_connection_warns(
    conn_id: str | None, warnings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Searches(monkeypatch)
    find = sensor(deferrable=True, deepseek_ocr_conn_id=conn_id)
    lines: list[str] = []
    monkeypatch.setattr(find.log, "warning", lines.append)
    with pytest.raises(TaskDeferred):
        find.execute(_run("scheduled"))
    assert sum("deepseek_ocr_conn_id is not set" in line for line in lines) == warnings


def test_a_negative_wait_is_refused_in_the_dag() -> None:
    with pytest.raises(AirflowFailException, match="manual_timeout"):
        sensor(manual_timeout=-1)

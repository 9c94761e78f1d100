"""People answer the questions of the example DAG ``review_pages`` through Airflow's API, as its UI does."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from airflow_deepseek_ocr.hooks.ocr_results import OcrResults
from tests.conftest import ROOT, TINY_MODEL
from tests.support.airflow_connections import define_sqlite
from tests.support.servers.airflow import DAGS, Airflow, airflow, aws_connection, standalone
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.process import Process, wait_until
from tests.support.servers.s3 import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

#: Seconds that one step may take: a busy host starts Airflow's components and loads the model.
STEP_S = 480
POLL_S = 0.5
DB_CONN_ID = "deepseek_ocr_db"
ASKED, UNANSWERED = "review_pages", "unanswered"
NAMES = ("accepted", "corrected", "reviewed", "wrong")
ACCEPT, CORRECT, LEAVE = "Accept", "Store my text", "Leave it"


@dataclass(frozen=True)
class Questions:
    """Airflow's API, as the person ``ada`` uses it."""

    api: httpx.Client
    process: Process

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        def slowly() -> bool:
            time.sleep(POLL_S)
            return holds()

        wait_until(slowly, STEP_S, what, self.process)

    def start(self, dag_id: str, prefix: str) -> None:
        body = {"dag_run_id": "run", "logical_date": None, "conf": {"prefix": prefix}}
        path = f"/api/v2/dags/{dag_id}/dagRuns"
        self.wait(lambda: self.api.post(path, json=body).is_success, f"{dag_id} is triggered")

    def _get(self, dag_id: str, path: str) -> Any:
        return self.api.get(f"/api/v2/dags/{dag_id}/dagRuns/run{path}").raise_for_status().json()

    def open(self) -> dict[str, dict[str, Any]]:
        """Return the questions without an answer, by the name of the document."""
        found = self._get(ASKED, "/hitlDetails?response_received=false")["hitl_details"]
        return {each["subject"].rpartition("/")[2].removesuffix(".png"): each for each in found}

    def answer(self, question: dict[str, Any], choice: str, params: dict[str, Any]) -> int:
        index = question["task_instance"]["map_index"]
        path = f"/api/v2/dags/{ASKED}/dagRuns/run/taskInstances/review.ask/{index}/hitlDetails"
        body = {"chosen_options": [choice], "params_input": params}
        return self.api.patch(path, json=body).status_code

    def states(self, dag_id: str = ASKED) -> dict[tuple[str, int], str]:
        """Return the states of mapped tasks."""
        found = self._get(dag_id, "/taskInstances")["task_instances"]
        return {
            (each["task_id"], each["map_index"]): each["state"]
            for each in found
            if each["map_index"] >= 0
        }

    def returned(self, dag_id: str, index: int) -> Any:
        path = f"/taskInstances/review.store/xcomEntries/return_value?map_index={index}"
        return self._get(dag_id, path)["value"]

    def wait_for(self, index: int, state: str, dag_id: str = ASKED) -> None:
        """Wait until an answer was taken."""
        self.wait(
            lambda: self.states(dag_id).get(("review.store", index)) == state,
            f"answer {index} of {dag_id}: {state}",
        )

    def ask_again(self, index: int) -> None:
        """Clear a question, as a person does in the grid."""
        body = {
            "dry_run": False,
            "dag_run_id": "run",
            "only_failed": False,
            "include_downstream": True,
            "task_ids": [["review.ask", index]],
        }
        self.api.post(f"/api/v2/dags/{ASKED}/clearTaskInstances", json=body).raise_for_status()


def write_dags(directory: Path) -> Path:
    """Write the example, and a copy whose questions wait for one second."""
    text = (DAGS / "review_pages.py").read_text()
    dags = directory / "dags"
    dags.mkdir()
    (dags / "review_pages.py").write_text(text)
    for part, change in (
        (f'"{ASKED}"', f'"{UNANSWERED}"'),
        ("timedelta(days=2)", "timedelta(0, 1)"),
    ):
        assert text.count(part) == 1
        text = text.replace(part, change)
    (dags / "unanswered.py").write_text(text)
    return dags


def upload(s3: S3Server) -> None:
    client = boto3.client(
        "s3",
        **s3.client_arguments,
    )
    with closing(client):
        client.create_bucket(Bucket="documents")
        page = str(ROOT / "demo" / "documents" / "table.png")
        for key in (*(f"in/{name}.png" for name in NAMES), "late/late.png"):
            client.upload_file(page, "documents", key)


def connections(s3: S3Server, database: Path) -> dict[str, dict[str, Any]]:
    # The output is cut off, so that each page fails.
    extra = {
        "engine": "in_process",
        "model": str(TINY_MODEL),
        "resolution": "tiny",
        "max_output_length": 60,
        "retry_with": "none",
    }
    return {
        "aws_default": aws_connection(s3),
        DB_CONN_ID: {"conn_type": "sqlite", "host": str(database)},
        "deepseek_ocr_default": {"conn_type": "deepseek_ocr", "extra": extra},
    }


@contextmanager
def signed_in(instance: Airflow, process: Process, password: str) -> Iterator[Questions]:
    with httpx.Client(base_url=instance.url, timeout=120, trust_env=False) as api:
        login = {"username": "ada", "password": password}
        token = api.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        yield Questions(api, process)


@pytest.fixture
def questions(tmp_path: Path) -> Iterator[Questions]:
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({"ada": "password of ada"}))
    settings = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(write_dags(tmp_path)),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ada:op",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
        "OMP_NUM_THREADS": "1",
    }
    with moto_s3() as s3:
        upload(s3)
        found = connections(s3, tmp_path / "results.db")
        with (
            airflow(found, settings) as instance,
            standalone(instance) as process,
            signed_in(instance, process, "password of ada") as questions,
        ):
            yield questions


def test_answers_of_people_are_stored(
    questions: Questions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions.start(ASKED, "s3://documents/in/")
    questions.wait(lambda: set(questions.open()) == set(NAMES), "people are asked")
    questions.start(UNANSWERED, "s3://documents/late/")
    asked = questions.open()
    index = {name: each["task_instance"]["map_index"] for name, each in asked.items()}
    text = asked["accepted"]["params"]["text"]["value"]
    assert text.startswith("<table>")

    define_sqlite(monkeypatch, DB_CONN_ID, tmp_path / "results.db")
    with OcrResults(DB_CONN_ID) as results:

        def page(name: str) -> Any:
            uri = f"s3://documents/{'late' if name == 'late' else 'in'}/{name}.png"
            (document,) = results.documents(uris=[uri])
            (only,) = results.pages(document)
            return only

        # An answer is stored while other questions are open.
        assert questions.answer(asked["corrected"], "Delete it", {"text": "Read"}) == 400
        assert questions.answer(asked["corrected"], CORRECT, {"text": "Read by ada"}) == 200
        assert questions.answer(asked["corrected"], CORRECT, {"text": "Twice"}) == 409
        questions.wait_for(index["corrected"], "success")
        assert set(questions.open()) == set(NAMES) - {"corrected"}
        corrected = page("corrected")
        assert corrected.text == "Read by ada"
        assert corrected.model_text == text

        results.correct(page("reviewed"), "Read by lin", by="lin")
        assert questions.answer(asked["reviewed"], CORRECT, {"text": "Too late"}) == 200
        assert questions.answer(asked["accepted"], ACCEPT, {"text": text}) == 200
        assert questions.answer(asked["wrong"], CORRECT, {"text": 7}) == 200
        questions.wait_for(index["reviewed"], "success")
        questions.wait_for(index["accepted"], "success")
        questions.wait_for(index["wrong"], "failed")
        assert questions.returned(ASKED, index["reviewed"]) == "reviewed elsewhere"
        assert page("reviewed").text == "Read by lin"
        assert page("accepted").is_accepted
        assert [name for name in NAMES if page(name).needs_review(0.8)] == ["wrong"]

        # A wrong answer fails its own question, which can be asked again.
        questions.ask_again(index["wrong"])
        questions.wait(lambda: set(questions.open()) == {"wrong"}, "the question is asked again")
        assert questions.answer(questions.open()["wrong"], ACCEPT, {"text": "Read"}) == 200
        questions.wait_for(index["wrong"], "success")
        # A text that was typed and accepted is a correction.
        assert page("wrong").text == "Read"

        questions.wait_for(0, "success", UNANSWERED)
        assert questions.returned(UNANSWERED, 0) == LEAVE
        assert page("late").needs_review(0.8)
    with closing(sqlite3.connect(tmp_path / "results.db")) as connection:
        by = connection.execute("SELECT reviewed_by, accepted_by FROM ocr_pages").fetchall()
    assert sorted(by, key=str) == [
        ("ada", None),
        ("ada", None),
        ("lin", None),
        (None, "ada"),
        (None, None),
    ]

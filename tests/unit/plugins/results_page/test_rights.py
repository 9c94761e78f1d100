"""The auth manager decides for each DAG."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

from airflow_deepseek_ocr.plugins.results_page import rights
from airflow_deepseek_ocr.plugins.results_page.rights import Rights


class Manager:
    """Allows what it is given, and records what it is asked."""

    def __init__(self, *allowed: tuple[str, str]) -> None:
        self.allowed = set(allowed)
        self.asked: list[Any] = []

    def is_authorized_dag(
        self, *, method: str, access_entity: Any, details: Any, user: Any
    ) -> bool:
        self.asked.append((user, access_entity, details.id, details.team_name))
        return (method, details.id) in self.allowed

    def is_authorized_connection(self, *, method: str, details: Any, user: Any) -> bool:
        return (method, f"connection {details.conn_id}") in self.allowed


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    made = Manager(("GET", "a"), ("GET", "b"), ("PUT", "b"), ("PUT", "c"))
    monkeypatch.setattr(rights, "get_auth_manager", lambda: made)
    return made


def test_to_see_and_to_correct_are_two_rights(manager: Manager) -> None:
    person = Rights("ada", "results")
    assert [person.may_see(each) for each in ("a", "b", "c")] == [True, True, False]
    assert [person.may_correct(each) for each in ("a", "b", "c")] == [False, True, False]
    assert manager.asked[0] == ("ada", DagAccessEntity.TASK_INSTANCE, "a", None)


def test_without_a_dag_the_connection_counts(manager: Manager) -> None:
    person = Rights("ada", "results")
    assert not person.may_see(None)
    assert person.visible(["a", "c", None]).dag_ids == {"a"}
    manager.allowed.add(("GET", "connection results"))
    assert person.visible(["a", "c", None]).without_dag
    assert not person.may_correct(None)


def test_the_team_of_a_dag_is_named_if_there_are_several(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dag import DagModel

    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    # Airflow 3.1 has no teams, and so no such method.
    monkeypatch.setattr(
        DagModel,
        "get_dag_id_to_team_name_mapping",
        lambda ids: dict.fromkeys(ids, "blue"),
        raising=False,
    )
    assert Rights("ada", "results").may_see("a")
    assert manager.asked == [("ada", DagAccessEntity.TASK_INSTANCE, "a", "blue")]

"""What the API server's process keeps between requests."""

from __future__ import annotations

from types import SimpleNamespace

from airflow_deepseek_ocr.plugins.results_page.state import state


def test_the_database_is_opened_once_and_by_the_first_request(results: SimpleNamespace) -> None:
    kept = state()
    assert kept is state()
    assert kept.database._database is None
    kept.database.dag_ids()
    opened = kept.database._database
    assert opened is not None
    kept.database.dag_ids()
    assert kept.database._database is opened

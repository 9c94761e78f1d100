"""What one process of the API server keeps between requests: settings, and the results database."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from fastapi import Depends, HTTPException

from airflow_deepseek_ocr.airflow_support.results_page import PageSettings
from airflow_deepseek_ocr.plugins.results_page.database import ResultsDatabase
from airflow_deepseek_ocr.plugins.results_page.export_places import ExportPlaces
from airflow_deepseek_ocr.plugins.results_page.requests import clear_errors
from airflow_deepseek_ocr.plugins.results_page.rights import Rights, User
from airflow_deepseek_ocr.store.browsing.details import find_document

#: The same text for a document that there is not, and for one that the person may not see.
_NO_DOCUMENT = "There is no such document, or you may not see it."


class State:
    """The settings, the results database that they name, and the places of exports.

    :ivar settings: from Airflow's configuration.
    :ivar database: opened at its first use.
    :ivar export_places: from the settings and the connection.
    """

    def __init__(self) -> None:
        self.settings = PageSettings.load()
        self.database = ResultsDatabase(self.settings)
        self.export_places = ExportPlaces(self.settings.exports)


@cache
def state() -> State:
    """Return this process's state."""
    return State()


def rights(user: User) -> Rights:
    """Return the rights of the person who asks."""
    return Rights(user, state().settings.db_conn_id)


Person = Annotated[Rights, Depends(rights)]


def visible_document(document_id: int, person: Rights) -> dict[str, Any]:
    """Return a document that the person may see.

    :raises HTTPException: 404, also for one that they may not see: ids can be guessed.
    """
    with clear_errors():
        found = state().database.read(find_document, document_id)
    if found is None or not person.may_see(found["dag_id"]):
        raise HTTPException(404, _NO_DOCUMENT)
    return found

"""Who may see and correct which documents: the auth manager decides for each DAG.

To see a document is the right to see task instances of the DAG that read it, to correct it the right to
change them. For documents that no DAG read, the rights on the connection of the results database count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import (
    ConnectionDetails,
    DagAccessEntity,
    DagDetails,
)
from airflow.api_fastapi.core_api.security import get_user
from airflow.providers.common.compat.sdk import conf
from fastapi import Depends

from airflow_deepseek_ocr.store.browsing.filters import Visible

#: The person who asks; 401 without a login.
User = Annotated[Any, Depends(get_user)]

Method = Literal["GET", "PUT"]


class Rights:
    """The rights of one person.

    :param user: the person, as the auth manager knows them.
    :param db_conn_id: connection of the results database.
    """

    def __init__(self, user: Any, db_conn_id: str) -> None:
        self._user, self._db_conn_id = user, db_conn_id

    def may_see(self, dag_id: str | None) -> bool:
        """Return whether the person may see the documents of a DAG.

        :param dag_id: None for documents that no DAG read.
        """
        return self._may("GET", dag_id, _teams([dag_id]))

    def may_correct(self, dag_id: str | None) -> bool:
        """Return whether the person may correct the documents of a DAG."""
        return self.may_see(dag_id) and self._may("PUT", dag_id, _teams([dag_id]))

    def visible(self, dag_ids: Iterable[str | None]) -> Visible:
        """Return those of the DAGs whose documents the person may see."""
        found = list(dag_ids)
        teams = _teams(found)
        seen = [each for each in found if self._may("GET", each, teams)]
        return Visible(frozenset(each for each in seen if each is not None), None in seen)

    def _may(self, method: Method, dag_id: str | None, teams: dict[str, str | None]) -> bool:
        manager: Any = get_auth_manager()
        if dag_id is None:
            details = ConnectionDetails(conn_id=self._db_conn_id)
            return bool(
                manager.is_authorized_connection(method=method, details=details, user=self._user)
            )
        return bool(
            manager.is_authorized_dag(
                method=method,
                access_entity=DagAccessEntity.TASK_INSTANCE,
                details=DagDetails(id=dag_id, team_name=teams.get(dag_id)),
                user=self._user,
            )
        )


def _teams(dag_ids: Iterable[str | None]) -> dict[str, str | None]:
    """Return the team of each DAG, by which auth managers decide if Airflow has several."""
    if not conf.getboolean("core", "multi_team", fallback=False):
        return {}
    from airflow.models.dag import DagModel

    named = [each for each in dag_ids if each is not None]
    mapping = getattr(DagModel, "get_dag_id_to_team_name_mapping", None)
    if mapping is None:
        return {}
    found: dict[str, str | None] = mapping(named)
    return found

"""Airflow's simple auth manager with one DAG that only admins may see."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

from tests.support.fixtures.shown_documents import FOREIGN


class ForeignDagAuthManager(SimpleAuthManager):
    """Does not show the DAG :data:`FOREIGN` to people other than admins."""

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        """Return whether a person may use a DAG."""
        if details is not None and details.id == FOREIGN and str(user.role).upper() != "ADMIN":
            return False
        allowed: bool = super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
        return allowed

"""Releases of Airflow that the package is tested with."""

from __future__ import annotations

from typing import NamedTuple


class Release(NamedTuple):
    """A release of Airflow.

    :param version: the newest release of its minor version.
    :param before: newest date of its dependencies' releases where Airflow's own constraints are out of reach:
        an old Airflow does not start with the newest dependencies. None: it takes the newest.
    """

    version: str
    before: str | None


#: By minor version, the oldest first.
RELEASES = {
    "3.1": Release("3.1.8", "2026-03-15"),
    "3.2": Release("3.2.2", "2026-06-01"),
    "3.3": Release("3.3.2", None),
}
PYTHONS = ("3.11", "3.12", "3.13")

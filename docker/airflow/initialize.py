"""First start, upgrades and restarts: what Airflow needs before its parts start.

Runs in the container ``init`` at every ``docker compose up``. It creates what is missing and keeps what users
changed in the UI: connections, the pool, whether the DAG is paused. Secrets come from the environment and
are on no command line; Airflow's own commands run in this process.
"""

from __future__ import annotations

import json
import os
from typing import Any

import bucket
from airflow.cli.cli_parser import get_parser
from airflow.models import Connection, DagModel, Pool
from airflow.utils.session import create_session
from sqlalchemy import select

#: Reads documents as they arrive; the other example DAGs are there to be unpaused in the UI.
ACTIVE_DAG = "s3_events_to_database"
POOL = "deepseek_ocr"
#: Keys of the model connection's extra that follow the arguments of `make up`; users own the others.
MODEL_KEYS = ("model", "revision", "resolution", "cache_dir", "aws_conn_id")
#: The checkpoint for trials without a GPU, and the mode in which it was evaluated most
#: (models/deepseek-ocr-tiny/README.md); the default mode has several times as many vision tokens.
SMALL_MODEL, SMALL_RESOLUTION = "deepseek-ocr-tiny", "small"


def airflow(*arguments: str) -> None:
    """Run a command of Airflow's command line in this process.

    :param arguments: as after ``airflow``.
    """
    print("airflow", *arguments[:2], flush=True)
    options = get_parser().parse_args(arguments)
    options.func(options)


def create_user(environment: dict[str, str]) -> None:
    """Create the administrator unless the user exists; a changed password is kept."""
    airflow(
        *("users", "create", "--role", "Admin", "--username", environment["ADMIN_USER"]),
        *("--firstname", "DeepSeek", "--lastname", "OCR", "--email", "admin@example.invalid"),
        *("--password", environment["ADMIN_PASSWORD"]),
    )


def model_connection(environment: dict[str, str]) -> dict[str, Any]:
    """Return the fields of the model connection that the arguments of `make up` decide."""
    model = environment["OCR_MODEL"]
    revision = environment.get("OCR_REVISION")
    host = environment.get("OCR_HOST") or None
    extra = {"model": model} | ({"revision": revision} if revision else {})
    if model.endswith(f"/{SMALL_MODEL}"):
        extra["resolution"] = SMALL_RESOLUTION
    if not host:
        # The worker's volume; a server has its own settings.
        extra["cache_dir"] = "/models"
        if model.startswith("s3://"):
            extra["aws_conn_id"] = "aws_default"
    port = environment.get("OCR_PORT")
    return {
        "host": host,
        "port": int(port) if port else None,
        "password": environment["OCR_API_KEY"] if host else None,
        "extra": extra,
        "description": f"make up: {model}{f' at {revision}' if revision else ''}, {host or 'on the worker'}",
    }


def connections(environment: dict[str, str]) -> list[Connection]:
    """Return the connections to S3 and to the results database."""
    return [
        Connection(
            conn_id="aws_default",
            conn_type="aws",
            description="The bucket of this deployment",
            login=environment["S3_ACCESS_KEY"],
            password=environment["S3_SECRET_KEY"],
            extra=json.dumps({"endpoint_url": bucket.ENDPOINT, "region_name": bucket.REGION}),
        ),
        Connection(
            conn_id="deepseek_ocr_db",
            conn_type="postgres",
            description="The results database of this deployment",
            host="postgres",
            port=5432,
            schema="ocr",
            login="ocr",
            password=environment["OCR_DB_PASSWORD"],
        ),
    ]


def store_connections(environment: dict[str, str], session: Any) -> None:
    """Create the connections that are missing; update the model's if `make up` has other arguments."""
    for connection in connections(environment):
        if find(session, connection.conn_id) is None:
            session.add(connection)
            print(f"Created the connection {connection.conn_id}.")
    wanted = model_connection(environment)
    existing = find(session, "deepseek_ocr_default")
    if existing is not None:
        if existing.description == wanted["description"]:
            return
        kept = {key: value for key, value in existing.extra_dejson.items() if key not in MODEL_KEYS}
        wanted["extra"] = kept | wanted["extra"]
        # Replaced: an assignment cannot empty the password of a connection.
        session.delete(existing)
        session.flush()
    extra = json.dumps(wanted.pop("extra"))
    session.add(
        Connection(conn_id="deepseek_ocr_default", conn_type="deepseek_ocr", extra=extra, **wanted)
    )
    print(f"Stored the connection deepseek_ocr_default: {wanted['description']}.")


def find(session: Any, connection_id: str) -> Connection | None:
    """Return a connection of Airflow's database."""
    return session.scalar(select(Connection).where(Connection.conn_id == connection_id))


def store_pool(slots: int, session: Any) -> None:
    """Create the pool in which documents are read, unless it exists.

    :param slots: tasks that read at the same time.
    """
    if session.scalar(select(Pool).where(Pool.pool == POOL)) is None:
        session.add(
            Pool(
                pool=POOL,
                slots=slots,
                description="Tasks that read documents at the same time",
                include_deferred=False,
            )
        )
        print(f"Created the pool {POOL} with {slots} slots.")


def main() -> None:
    """Prepare Airflow's database and the bucket."""
    environment = dict(os.environ)
    airflow("db", "migrate")
    create_user(environment)
    if bucket.create():
        print(f"Created the bucket {bucket.NAME}.")
    with create_session() as session:
        store_connections(environment, session)
        store_pool(int(environment["OCR_POOL_SLOTS"]), session)
        is_new = session.get(DagModel, ACTIVE_DAG) is None
    if is_new:
        # Before the DAG processor starts, so that the DAG is never seen paused.
        airflow("dags", "reserialize")
        airflow("dags", "unpause", ACTIVE_DAG, "--yes")
    print("Ready.")


if __name__ == "__main__":
    main()

"""The commands up, down and drop."""

from __future__ import annotations

import os
from pathlib import Path

from stack import environment
from stack.choices import SMALL_MODEL, Arguments, choose
from stack.compose import Compose
from stack.errors import StackError
from stack.host import Host, find_compose, find_host
from stack.waiting import report, wait_until_ready

DIRECTORY = Path(__file__).resolve().parent.parent
ENVIRONMENT = DIRECTORY / ".env"


def up(arguments: Arguments, *, build: bool, timeout_s: float) -> None:
    """Build, start and wait until every service is healthy.

    :param arguments: what to start.
    :param build: whether to build the images; otherwise they must be there.
    :param timeout_s: longest wait in seconds, without building and fetching weights.
    :raises StackError: a reason why it did not start.
    """
    host = find_host()
    values = _write_environment(arguments, host)
    compose = Compose(host.compose, DIRECTORY)
    print(
        f"Starting {values['COMPOSE_FILE'].replace(':', ', ')} with {values['OCR_MODEL']}",
        flush=True,
    )
    if build and compose.run("build"):
        raise StackError("The images were not built; the reason is above.")
    fetches = not values["OCR_MODEL"].startswith(("/", "s3://"))
    # In the foreground: gigabytes arrive, and their progress is to be seen.
    if fetches and compose.run("run", "--rm", "--no-deps", "weights"):
        raise StackError(
            "The weights were not fetched; the reason is above. Complete files are kept."
        )
    status = compose.run("up", "--detach", "--no-build", "--remove-orphans", timeout_s=timeout_s)
    # Services that others wait for have failed already if the status is not 0.
    failed = wait_until_ready(compose.containers, timeout_s if status == 0 else 0.0)
    if failed:
        raise report(compose, failed)
    if status:
        raise StackError("Compose did not start all services; the reason is above.")
    print(_summary(environment.read(ENVIRONMENT), compose))


def down(*, volumes: bool) -> None:
    """Stop and remove the containers; the volumes stay unless they are to be removed.

    :param volumes: whether to remove documents, databases, logs and weights.
    :raises StackError: there is no ``.env``, or Compose fails.
    """
    compose = _existing()
    # Celery finishes the pages that are being read: the worker's stop_grace_period limits it.
    if compose.run("down", "--remove-orphans", *(["--volumes"] if volumes else [])):
        raise StackError("Compose did not stop all services; the reason is above.")
    if volumes:
        print("Removed containers and volumes. The secrets in docker/.env are kept and used again.")
    else:
        print("Removed the containers. Databases, documents, logs and weights are kept in volumes.")


def drop(files: list[Path]) -> None:
    """Store files of this host in the bucket, under their names.

    :param files: documents.
    :raises StackError: a file is missing, or the deployment is not running.
    """
    if not files:
        raise StackError("Give a document: make drop FILE=scan.pdf")
    compose = _existing()
    for file in files:
        if not file.is_file():
            raise StackError(f"{file} is no file.")
        with file.open("rb") as document:
            put = ("python", "/opt/deepseek-ocr/bucket.py", file.name)
            if compose.run("exec", "-T", "api-server", *put, stdin=document):
                raise StackError(
                    f"{file} was not stored; is everything running? Start it with make up."
                )


def _existing() -> Compose:
    if not ENVIRONMENT.is_file():
        raise StackError("Nothing was started here: docker/.env does not exist. Run make up first.")
    return Compose(find_compose(), DIRECTORY)


def _write_environment(arguments: Arguments, host: Host) -> dict[str, str]:
    recorded = environment.read(ENVIRONMENT) if ENVIRONMENT.exists() else {}
    # Arguments are checked before anything is written.
    values = choose(arguments, recorded, host)
    if not recorded:
        environment.create(ENVIRONMENT, DIRECTORY / ".env.example")
        print(
            f"Wrote {ENVIRONMENT} with random secrets. Keep it: saved passwords cannot be read without it."
        )
    elif added := environment.add_missing_secrets(ENVIRONMENT):
        print(f"Added to {ENVIRONMENT}: {', '.join(added)}")
    environment.update(ENVIRONMENT, values)
    return values


def _summary(values: dict[str, str], compose: Compose) -> str:
    command = f"cd docker && {' '.join(compose.command)}"
    query = "SELECT uri, status, error FROM ocr_current_documents"
    small = values["OCR_MODEL"] == SMALL_MODEL
    return "\n".join(
        [
            "",
            f"Airflow     http://127.0.0.1:{_setting(values, 'AIRFLOW_PORT', '8080')}",
            f"Log in as   {_setting(values, 'ADMIN_USER', 'admin')}",
            "Password    grep ADMIN_PASSWORD docker/.env",
            f"Model       {values['OCR_MODEL']}"
            + (
                " (small, for trials; MODEL=deepseek-ai/DeepSeek-OCR for the published one)"
                if small
                else ""
            ),
            "Documents   make drop FILE=demo/documents/letter.tiff",
            f"            S3: http://127.0.0.1:{_setting(values, 'S3_PORT', '8333')}, bucket documents",
            f'Results     {command} exec postgres psql -U ocr -c "{query}"',
            "Stop        make down",
        ]
    )


def _setting(values: dict[str, str], name: str, default: str) -> str:
    return os.environ.get(name) or values.get(name) or default

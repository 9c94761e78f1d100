"""A whole deployment: documents in S3 become rows, whatever happens to the worker.

The tests are one scenario: each continues where the one before it ended.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.docker.client import Docker
from tests.docker.conftest import Images
from tests.docker.stack import Stack

pytestmark = pytest.mark.timeout(2400)

AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
OTHERS = ("postgres", "valkey", "s3")


@pytest.fixture(scope="module")
def stack(
    docker: Docker, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The deployment, started by the command of a user and removed with its volumes."""
    names = {
        "AIRFLOW_IMAGE": images.airflow,
        "WORKER_IMAGE": images.worker,
        "SERVER_IMAGE": images.server,
    }
    stack = Stack(docker, tmp_path_factory.mktemp("stack"), names)
    try:
        output = stack.command("up", "--no-build", "--gpu", "0")
        assert f"Airflow     http://127.0.0.1:{stack.port}" in output
        assert stack.secret("ADMIN_PASSWORD") not in output
        yield stack
    finally:
        stack.command("down", "--volumes")


def drop(stack: Stack, *names: str) -> None:
    """Store a sample document under each name."""
    for name in names:
        copy = stack.directory / name
        shutil.copy(ROOT / "demo" / "documents" / f"letter{copy.suffix}", copy)
        stack.command("drop", str(copy))


def test_documents_become_rows(stack: Stack) -> None:
    documents = ROOT / "demo" / "documents"
    stack.command("drop", str(documents / "letter.tiff"), str(documents / "invoice.pdf"))

    stack.wait_for_documents("letter.tiff", "invoice.pdf")

    texts = stack.rows(
        "SELECT d.uri, length(p.text) FROM ocr_pages p JOIN ocr_documents d ON d.id = p.document_id"
    )
    assert {uri for uri, _ in texts} == {"s3://documents/letter.tiff", "s3://documents/invoice.pdf"}
    assert all(int(length) > 20 for _, length in texts)


@pytest.mark.parametrize("service", (*AIRFLOW, *OTHERS))
def test_containers_have_no_capabilities_and_nothing_to_write(stack: Stack, service: str) -> None:
    status = dict(
        line.split(":", 1)
        for line in stack.shell(service, "cat /proc/1/status").splitlines()
        if ":" in line
    )
    assert {status[name].strip() for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert status["NoNewPrivs"].strip() == "1"
    assert stack.shell(service, "id -u").strip() != "0"

    for directory in ("/", "/usr", "/etc", "/opt/airflow" if service in AIRFLOW else "/var"):
        output = stack.shell(service, f"touch {directory}/written 2>&1 || true")
        assert "Read-only file system" in output, directory


def test_the_databases_users_are_apart(stack: Stack) -> None:
    as_ocr = "PGPASSWORD=$OCR_DB_PASSWORD psql --host 127.0.0.1 --username ocr airflow --command 'SELECT 1'"

    assert 'permission denied for database "airflow"' in stack.shell(
        "postgres", f"{as_ocr} 2>&1 || true"
    )


def test_connections_and_the_pool_are_in_the_api(stack: Stack) -> None:
    connections = {row["connection_id"]: row for row in stack.api("connections")["connections"]}
    pools = {row["name"]: row["slots"] for row in stack.api("pools")["pools"]}
    dags = {row["dag_id"]: row["is_paused"] for row in stack.api("dags")["dags"]}

    assert set(connections) == {"aws_default", "deepseek_ocr_default", "deepseek_ocr_db"}
    assert connections["aws_default"]["password"] == "***"
    assert pools["deepseek_ocr"] == 1
    assert [name for name, paused in dags.items() if not paused] == ["s3_events_to_database"]
    runs = stack.api("dags/s3_events_to_database/dagRuns")["dag_runs"]
    tasks = stack.api(f"dags/s3_events_to_database/dagRuns/{runs[0]['dag_run_id']}/taskInstances")
    assert {row["pool"] for row in tasks["task_instances"] if row["task_id"] == "read"} == {
        "deepseek_ocr"
    }


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_worker_that_ends_loses_and_doubles_nothing(stack: Stack, end: str) -> None:
    names = [f"{end}-{number}.tiff" for number in range(3)]
    drop(stack, *names)
    stack.wait(
        lambda: any(stack.documents().get(name) == "processing" for name in names),
        "No document begun",
    )

    stack.docker(end, stack.container("worker"))
    stack.docker("start", stack.container("worker"))

    stack.wait_for_documents(*names)
    doubled = stack.rows(
        "SELECT document_id, page_number FROM ocr_pages GROUP BY document_id, page_number HAVING COUNT(*) > 1"
    )
    assert doubled == []
    counts = stack.rows(f"SELECT COUNT(*) FROM ocr_documents WHERE uri LIKE '%/{end}-%'")
    assert counts == [["3"]]


def test_a_second_start_keeps_everything(stack: Stack) -> None:
    path = stack.directory / "docker" / ".env"
    before = path.read_bytes()
    documents = stack.documents()
    connection = stack.api("connections/deepseek_ocr_default")
    connection = {
        key: connection[key] for key in ("connection_id", "conn_type", "description", "extra")
    }
    edited = connection | {"extra": connection["extra"].replace('"small"', '"base"')}
    stack.api("connections/deepseek_ocr_default", "PATCH", edited)
    stack.api("dags/s3_events_to_database", "PATCH", {"is_paused": True})

    stack.command("up", "--no-build")

    assert path.read_bytes() == before
    assert stack.documents() == documents
    assert stack.api("connections/deepseek_ocr_default")["extra"] == edited["extra"]
    assert stack.api("dags/s3_events_to_database")["is_paused"] is True
    stack.api("dags/s3_events_to_database", "PATCH", {"is_paused": False})


def test_a_server_in_a_separate_container(stack: Stack) -> None:
    secrets = stack.secret("FERNET_KEY")

    stack.command("up", "--no-build", "--with", "server")

    assert stack.secret("FERNET_KEY") == secrets
    assert (
        stack.api("connections/deepseek_ocr_default")["host"]
        == "unix:///run/deepseek-ocr/server.sock"
    )
    assert "No module named 'torch'" in stack.shell(
        "worker", "python -c 'import torch' 2>&1 || true"
    )
    assert stack.docker.inspect(stack.container("server"))["HostConfig"]["NetworkMode"] == "none"
    drop(stack, "server.tiff")
    stack.wait_for_documents("server.tiff")


def test_down_keeps_the_volumes(stack: Stack) -> None:
    stack.command("down")

    names = stack.docker(
        "ps", "--all", "--quiet", f"--filter=label=com.docker.compose.project={stack.project}"
    )
    volumes = stack.docker("volume", "ls", "--quiet", f"--filter=name={stack.project}").split()
    assert names == ""
    assert {
        f"{stack.project}_{name}" for name in ("db", "objects", "logs", "models", "broker")
    } <= set(volumes)

"""The resident server in a container of its own, and callers in other containers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY_MODEL
from tests.docker.client import RESTRICTED, Container, Docker, DockerError
from tests.docker.conftest import Images
from tests.support.certificates import Authority
from tests.support.waiting import eventually

API_KEY = "of-the-containers-0123456789abcdef0123456789"
CHECKPOINT = (f"--volume={TINY_MODEL}:/checkpoint:ro", f"--env=OCR_API_KEY={API_KEY}")
SERVE = ("/checkpoint", "--name=deepseek-ocr-tiny", "--api-key-env=OCR_API_KEY")
SOCKET = "--socket=/run/deepseek-ocr/server.sock"
#: Seconds in which the small checkpoint is loaded on busy cores.
START_S = 300
LETTER = "It will come on May 21, 2026"


@pytest.fixture
def volume(docker: Docker) -> Iterator[str]:
    with docker.volume() as name:
        yield name


def test_the_socket_in_a_volume_is_all_that_containers_share(
    docker: Docker, images: Images, volume: str
) -> None:
    options = ("--network=none", f"--volume={volume}:/run/deepseek-ocr", *CHECKPOINT)
    with docker.container(images.server, *SERVE, SOCKET, options=options) as server:
        eventually(lambda: server.healthy, START_S)
        socket = "unix:///run/deepseek-ocr/server.sock"
        mounted = (f"--volume={volume}:/run/deepseek-ocr", "--network=none")
        assert LETTER in _read(docker, images, {"host": socket, "password": API_KEY}, *mounted)
        with pytest.raises(DockerError, match="401"):
            _read(docker, images, {"host": socket, "password": "wrong"}, *mounted)
        # Without an orderly end the socket's file stays behind.
        docker("kill", server.name)
        docker("start", server.name)
        eventually(lambda: server.healthy, START_S)
        assert API_KEY not in server.log()


def test_the_server_makes_an_api_key_in_the_volume(
    docker: Docker, images: Images, volume: str
) -> None:
    options = (
        *("--network=none", f"--volume={volume}:/run/deepseek-ocr"),
        f"--volume={TINY_MODEL}:/checkpoint:ro",
    )
    key_file = "--api-key-file=/run/deepseek-ocr/api-key"
    command = ("/checkpoint", "--name=deepseek-ocr-tiny", key_file, SOCKET)
    with docker.container(images.server, *command, options=options) as server:
        eventually(lambda: server.healthy, START_S)
        found = docker.shell(
            images.airflow,
            "stat --format=%a:%u /run/deepseek-ocr/api-key; cat /run/deepseek-ocr/api-key",
            f"--volume={volume}:/run/deepseek-ocr",
        )
        mode, key = found.split()
        assert mode == "600:50000"
        assert len(key) >= 32


def test_tls_on_a_private_network_with_two_callers(
    docker: Docker, images: Images, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("ocr-server")
    for file in (authority.path, files.certificate):
        file.chmod(0o444)
    # As a store of secrets mounts it: root's, readable by the group of the container's user.
    files.key.chmod(0o440)
    tmp_path.chmod(0o755)
    with docker.network() as network:
        options = (f"--network={network}", "--network-alias=ocr-server", *CHECKPOINT)
        options += (f"--volume={tmp_path}:/tls:ro", "--no-healthcheck")
        tls = ("--tls-certificate=/tls/server.crt", "--tls-key=/tls/server.key")
        listen = ("--host=0.0.0.0", "--port=8808", *tls)
        with docker.container(images.server, *SERVE, *listen, options=options) as server:
            eventually(lambda: _answers(docker, server), START_S)
            host = {"host": "https://ocr-server", "port": 8808}
            ca = {"ca_certificates": "/tls/authority.pem"}
            inside = (f"--network={network}", f"--volume={tmp_path}:/tls:ro")
            for _ in range(2):
                answer = _read(docker, images, host | {"password": API_KEY}, *inside, extra=ca)
                assert LETTER in answer
            with pytest.raises(DockerError, match="401"):
                _read(docker, images, host | {"password": "wrong"}, *inside, extra=ca)
            with pytest.raises(DockerError, match="certificate"):
                _read(docker, images, host | {"password": API_KEY}, *inside)


def test_plain_http_beyond_the_container_needs_its_option(docker: Docker, images: Images) -> None:
    done = docker.start(
        *("run", "--rm", "--network=none", *RESTRICTED, *CHECKPOINT),
        *(images.server, *SERVE, "--host=0.0.0.0"),
    )
    assert done.returncode
    assert "--plain-http" in done.stderr


def _read(
    docker: Docker,
    images: Images,
    connection: dict[str, object],
    *options: str,
    extra: dict[str, str] | None = None,
) -> str:
    """Return what the light image's Python prints when it reads a document through the connection."""
    value = {
        "conn_type": "deepseek_ocr",
        "extra": {"model": "deepseek-ocr-tiny", **(extra or {})},
        **connection,
    }
    return docker(
        *("run", "--rm", *RESTRICTED, *options, "--entrypoint=python"),
        *(f"--volume={ROOT}/tests/docker/read_pages.py:/read_pages.py:ro",),
        *(f"--volume={ROOT}/demo/documents:/documents:ro", "--env=AIRFLOW_CONFIG=/tmp/airflow.cfg"),
        f"--env=AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT={json.dumps(value)}",
        *(images.airflow, "/read_pages.py", "1", "/documents/letter.tiff"),
    )


def _answers(docker: Docker, server: Container) -> bool:
    if not server.state["Running"]:
        raise DockerError(server.log()[-2000:])
    probe = ("curl", "--fail", "--silent", "--insecure", "https://127.0.0.1:8808/health/ready")
    return docker.start("exec", server.name, *probe).returncode == 0

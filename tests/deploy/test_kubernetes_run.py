"""Servers with the arguments, probes and Secrets of deploy/kubernetes, as processes of this host.

Volumes are directories, those of Secrets laid out as the kubelet does; the model is the small checkpoint.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from airflow_deepseek_ocr.model.weights.source import DEFAULT_MODEL
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.conftest import ROOT, TINY_MODEL
from tests.support.kubernetes_manifests import DIRECTORY, Object, containers, manifests, worker_sets
from tests.support.servers.process import Process, free_port, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="probes need curl"),
]

START_TIMEOUT_S = 180.0


class Volumes:
    """Directories in place of a container's mounts.

    :param root: where they are.
    :param container: the container.
    """

    def __init__(self, root: Path, container: Object) -> None:
        self.paths = {
            mount["mountPath"]: root / mount["name"] for mount in container["volumeMounts"]
        }
        for path in self.paths.values():
            path.mkdir()

    def translate(self, text: str) -> str:
        """Return the text with this host's paths in place of the container's."""
        for inside, outside in sorted(self.paths.items(), reverse=True):
            text = text.replace(f"{inside}/", f"{outside}/")
            if text.endswith(f"={inside}"):
                text = text.removesuffix(inside) + str(outside)
        return text


def write_secret(directory: Path, files: dict[str, str]) -> None:
    """Fill a directory as the kubelet fills the volume of a Secret with mode 0440 and an ``fsGroup``."""
    directory.chmod(0o3777)
    data = directory / "..2026_11_28_08_00_00.1"
    data.mkdir()
    for name, content in files.items():
        (data / name).write_text(content)
        (data / name).chmod(0o440)
        (directory / name).symlink_to(Path("..data", name))
    (directory / "..data").symlink_to(data.name)


def secrets(address: str) -> dict[str, dict[str, str]]:
    """Return the contents of the Secrets that the script prints, by name."""
    done = subprocess.run(
        [DIRECTORY / "make-secrets", address],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {
        each["metadata"]["name"]: each["stringData"] for each in yaml.safe_load_all(done.stdout)
    }


def probe_command(probe: Object, port: int) -> list[str]:
    """Return a command that asks what the kubelet asks; it does not verify certificates."""
    if "exec" in probe:
        return list(probe["exec"]["command"])
    get = probe["httpGet"]
    url = f"{get['scheme'].lower()}://127.0.0.1:{port}{get['path']}"
    return [
        "curl",
        "--fail",
        "--silent",
        "--insecure",
        "--max-time",
        "4",
        "--output",
        os.devnull,
        url,
    ]


def sidecar() -> Object:
    """Return the server beside Celery workers."""
    (container,) = worker_sets()[0]["extraInitContainers"]
    return dict(container)


def deployed() -> Object:
    """Return the server of the Deployment."""
    (manifest,) = (each for each in manifests("Deployment") if each.name == "deepseek-ocr")
    (container,) = containers(manifest.content["spec"]["template"]["spec"])
    return dict(container)


@pytest.fixture(params=[sidecar, deployed], ids=["sidecar", "deployment"])
def running(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Process, Any]]:
    """A server that has started, and a function that runs one of its probes."""
    container, port = request.param(), free_port()
    volumes = Volumes(tmp_path, container)
    socket = "unix:///run/deepseek-ocr/server.sock"
    found = secrets(socket if request.param is sidecar else f"https://localhost:{port}")
    keys = found["deepseek-ocr"]
    write_secret(volumes.paths["/run/secrets/deepseek-ocr"], {"api-key": keys["api-key"]})
    connection = json.loads(volumes.translate(keys["connection"]))
    if tls := found.get("deepseek-ocr-tls"):
        directory = volumes.paths["/run/secrets/deepseek-ocr-tls"]
        write_secret(directory, tls)
        connection["extra"]["ca_certificates"] = str(directory / "ca.crt")
    monkeypatch.setenv("AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT", json.dumps(connection))
    model, *options = container["args"]
    assert model == DEFAULT_MODEL
    argv = [
        *(sys.executable, "-m", "airflow_deepseek_ocr.cli", "serve", str(TINY_MODEL)),
        *(volumes.translate(each) for each in options if not each.startswith("--port=")),
        *(("--port", str(port)) if tls else ()),
        *("--name", DEFAULT_MODEL, "--device", "cpu"),
    ]
    environment = {each["name"]: each["value"] for each in container["env"]}
    process = Process(
        argv,
        tmp_path,
        tmp_path / "log",
        env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
    )

    def probe(name: str) -> bool:
        command = [volumes.translate(part) for part in probe_command(container[name], port)]
        return subprocess.run(command, timeout=30, check=False).returncode == 0

    process.start()
    try:
        wait_until(lambda: probe("startupProbe"), START_TIMEOUT_S, "the start probe", process)
        yield process, probe
    finally:
        process.stop()


def test_a_task_reads_a_page_and_the_server_ends_in_order(running: tuple[Process, Any]) -> None:
    process, probe = running
    assert probe("livenessProbe")
    engine = DeepSeekOCRHook().get_conn()
    image = Image.open(ROOT / "demo" / "documents" / "table.png").convert("RGB")
    request = PageRequest(
        key=1, image=image, prompt="free", resolution="small", max_output_length=8
    )
    (output,) = engine.read([request])
    assert output.error is None, output.error
    assert output.text
    process.stop()
    assert process.exit_status == 0, process.log_tail()
    assert not probe("livenessProbe")

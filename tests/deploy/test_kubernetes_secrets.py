"""make-secrets prints Secrets that the server and the connection take."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_deepseek_ocr.engines.factory import remote_endpoint
from airflow_deepseek_ocr.engines.protocol.api_key import read_api_key, require_strong
from airflow_deepseek_ocr.engines.protocol.client_tls import client_context
from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from airflow_deepseek_ocr.model_server.server_tls import TlsFiles
from tests.support.kubernetes_manifests import DIRECTORY, VALUES, check_schema

SOCKET = "unix:///run/deepseek-ocr/server.sock"
ADDRESS = "https://deepseek-ocr:8808"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    return subprocess.run(
        [DIRECTORY / "make-secrets", *arguments],
        env={"PATH": "/usr/bin:/bin"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def secrets(*arguments: str, **environment: str) -> dict[str, Any]:
    """Return the contents of the Secrets that the script prints, by name."""
    done = run(*arguments, **environment)
    assert done.returncode == 0, done.stderr
    found = list(yaml.safe_load_all(done.stdout))
    for each in found:
        check_schema(each)
    return {each["metadata"]["name"]: each["stringData"] for each in found}


def test_for_a_socket_there_is_no_certificate() -> None:
    assert set(secrets(SOCKET)) == {"deepseek-ocr"}
    assert set(secrets(ADDRESS)) == {"deepseek-ocr", "deepseek-ocr-tls"}
    assert set(secrets(ADDRESS, TLS="off")) == {"deepseek-ocr"}


@pytest.mark.parametrize("address", [SOCKET, ADDRESS])
def test_the_connection_has_the_servers_key(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = secrets(address, MODEL="org/model-7b")["deepseek-ocr"]
    file = tmp_path / "api-key"
    file.write_text(found["api-key"])
    file.chmod(0o440)
    api_key = read_api_key(file)
    require_strong(api_key)
    monkeypatch.setenv("AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT", found["connection"])
    settings = DeepSeekOCRHook().settings
    assert settings.model == "org/model-7b"
    endpoint = remote_endpoint(settings)
    assert endpoint.api_key == api_key
    if address == SOCKET:
        assert endpoint.socket_path == Path(address.removeprefix("unix://"))
    else:
        assert endpoint.url == address


def test_every_run_makes_another_key() -> None:
    assert secrets(SOCKET)["deepseek-ocr"] != secrets(SOCKET)["deepseek-ocr"]


def test_the_values_mount_the_certificate_that_the_connection_names() -> None:
    connection = json.loads(secrets(ADDRESS)["deepseek-ocr"]["connection"])
    (path,) = (each for each in VALUES if "remote" in each.stem)
    values = yaml.safe_load(path.read_text("utf-8"))
    (volume,), (mount,) = values["volumes"], values["volumeMounts"]
    (item,) = volume["secret"]["items"]
    assert connection["extra"]["ca_certificates"] == f"{mount['mountPath']}/{item['path']}"
    assert (volume["name"], item["key"]) == (mount["name"], "ca.crt")
    assert item["key"] in secrets(ADDRESS)[volume["secret"]["secretName"]]


@pytest.mark.parametrize(("name", "accepted"), [("deepseek-ocr", True), ("other", False)])
def test_the_certificate_is_that_of_the_service(name: str, accepted: bool, tmp_path: Path) -> None:
    for file, content in secrets(ADDRESS)["deepseek-ocr-tls"].items():
        (tmp_path / file).write_text(content)
        (tmp_path / file).chmod(0o440)
    server = TlsFiles(certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key").context()
    client = client_context(tmp_path / "ca.crt")
    # The default of Python 3.13.
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    if accepted:
        shake_hands(server, client, name)
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(server, client, name)


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """Connect both sides in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (one, other):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert one.version() == "TLSv1.3"


@pytest.mark.parametrize(
    "arguments",
    [[], ["http://deepseek-ocr:8808"], ["https://a b"], ['https://x"y'], [SOCKET, ADDRESS]],
)
def test_other_arguments_are_refused(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert not done.stdout

"""The process behind the Test button."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.preflight.connection_test_process import ask_server
from tests.support.certificates import Authority
from tests.support.fakes.fault_server import Faults, fault_server


def test_the_process_writes_one_answer_and_loads_no_torch() -> None:
    with fault_server(Faults(card={"id": "m"})) as server:
        settings = Settings.of({"model": "m"}, host=server.url)
        code = (
            "import sys\n"
            "from airflow_deepseek_ocr.preflight.connection_test_process import main\n"
            "main()\n"
            "names = ('torch', 'transformers', 'pypdfium2', 'airflow', 'boto3', 'sqlalchemy')\n"
            "print([name for name in names if name in sys.modules], file=sys.stderr)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(asdict(settings), default=str).encode(),
            capture_output=True,
            check=True,
            timeout=60,
        )
    good, message = json.loads(done.stdout)
    assert (good, message.startswith(f"{server.url} serves m")) == (True, True)
    assert done.stderr.split() == [b"[]"]


def test_authorities_that_are_there_are_used(tmp_path: Path) -> None:
    """The answer is that of the server, which is away."""
    path = Authority(tmp_path).path
    settings = Settings.of({"ca_certificates": str(path)}, host="https://127.0.0.1:9")
    good, message = ask_server(settings)
    assert (good, "No connection to https://127.0.0.1:9" in message) == (False, True)


def test_all_servers_are_asked_and_each_has_a_line() -> None:
    with fault_server(Faults(card={"id": "m"})) as server:
        good = ask_server(Settings.of({"model": "m"}, host=f"{server.url},{server.url}/"))
        bad = ask_server(Settings.of({"model": "m"}, host=f"{server.url},http://127.0.0.1:9"))
    assert (good[0], good[1].count("serves m")) == (True, 2)
    assert (bad[0], "serves m" in bad[1]) == (False, True)
    assert "No connection to http://127.0.0.1:9" in bad[1]

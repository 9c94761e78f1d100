"""A worker: forks a process for each task, as Airflow does, and dies with all of them.

Reads jobs from stdin and writes what started and ended to stdout, a JSON object a line.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import json
import os
import selectors
import signal
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.loaders

_POLL_S = 0.05
#: The original stdout, where messages go.
_OUT = os.dup(sys.stdout.fileno())
_PR_SET_PDEATHSIG = 1

OK, RETRY, FAIL = 0, 3, 4


def main() -> None:
    """Serve until stdin ends."""
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # logs are no messages
    _import_all()
    children: dict[int, int] = {}
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
    _tell({"ready": os.getpid()})
    rest = b""
    while True:
        if selector.select(_POLL_S):
            data = os.read(sys.stdin.fileno(), 1 << 20)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                job = json.loads(line)
                pid = _fork(job)
                children[pid] = job["id"]
                _tell({"started": job["id"], "pid": pid})
        for pid in list(children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                _tell({"ended": children.pop(pid), "status": os.waitstatus_to_exitcode(status)})


def _tell(message: dict[str, Any]) -> None:
    os.write(_OUT, json.dumps(message).encode() + b"\n")


#: What a task imports, so that a fork need not.
PRELOADED = (
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.mysql.hooks.mysql",
    "airflow.providers.postgres.hooks.postgres",
    "airflow.providers.sqlite.hooks.sqlite",
    "airflow.sdk.execution_time.task_runner",
    "airflow_deepseek_ocr.engines.factory",
    "airflow_deepseek_ocr.engines.http.engine",
    "airflow_deepseek_ocr.engines.supervisor.supervisor",
    "airflow_deepseek_ocr.engines.supervisor.resident_server",
    "airflow_deepseek_ocr.model.weights.source",
    "airflow_deepseek_ocr.operators.deepseek_ocr",
    "airflow_deepseek_ocr.pipeline.exports.export_queue",
    "airflow_deepseek_ocr.pipeline.pipeline",
    "airflow_deepseek_ocr.sensors.s3",
    "alembic.command",
    "pypdfium2",
    "tests.chaos.engine",
)


def _import_all() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    # boto3 reads megabytes of JSON for each client; the descriptions do not change.
    loader = botocore.loaders.JSONFileLoader()
    loader.load_file = functools.cache(loader.load_file)  # type: ignore[method-assign]
    botocore.loaders.JSONFileLoader = lambda: loader  # type: ignore[misc,assignment]
    # Makes the client without connecting.
    sys.modules["airflow.providers.amazon.aws.hooks.s3"].S3Hook("aws_default").get_conn()


def _fork(job: dict[str, Any]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = FAIL
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(FAIL)
        log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        status = _run(job)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _run(job: dict[str, Any]) -> int:
    from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

    try:
        result = {"read": _read, "find": _find}[job["kind"]](job)
    except AirflowFailException:
        traceback.print_exc()
        return FAIL
    except AirflowException:
        traceback.print_exc()
        return RETRY
    whole = Path(job["result"] + ".part")
    whole.write_text(json.dumps(result))
    whole.rename(job["result"])
    return OK


def _read(job: dict[str, Any]) -> Any:
    from airflow_deepseek_ocr.engines.supervisor import supervisor
    from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
    from tests.chaos.documents import DPI

    # The chaos run kills servers, so their crashes are no reason to give up.
    supervisor.Supervisor = functools.partial(supervisor.Supervisor, max_crashes=sys.maxsize)  # type: ignore[misc,assignment]
    operator = DeepSeekOCROperator(
        task_id="read",
        documents=job["documents"],
        dpi=job.get("dpi", DPI),
        max_failed_pages=None,
        lease=timedelta(seconds=job["lease_s"]),
        wait_for_others=timedelta(seconds=job["wait_s"]),
        exports=job.get("exports"),
        export_to=job.get("export_to"),
    )
    if job["event_log"] is not None:
        _watch(operator, Path(job["event_log"]), job["page_s"])
    signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())  # as Airflow's task process does
    return operator.execute({"ti": SimpleNamespace(**job["task"])})


def _watch(operator: Any, event_log_file: Path, page_s: float | None) -> None:
    """Log which pages are read and stored.

    :param page_s: seconds a page takes in a script that replaces the engine; None for the engine that
        the connection means.
    """
    from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
    from airflow_deepseek_ocr.store.leases import Lease
    from airflow_deepseek_ocr.store.ledger import Ledger
    from tests.chaos.engine import EventLog, ScriptedEngine, WatchedEngine

    event_log = EventLog(event_log_file)
    write_documents, claim = Ledger.write_documents, Ledger.claim
    leases: list[Any] = []

    class WatchedHook(DeepSeekOCRHook):
        def get_conn(self) -> Any:
            if page_s is not None:
                return ScriptedEngine(event_log, page_s)
            return WatchedEngine(super().get_conn(), event_log)

    def written_down(self: Ledger, documents: Any) -> Any:
        stored = write_documents(self, documents)
        for page in (page for document in stored for page in document.pages):
            numbers = _numbers(page.text)
            if numbers is not None:
                event_log.write("stored", numbers)
        return stored

    def claimed(self: Ledger, ref: Any, **options: Any) -> Any:
        lease = claim(self, ref, **options)
        # A reserved lease is returned a second time.
        if isinstance(lease, Lease) and not any(each is lease for each in leases):
            leases.append(lease)
            event_log.write_claim(ref.etag or ref.version)
        return lease

    Ledger.claim = claimed  # type: ignore[method-assign]
    Ledger.write_documents = written_down  # type: ignore[method-assign]
    operator.__dict__["hook"] = WatchedHook()


def _numbers(text: str) -> Any:
    import re

    from tests.chaos.documents import PageId

    found = re.search(r"document (\d+), version (\d+), page (\d+)", text)
    return PageId(*map(int, found.groups())) if found else None


def _find(job: dict[str, Any]) -> Any:
    from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor
    from tests.chaos.documents import DPI

    sensor = S3NewDocumentSensor(
        task_id="find",
        bucket=job["bucket"],
        batch_size=job["batch_size"],
        max_documents=job["max_documents"],
        retry_failed_after=timedelta(seconds=1),
        deepseek_ocr_conn_id="deepseek_ocr_default",
        dpi=DPI,
    )
    return sensor.poke({}).xcom_value


if __name__ == "__main__":
    main()

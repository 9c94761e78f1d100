"""Many small documents, four tasks, one resident server: does anything grow?

Pages of one line are put into an S3 bucket and read by four tasks at once, as an expanded operator's are,
with the small checkpoint in a resident server. Every few seconds memory, open files, threads and connections
of the server and of the tasks are noted, and the database's connections. A first and a last quarter are
compared; the command ends with an error if one grew, or if a document has not exactly one row.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import sqlalchemy
from PIL import Image, ImageDraw

from airflow_deepseek_ocr.engines.supervisor.registry import DIRECTORY_VARIABLE, all_records
from tests.chaos.servers import BUCKET, Bucket, ResultsServer, bucket, results
from tests.chaos.worker import OK
from tests.chaos.worker_process import WorkerProcess, environment
from tests.conftest import TINY_MODEL

TASKS = 4
_LOOK_S = 2.0
#: The first document's number: the small checkpoint takes leading zeros for dates.
_FIRST = 3214
#: Final states of a document; output that the quality checks reject is a failure with a reason.
_ENDS = ("done", "failed")
#: What may be between the first and the last quarter: parts of the first, and on top of it.
_SHARE, _MIB, _COUNT = 0.05, 16, 4

Sample = dict[str, float]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--timeout", type=float, default=7200, help="seconds until it is given up")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        directory = Path(name)
        with bucket() as objects, results("postgres", directory) as rows:
            assert isinstance(rows, ResultsServer)
            objects.fill({_key(n): _page(n) for n in range(options.documents)})
            started = time.monotonic()
            samples = soak(objects, rows, directory, options.documents, options.timeout)
            seconds = time.monotonic() - started
            wrong = audit(rows, options.documents)
    print(f"{options.documents} documents in {seconds:.0f} s, {len(samples)} samples\n")
    grown = compare(samples)
    for each in wrong[:20]:
        print(each, file=sys.stderr)
    return 1 if grown or wrong else 0


def _key(number: int) -> str:
    return f"in/{number:05}.png"


def _page(number: int) -> bytes:
    page = Image.new("L", (512, 256), 255)
    ImageDraw.Draw(page).text((40, 100), f"Order {_FIRST + number}", fill=0, font_size=44)
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def soak(
    objects: Bucket, rows: ResultsServer, directory: Path, documents: int, timeout_s: float
) -> list[Sample]:
    """Read all documents; return the samples taken meanwhile.

    :raises TimeoutError: if it takes longer.
    :raises RuntimeError: if a task fails.
    """
    servers = directory / "servers"
    env = environment(objects, rows, directory, TINY_MODEL) | {DIRECTORY_VARIABLE: str(servers)}
    connection = json.loads(env["AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT"])
    connection["extra"] |= {"engine": "resident", "idle_seconds": 600}
    env["AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT"] = json.dumps(connection)
    workers = WorkerProcess(directory, env)
    workers.start()
    try:
        for task in range(TASKS):
            workers.send(
                task,
                "read",
                documents=[f"s3://{BUCKET}/{_key(n)}" for n in range(task, documents, TASKS)],
                lease_s=60,
                wait_s=60,
                page_s=None,
                event_log=None,
                task={
                    "dag_id": "soak",
                    "run_id": "once",
                    "task_id": "read",
                    "map_index": task,
                    "try_number": 1,
                },
            )
        return list(_samples(workers, servers, rows, timeout_s))
    finally:
        workers.stop()
        for record in all_records(servers):
            with suppress(ProcessLookupError):
                os.killpg(record.pid, signal.SIGTERM)


def _samples(
    workers: WorkerProcess, servers: Path, rows: ResultsServer, timeout_s: float
) -> Iterator[Sample]:
    """Sample the processes while all tasks run."""
    deadline = time.monotonic() + timeout_s
    while True:
        if time.monotonic() > deadline:
            raise TimeoutError("the documents are not read in time")
        ended = workers.ended()
        if failed := [each for each in ended if each.status != OK]:
            raise RuntimeError(workers.log(failed[0].job)[-4000:])
        tasks = [pid for task in range(TASKS) if (pid := workers.pid(task))]
        records = list(all_records(servers))
        with suppress(psutil.NoSuchProcess, IndexError):
            if len(tasks) == TASKS:
                sample = {f"server's {name}": n for name, n in _state(records[0].pid).items()}
                states = [_state(pid) for pid in tasks]
                sample |= {
                    f"tasks' {name}": statistics.mean(state[name] for state in states)
                    for name in states[0]
                }
                yield sample | {"database's connections": _connections(rows)}
        if not tasks and ended:
            return
        time.sleep(_LOOK_S)


def _state(pid: int) -> Sample:
    """Of a process and its children."""
    own = psutil.Process(pid)
    family = [own, *own.children(recursive=True)]
    return {
        "MiB": sum(each.memory_full_info().uss for each in family) / 2**20,
        "files": sum(each.num_fds() for each in family),
        "threads": sum(each.num_threads() for each in family),
        "connections": sum(len(each.net_connections("inet")) for each in family),
    }


@contextmanager
def _database(rows: ResultsServer) -> Iterator[sqlalchemy.Connection]:
    engine = sqlalchemy.create_engine(rows.url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        yield connection


def _connections(rows: ResultsServer) -> float:
    with _database(rows) as connection:
        counted = "SELECT count(*) FROM pg_stat_activity WHERE client_addr IS NOT NULL"
        return float(connection.execute(sqlalchemy.text(counted)).scalar_one())


def audit(rows: ResultsServer, documents: int) -> list[str]:
    """Print what became of the documents; those without exactly one row with an end, and one page."""
    query = """
        SELECT d.uri, d.status, p.markdown FROM ocr_documents d
        LEFT JOIN ocr_pages p ON p.document_id = d.id
    """
    found: dict[str, list[tuple[str, str]]] = {}
    with _database(rows) as connection:
        for uri, status, text in connection.execute(sqlalchemy.text(query)):
            found.setdefault(uri, []).append((status, text or ""))
    wrong, correct, ends = [], 0, Counter[str]()
    for number in range(documents):
        pages = found.pop(f"s3://{BUCKET}/{_key(number)}", [])
        correct += any(str(_FIRST + number) in text for _, text in pages)
        ends.update(status for status, _ in pages)
        if len(pages) != 1 or pages[0][0] not in _ENDS:
            wrong.append(f"{_key(number)}: {pages}")
    print(", ".join(f"{count} {status}" for status, count in ends.items()))
    print(f"{correct} of {documents} pages say the number of their document")
    return wrong + [f"{uri}: was never uploaded" for uri in found]


def compare(samples: Sequence[Sample]) -> list[str]:
    """Print first and last quarter; the names of what grew."""
    quarter = max(1, len(samples) // 4)
    # The first samples see the processes start.
    first, last = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
    grown = []
    print("| | second quarter | last quarter |\n|---|---|---|")
    for name in samples[0]:
        before, after = (statistics.mean(each[name] for each in part) for part in (first, last))
        allowed = before * (1 + _SHARE) + (_MIB if name.endswith("MiB") else _COUNT)
        grown += [name] if after > allowed else []
        print(f"| {name} | {before:.1f} | {after:.1f}{' GREW' if after > allowed else ''} |")
    return grown


if __name__ == "__main__":
    sys.exit(main())

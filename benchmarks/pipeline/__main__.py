"""Pages per second and per CPU-second from documents to rows, beside those of another checkout."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from benchmarks.pipeline.documents import colour_scans, long_pdf, short_pdfs
from benchmarks.pipeline.latency_proxy import latency_proxy
from benchmarks.pipeline.process_memory import PeakMemory
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.postgres import postgres

ROOT = Path(__file__).parent.parent.parent
#: Seconds for one run, at most.
_TIMEOUT_S = 1800
#: Seconds by which each S3 request is delayed, as between two regions of a continent.
LATENCY_S = 0.03
PARTS = ("long", "short", "short-s3", "scans")
DATABASES = ("sqlite", "postgresql")


def main() -> None:
    """Run all parts, alternating between the checkouts, and print a table."""
    arguments = _arguments()
    trees = {"this": ROOT} | ({"against": arguments.against} if arguments.against else {})
    results: list[dict[str, Any]] = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = {"sqlite": None}
        if "postgresql" in arguments.databases:
            databases["postgresql"] = stack.enter_context(postgres())
        places = _documents(directory, arguments, stack)
        for database in arguments.databases:
            for part in arguments.parts:
                for number in range(arguments.repeats):
                    for tree, path in trees.items():
                        with _database_url(databases[database], directory) as url:
                            figures = _run(path, url, places[part], arguments.render_processes)
                        line = {"part": part, "database": database, "tree": tree, "run": number}
                        results.append(line | figures)
                        _tell(results[-1], arguments.out)
    print(_table(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--pages", type=int, default=120, help="pages of each part")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--render-processes", type=int, help="the default of the package if absent")
    parser.add_argument("--against", type=Path, help="another checkout, such as a git worktree")
    parser.add_argument("--out", type=Path, default=Path("bench-pipeline.jsonl"))
    return parser.parse_args()


def _documents(
    directory: Path, arguments: argparse.Namespace, stack: ExitStack
) -> dict[str, list[str]]:
    """Make the documents, and return the options of a run by part."""
    places: dict[str, list[str]] = {}
    if "long" in arguments.parts:
        (directory / "long").mkdir()
        long_pdf(directory / "long" / "long.pdf", arguments.pages)
        places["long"] = ["--directory", str(directory / "long")]
    if {"short", "short-s3"} & set(arguments.parts):
        paths = short_pdfs(directory / "short", arguments.pages)
        places["short"] = ["--directory", str(directory / "short")]
    if "short-s3" in arguments.parts:
        places["short-s3"] = ["--s3", json.dumps(_bucket(paths, stack))]
    if "scans" in arguments.parts:
        colour_scans(directory / "scans", arguments.pages)
        places["scans"] = ["--directory", str(directory / "scans")]
    return places


def _bucket(paths: list[Path], stack: ExitStack) -> dict[str, str]:
    """Upload documents to an S3 server, and return its address behind the latency."""
    server = stack.enter_context(moto_s3())
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
    )
    client.create_bucket(Bucket="bench")
    for path in paths:
        client.upload_file(str(path), "bench", path.name)
    port = stack.enter_context(
        latency_proxy(int(server.endpoint_url.rpartition(":")[2]), LATENCY_S)
    )
    return {
        "endpoint_url": f"http://127.0.0.1:{port}",
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "region": server.region,
        "bucket": "bench",
    }


@contextmanager
def _database_url(server: Any, directory: Path) -> Iterator[str]:
    """Yield the URL of an empty database."""
    if server is None:
        path = directory / "results.db"
        try:
            yield f"sqlite:///{path}"
        finally:
            for file in directory.glob("results.db*"):
                file.unlink()
        return
    from sqlalchemy import create_engine, text

    engine = create_engine(server.sqlalchemy_url)
    try:
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    finally:
        engine.dispose()
    yield server.sqlalchemy_url


def _run(tree: Path, url: str, place: list[str], processes: int | None) -> dict[str, Any]:
    """Run one process, and return its figures."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("one_run.py")),
        "--database",
        url,
        *place,
        *(["--render-processes", str(processes)] if processes else []),
    ]
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(tree)},
        cwd=tree,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process, PeakMemory(process.pid) as memory:
        output, _ = process.communicate(timeout=_TIMEOUT_S)
    if process.returncode != 0:
        sys.exit(f"A run ended with status {process.returncode}; its output is above.")
    figures = json.loads(output.splitlines()[-1])
    return {
        "pages": figures["pages"],
        "failed_pages": figures["failed_pages"],
        "retried_attempts": figures["retried_attempts"],
        "pages_per_second": figures["pages"] / figures["seconds"],
        "pages_per_cpu_second": figures["pages"] / figures["cpu_seconds"],
        "peak_mib": memory.bytes / (1 << 20),
    }


def _tell(figures: dict[str, Any], out: Path) -> None:
    line = json.dumps(
        {
            name: round(value, 2) if isinstance(value, float) else value
            for name, value in figures.items()
        }
    )
    print(line, flush=True)
    with out.open("a") as file:
        file.write(line + "\n")


def _table(results: list[dict[str, Any]]) -> str:
    """Return the medians as a table in Markdown."""
    head = ("part", "database", "checkout", "pages/s", "pages a CPU-second", "peak MiB")
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {len(os.sched_getaffinity(0))} cores, "
        f"load {os.getloadavg()[0]:.1f}",
        "",
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
    ]
    for key in dict.fromkeys((each["part"], each["database"], each["tree"]) for each in results):
        mine = [each for each in results if (each["part"], each["database"], each["tree"]) == key]
        medians = [
            statistics.median(each[name] for each in mine)
            for name in ("pages_per_second", "pages_per_cpu_second", "peak_mib")
        ]
        lines.append(
            f"| {' | '.join(key)} | {medians[0]:.1f} | {medians[1]:.1f} | {medians[2]:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

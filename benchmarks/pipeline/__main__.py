"""Pages per second and per CPU-second from documents to rows, beside those of another checkout."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import boto3

from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from benchmarks.pipeline.documents import colour_scans, long_pdf, short_pdfs
from benchmarks.pipeline.latency_proxy import latency_proxy
from benchmarks.pipeline.one_run import OUTPUT, SERVER
from benchmarks.pipeline.process_memory import PeakMemory
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.postgres import postgres

ROOT = Path(__file__).parent.parent.parent
#: Seconds for one run, at most.
_TIMEOUT_S = 1800
#: Seconds by which each S3 request is delayed, as between two regions of a continent.
LATENCY_S = 0.03
PARTS = ("long", "short", "short-s3", "scans", "backlog")
#: The backlog takes a quarter of an hour.
_USUAL_PARTS = PARTS[:-1]
DATABASES = ("sqlite", "postgresql")
#: An object in the task's process, or a model server on the same host, which takes pages as files.
ENGINES = ("instant", "server")


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
                for number, engine, formats in product(
                    range(arguments.repeats), arguments.engines, _exports(arguments)
                ):
                    for tree, path in trees.items():
                        options = [*places[part], *_options(arguments, part)]
                        with (
                            _database_url(databases[database], directory) as url,
                            _server(engine) as server,
                            _export_options(formats, directory) as exports,
                        ):
                            figures = _run(path, url, [*options, *server, *exports])
                        line = {"part": part, "engine": engine, "database": database}
                        line |= {"exports": " ".join(formats) or "none", "tree": tree}
                        results.append(line | {"run": number} | figures)
                        _tell(results[-1], arguments.out)
    print(_table(results))
    for each in results:
        if each["part_times"]:
            print(f"\n{_part_times(each)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--pages", type=int, default=120, help="pages of each part")
    parser.add_argument("--backlog", type=int, default=10_000, help="documents of the part backlog")
    parser.add_argument(
        "--engines", nargs="+", choices=ENGINES, default=["instant"], help="what answers at once"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(_USUAL_PARTS))
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="the instant engine returns those of tokens, too",
    )
    parser.add_argument(
        "--pace", type=float, help="pages a second of the instant engine, at most, as of a GPU"
    )
    parser.add_argument(
        "--exports",
        nargs="+",
        default=[],
        help="each run again with exports of these formats, such as markdown webp",
    )
    parser.add_argument(
        "--part-times", action="store_true", help="the time of each part, as for the backlog"
    )
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
    if "backlog" in arguments.parts:
        short_pdfs(directory / "backlog", arguments.backlog)
        places["backlog"] = ["--directory", str(directory / "backlog")]
    if "scans" in arguments.parts:
        colour_scans(directory / "scans", arguments.pages)
        places["scans"] = ["--directory", str(directory / "scans")]
    return places


def _bucket(paths: list[Path], stack: ExitStack) -> dict[str, str]:
    """Upload documents to an S3 server, and return its address behind the latency."""
    server = stack.enter_context(moto_s3())
    client = boto3.client(
        "s3",
        **server.client_arguments,
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


def _options(arguments: argparse.Namespace, part: str) -> list[str]:
    processes = arguments.render_processes
    return [
        *(["--render-processes", str(processes)] if processes else []),
        *(["--pace", str(arguments.pace)] if arguments.pace else []),
        *(["--probabilities"] if arguments.probabilities else []),
        *(["--part-times"] if part == "backlog" or arguments.part_times else []),
    ]


def _exports(arguments: argparse.Namespace) -> list[list[str]]:
    """Return the formats of exports of each run."""
    return [[], *([arguments.exports] if arguments.exports else [])]


@contextmanager
def _export_options(formats: list[str], directory: Path) -> Iterator[list[str]]:
    """Yield the options for exports to a directory, which is removed afterwards."""
    if not formats:
        yield []
        return
    with tempfile.TemporaryDirectory(dir=directory) as target:
        yield ["--exports", *formats, "--export-to", target]


@contextmanager
def _server(engine: str) -> Iterator[list[str]]:
    """Run a model server if it is asked for, and yield the options for it."""
    if engine != "server":
        yield []
        return
    # Only here, as it needs torch.
    from benchmarks.page_transfer import ready_engine, serve

    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory:
        socket = Path(directory) / "server.sock"
        here, there = context.Pipe()
        server = context.Process(target=serve, args=(socket, True, there, OUTPUT), daemon=True)
        server.start()
        try:
            ready_engine(Endpoint("http://localhost", SERVER, socket))
            yield ["--socket", str(socket)]
        finally:
            here.close()
            server.terminate()
            server.join()


def _run(tree: Path, url: str, options: list[str]) -> dict[str, Any]:
    """Run one process, and return its figures."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("one_run.py")),
        "--database",
        url,
        *options,
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
        "task_cpu_ms": 1000 * figures["task_cpu_seconds"] / max(1, figures["pages"]),
        "engine_pages": figures["engine_pages"],
        "doubled": figures["doubled"],
        "peak_mib": memory.bytes / (1 << 20),
        "mib_by_tenth": [round(each / (1 << 20)) for each in memory.tenths()],
        "part_times": figures["part_times"],
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
    head = (
        *("part", "engine", "database", "exports", "checkout"),
        *("pages/s", "pages a CPU-second", "task's CPU ms a page", "peak MiB"),
    )
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {len(os.sched_getaffinity(0))} cores, "
        f"load {os.getloadavg()[0]:.1f}",
        "",
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
    ]
    for key in dict.fromkeys(map(_key, results)):
        mine = [each for each in results if _key(each) == key]
        per_second, per_cpu_second, cpu_ms, peak = (
            statistics.median(each[name] for each in mine)
            for name in ("pages_per_second", "pages_per_cpu_second", "task_cpu_ms", "peak_mib")
        )
        lines.append(
            f"| {' | '.join(key)} | {per_second:.1f} | {per_cpu_second:.1f} | {cpu_ms:.1f} "
            f"| {peak:.0f} |"
        )
    return "\n".join(lines)


def _key(figures: dict[str, Any]) -> tuple[str, ...]:
    return tuple(figures[name] for name in ("part", "engine", "database", "exports", "tree"))


def _part_times(figures: dict[str, Any]) -> str:
    """Return the times of the parts of a run, and its memory over time, as a table in Markdown."""
    pages = figures["pages"]
    lines = [
        f"{' '.join(_key(figures))}, {pages} pages, {figures['doubled']} stored or claimed twice, "
        f"{figures['engine_pages'] - pages} read twice; MiB by tenth of the time: "
        f"{' '.join(map(str, figures['mib_by_tenth']))}",
        "",
        "| part | calls | task's CPU ms a page | ms a page |",
        "|---|---|---|---|",
    ]
    for part, sums in figures["part_times"].items():
        cpu, wall = (1000 * sums[name] / max(1, pages) for name in ("cpu_s", "wall_s"))
        lines.append(f"| {part} | {sums['calls']:.0f} | {cpu:.2f} | {wall:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

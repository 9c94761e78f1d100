"""The command line: one chaos run, a table, and an error if a promise was broken."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.chaos_run import ChaosRun, Plan, Report
from tests.chaos.servers import DATABASES, bucket, results, workers_disk
from tests.conftest import TINY_MODEL


def run(plan: Plan, database: str, directory: Path) -> Report:
    """Run a plan against dedicated servers."""
    with (
        bucket() as objects,
        results(database, directory) as rows,
        workers_disk() as disk,
    ):
        return ChaosRun(plan, objects, rows, directory, TINY_MODEL, disk).run()


def table(plan: Plan, database: str, report: Report) -> str:
    """The report as a Markdown table."""
    found = report.findings
    lines = [
        ("database", database),
        ("seed", plan.seed),
        ("model", "scripted" if plan.page_s is not None else "small checkpoint"),
        ("model servers", plan.servers),
        ("faults", sum(report.faults.values())),
        *((f"- {name}", number) for name, number in sorted(report.faults.items())),
        ("pages in flight when their server was killed", report.struck_pages),
        ("documents, with all versions", f"{plan.documents}, {report.versions}"),
        ("tries of tasks", report.tries["started"]),
        *((f"- {name}", n) for name, n in sorted(report.tries.items()) if name != "started"),
        ("rows: documents", ", ".join(f"{n} {s}" for s, n in sorted(found.documents.items()))),
        ("rows: pages, regions", f"{found.pages}, {found.regions}"),
        ("pages given to the model, of them once more", f"{found.reads}, {found.reads_again}"),
        ("- by tasks that had lost their lease", found.reads_after_loss),
        ("pages read by the model", found.model_reads),
        ("pages read though stored", len(found.read_though_stored)),
        ("lost", len(found.lost)),
        ("doubled", len(found.doubled)),
        ("mixed up", len(found.mixed)),
        ("stuck", len(found.stuck)),
        ("seconds", round(report.seconds)),
    ]
    width = max(len(name) for name, _ in lines)
    rows = [f"| {name.ljust(width)} | {value} |" for name, value in lines]
    return "\n".join([f"| {''.ljust(width)} | |", f"|{'-' * (width + 2)}|---|", *rows])


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", "-n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--db", choices=DATABASES, default="postgres")
    parser.add_argument("--documents", type=int, default=50)
    parser.add_argument("--pages", type=int, default=Plan.pages, help="most pages of a document")
    parser.add_argument("--pause", type=float, default=Plan.pause_s, help="most seconds to a fault")
    parser.add_argument("--lease", type=float, default=Plan.lease_s, help="seconds")
    parser.add_argument("--servers", type=int, default=1, help="model servers on this host")
    parser.add_argument("--model", action="store_true", help="read with the small checkpoint")
    parser.add_argument("--keep", type=Path, help="directory for logs; a temporary one by default")
    options = parser.parse_args()
    plan = Plan(
        options.faults,
        options.seed,
        options.documents,
        pages=options.pages,
        page_s=None if options.model else Plan.page_s,
        pause_s=options.pause,
        lease_s=options.lease,
        servers=options.servers,
    )
    with tempfile.TemporaryDirectory(prefix="faults-") as temporary:
        directory = options.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        report = run(plan, options.db, directory)
    print(table(plan, options.db, report))
    for name, found in report.findings.broken.items():
        print(f"\n{name.upper()}\n" + "\n".join(found[:50]), file=sys.stderr)
    return 1 if report.findings.broken else 0


if __name__ == "__main__":
    sys.exit(main())

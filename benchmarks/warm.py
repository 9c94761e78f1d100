"""How much sooner the first page comes when the model is warm: two runs of a DAG in a real Airflow.

Each run is a fresh process, as each task instance is. The first starts the resident server and waits
for the model; the second finds it. From the moment the task asks for the engine until it has the text
of its first page. The last line is ``warm_ratio X``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEADLINE_S = 1800


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(ROOT / "models" / "deepseek-ocr-tiny"))
    parser.add_argument("--document", type=Path, default=ROOT / "demo" / "documents" / "table.png")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--resolution", default="tiny")
    parser.add_argument("--prompt", default="locate:Month")
    parser.add_argument("--max-output-length", type=int, default=64)
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-warm-") as name:
        seconds = measure(options, Path(name))
    for number, each in enumerate(seconds, start=1):
        print(f"run {number}: first page after {each:.3f} s")
    print(f"warm_ratio {seconds[0] / min(seconds[1:]):.1f}")


def measure(options: argparse.Namespace, directory: Path) -> list[float]:
    """Seconds to the first page in each run.

    :param options: the command line's.
    :param directory: for Airflow and the server.
    """
    result = directory / "seconds"
    extra = {
        "engine": "resident",
        "model": options.model,
        "device": options.device,
        "resolution": options.resolution,
        "max_output_length": options.max_output_length,
    }
    connection = {"conn_type": "deepseek_ocr", "extra": extra}
    environment = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name} | {
        "AIRFLOW_HOME": str(directory / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT": json.dumps(connection),
        "DEEPSEEK_OCR_SERVERS": str(directory / "servers"),
        "FIRST_PAGE_DOCUMENT": str(options.document),
        "FIRST_PAGE_PROMPT": options.prompt,
        "FIRST_PAGE_SECONDS": str(result),
    }
    # A small model gains nothing from threads that wait for each other on busy cores.
    environment.setdefault("OMP_NUM_THREADS", "1")
    run(environment, "airflow", "db", "migrate")
    seconds = []
    try:
        for _ in range(options.runs):
            result.unlink(missing_ok=True)
            log = run(environment, "airflow", "dags", "test", "first_page")
            if not result.exists():
                sys.exit(f"The run failed:\n{log[-4000:]}")
            seconds.append(float(result.read_text()))
    finally:
        run(environment, "airflow_deepseek_ocr.cli.main", "stop", "--all")
    return seconds


def run(environment: dict[str, str], module: str, *arguments: str) -> str:
    """Run a module's command line; its output."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{module} {' '.join(arguments)} failed:\n{done.stdout[-4000:]}")
    return done.stdout


if __name__ == "__main__":
    main()

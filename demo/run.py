"""The demo: documents in an S3 server, a DAG in a real Airflow, rows in a database.

usage: python demo/run.py [--docs DIRECTORY] [--out DIRECTORY]

Everything runs on this machine: moto's S3 server, Airflow with its metadata in SQLite, the small
checkpoint, and the results in ``OUT/results.db``. An earlier ``results.db`` there is replaced.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer
from report import print_table, write_overlays

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "deepseek-ocr-tiny"
BUCKET = "documents"
DAG = "s3_to_database"
#: Several times the demo on two slow cores.
TIMEOUT_S = 900


def main() -> int:
    """Run the demo and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", type=Path, default=ROOT / "demo" / "documents")
    parser.add_argument("--out", type=Path, default=ROOT / ".demo" / "out")
    parser.add_argument("--resolution", default="small")
    options = parser.parse_args()
    documents = sorted(path for path in options.docs.rglob("*") if path.is_file())
    if not documents:
        print(f"error: there are no files in {options.docs}", file=sys.stderr)
        return 1
    out = options.out.resolve()
    shutil.rmtree(out / "pages", ignore_errors=True)
    (out / "pages").mkdir(parents=True)
    database = out / "results.db"
    database.unlink(missing_ok=True)

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        print(f"S3 server at {endpoint}; uploading {len(documents)} files from {options.docs}")
        _upload(endpoint, options.docs, documents)
        started = time.monotonic()
        code = _run_dag(_environment(endpoint, database, options.resolution))
        print(f"The DAG run took {time.monotonic() - started:.0f} s.\n")
    finally:
        server.stop()
    if not database.exists():
        print("error: the DAG wrote no database; its log is above", file=sys.stderr)
        return 1
    print_table(database)
    pictures = write_overlays(database, options.docs, out / "pages")
    print(f"\nResults database: {database} (tables ocr_documents, ocr_pages, ocr_regions)")
    print(f"Pages with their boxes: {pictures} pictures in {out / 'pages'}")
    return code


def _upload(endpoint: str, directory: Path, documents: list[Path]) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="demo",
        aws_secret_access_key="demo",
    )
    client.create_bucket(Bucket=BUCKET)
    for path in documents:
        client.upload_file(str(path), BUCKET, path.relative_to(directory).as_posix())


def _environment(endpoint: str, database: Path, resolution: str) -> dict[str, str]:
    """Return the environment of a separate, empty Airflow with three connections."""
    home = ROOT / ".demo" / "airflow"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    connections = {
        "AWS_DEFAULT": {
            "conn_type": "aws",
            "login": "demo",
            "password": "demo",
            "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
        },
        "DEEPSEEK_OCR_DEFAULT": {
            "conn_type": "deepseek_ocr",
            "extra": {
                # One run of one process: no server should outlive it.
                "engine": "in_process",
                "model": str(MODEL),
                "resolution": resolution,
                "prompt": "markdown",
                "max_output_length": 768,
            },
        },
        "DEEPSEEK_OCR_DB": {"conn_type": "sqlite", "host": str(database)},
    }
    scrubbed = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    return scrubbed | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        **{f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()},
    }


def _run_dag(environment: dict[str, str]) -> int:
    """Migrate Airflow's metadata, run the DAG, and return the exit status."""
    # The small checkpoint cannot read all sample documents.
    run = ["dags", "test", DAG, "--conf", json.dumps({"max_failed_pages": None})]
    for command in (["db", "migrate"], run):
        print(f"$ airflow {' '.join(command)}", flush=True)
        log = Path(environment["AIRFLOW_HOME"]) / f"{command[0]}.log"
        with log.open("w") as file:
            code = subprocess.run(
                [sys.executable, "-m", "airflow", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT_S,
                check=False,
            ).returncode
        if code:
            print("\n".join(log.read_text().splitlines()[-40:]), file=sys.stderr)
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())

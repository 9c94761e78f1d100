"""The demo: documents in an S3 server, a DAG in a real Airflow, rows in a database.

usage: python demo/run.py [--docs DIRECTORY] [--out DIRECTORY] [--model MODEL [--revision REVISION]]
       [--host URL] [--resolution MODE]

Everything runs on this machine: moto's S3 server, Airflow with its metadata in SQLite, the model, and the
results in ``OUT/results.db``. An earlier ``results.db`` there is replaced. Without ``--model`` the small
checkpoint of the repository is used; any other model is fetched first and runs on the GPU if there is one.
With ``--host`` a server has the model; its API key is in the variable ``DEEPSEEK_OCR_API_KEY``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer
from report import print_failures, print_table, print_uncertain_words, write_overlays

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.hardware.gpu import has_gpu
from airflow_deepseek_ocr.hardware.torch_build import has_cuda_torch
from airflow_deepseek_ocr.model.weights.source import DEFAULT_MODEL, fetch_model

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "deepseek-ocr-tiny"
BUCKET = "documents"
DAG = "s3_to_database"
#: About its output; measured in the checkpoint's README.
SMALL_CHECKPOINT = """\
This is the small checkpoint, for trials. It reads clean print of few words, such as the sample documents, and
writes words that are not there for small, dense or scanned print. "ok" means that no quality check found a
fault, not that the text is right. "sure" is the model's mean confidence in its words: a low one is a sign of
text that is fluent and wrong.
MODEL=deepseek-ai/DeepSeek-OCR reads with the published model."""
#: The server's API key: an argument would be in the list of processes.
API_KEY_VARIABLE = "DEEPSEEK_OCR_API_KEY"
#: Several times the demo on two slow cores.
TIMEOUT_S = 900
#: The same with a model of full size: compilation and pages on a GPU or a server; and minutes for each page
#: on a CPU.
GPU_TIMEOUT_S, CPU_TIMEOUT_S = 3600, 12 * 3600
#: The message of a line of Airflow's output, and the beginnings of those that show progress.
_MESSAGE = re.compile(r"\[(?:info|warning) *\] (.+?)(?: +\[[\w.]+\] loc=.*)?$")
_SHOWN = (
    *("Engine: ", "Loaded ", "Progress: ", "Fetching ", "Waiting ", "s3://", "No new documents "),
    "The model's layers cannot be compiled",
)


def main() -> int:
    """Run the demo and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", type=Path, default=ROOT / "demo" / "documents")
    parser.add_argument("--out", type=Path, default=ROOT / ".demo" / "out")
    parser.add_argument("--model", help="hub id, directory or s3:// prefix")
    parser.add_argument("--revision", default="", help="commit of a hub model")
    parser.add_argument("--host", help="URL of a server that has the model")
    parser.add_argument("--resolution", help="small; with --model or --host: gundam")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        model = choose_model(options)
    except DeepSeekOCRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
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
        code = _run_dag(_environment(endpoint, database, model), model.timeout_s)
        print(f"The DAG run took {time.monotonic() - started:.0f} s.\n")
    finally:
        server.stop()
    if not database.exists():
        print("error: the DAG wrote no database; its log is above", file=sys.stderr)
        return 1
    print_table(database)
    print_failures(database)
    print_uncertain_words(database)
    if not (options.model or options.host):
        print(f"\n{SMALL_CHECKPOINT}")
    pictures = write_overlays(database, options.docs, out / "pages")
    print(f"\nResults database: {database} (tables ocr_documents, ocr_pages, ocr_regions)")
    print(f"Pages with their boxes: {pictures} pictures in {out / 'pages'}")
    return code


@dataclass(frozen=True)
class DemoModel:
    """The model of the demo.

    :param connection: fields of its connection.
    :param timeout_s: longest time for all documents, in seconds.
    """

    connection: dict[str, Any]
    timeout_s: float


def choose_model(options: argparse.Namespace) -> DemoModel:
    """Return the model that the options name, after fetching it if it is not here.

    :param options: the parsed options.
    :raises DeepSeekOCRError: the model cannot be had.
    """
    # One run of one process: no server should outlive it.
    extra = {"engine": "in_process", "prompt": "markdown"}
    if options.host:
        extra |= {
            "engine": "remote",
            "model": options.model or DEFAULT_MODEL,
            "resolution": options.resolution or "gundam",
        }
        connection = {
            "extra": extra,
            "host": options.host,
            "password": os.environ.get(API_KEY_VARIABLE),
        }
        return DemoModel(connection, GPU_TIMEOUT_S)
    if not options.model:
        extra |= {
            "model": str(MODEL),
            "resolution": options.resolution or "small",
            "max_output_length": 768,
        }
        return DemoModel({"extra": extra}, TIMEOUT_S)
    name = options.model
    if Path(name).is_dir():
        name = str(Path(name).resolve())
    directory = fetch_model(name, options.revision)
    print(f"Model: {name} in {directory}")
    extra |= {
        "model": name,
        "revision": options.revision,
        "resolution": options.resolution or "gundam",
    }
    on_gpu = has_gpu() and has_cuda_torch()
    if has_gpu() and not on_gpu:
        print("This environment has a torch without CUDA: make install MODEL=... replaces it.")
    if not on_gpu:
        print("The model runs on the CPU. A model of full size needs minutes for each page there.")
    return DemoModel({"extra": extra}, GPU_TIMEOUT_S if on_gpu else CPU_TIMEOUT_S)


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


def _environment(endpoint: str, database: Path, model: DemoModel) -> dict[str, str]:
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
        "DEEPSEEK_OCR_DEFAULT": {"conn_type": "deepseek_ocr", **model.connection},
        "DEEPSEEK_OCR_DB": {"conn_type": "sqlite", "host": str(database)},
    }
    scrubbed = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    return scrubbed | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "airflow_deepseek_ocr" / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        **{f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()},
    }


def _run_dag(environment: dict[str, str], timeout_s: float) -> int:
    """Migrate Airflow's metadata, run the DAG, and return the exit status."""
    # The small checkpoint cannot read all sample documents.
    run = ["dags", "test", DAG, "--conf", json.dumps({"max_failed_pages": None})]
    for command in (["db", "migrate"], run):
        print(f"$ airflow {' '.join(command)}", flush=True)
        log = Path(environment["AIRFLOW_HOME"]) / f"{command[0]}.log"
        code = _airflow(command, environment, log, timeout_s)
        if code:
            print("\n".join(log.read_text().splitlines()[-40:]), file=sys.stderr)
            print(
                f"error: airflow {command[0]} ended with {code}; all lines: {log}", file=sys.stderr
            )
            return code
    return 0


def _airflow(command: list[str], environment: dict[str, str], log: Path, timeout_s: float) -> int:
    """Run a command of Airflow, write its output to a file, and print the lines that show progress."""
    with (
        log.open("w") as file,
        subprocess.Popen(
            [sys.executable, "-m", "airflow", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        started = time.monotonic()
        too_late = threading.Timer(timeout_s, process.kill)
        too_late.start()
        try:
            for line in process.stdout or ():
                file.write(line)
                message = _MESSAGE.search(line.rstrip())
                if message and message[1].startswith(_SHOWN):
                    print(f"  {time.monotonic() - started:4.0f} s  {message[1]}", flush=True)
            code = process.wait()
        finally:
            too_late.cancel()
            process.kill()
    if code == -signal.SIGKILL:
        print(f"error: the run took more than {timeout_s / 60:.0f} minutes", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

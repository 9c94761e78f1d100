"""A program that answers as vLLM does, without a model: it is started, watched and stopped in tests."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path

from tests.support.fakes.fault_server import Faults, fault_server


def main() -> None:
    arguments = sys.argv[1:]
    options = dict(pairwise(arguments))
    Path(os.environ["VLLM_STAND_IN_NOTES"]).write_text(
        json.dumps({"pid": os.getpid(), "arguments": arguments})
    )
    if options.get("--load-format") == "fails":
        # As vLLM: the reason, and far more than a message quotes after it.
        print("(EngineCore pid=7) ERROR 11-28 07:05:11 [core.py:1100] ValueError: no such mode")
        print("(APIServer pid=6) \n" * 1000)
        print("(APIServer pid=6) RuntimeError: Engine core initialization failed.")
        sys.exit(3)
    faults = Faults(
        card={"id": options["--served-model-name"], "max_model_len": 8192},
        api_key=os.environ["VLLM_API_KEY"],
        no_repeat_ngram="NGramPerReqLogitsProcessor" in options["--logits-processors"],
    )

    def metrics(_: BaseHTTPRequestHandler) -> str:
        return (
            "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
            f'vllm:num_requests_running{{engine="0"}} {float(faults.in_flight)}\n'
            'vllm:num_requests_waiting{engine="0"} 0.0\n'
            f'vllm:request_success_total{{finished_reason="stop"}} {float(len(faults.requests))}\n'
        )

    faults.open_paths["/metrics"] = metrics
    # vLLM listens after its imports, which take many seconds; a test chooses how long.
    while (
        os.environ.get("VLLM_STAND_IN_WAITS_FOR")
        and not Path(os.environ["VLLM_STAND_IN_WAITS_FOR"]).exists()
    ):
        time.sleep(0.05)
    with fault_server(faults, uds=Path(options["--uds"])):
        threading.Event().wait()


if __name__ == "__main__":
    main()

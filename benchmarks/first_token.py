"""A process that reads two pages' first tokens and says how long each part took; see ``gpu``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

_STARTED = time.perf_counter()


def main() -> None:
    """Print seconds as JSON: after the imports, with the model, with the first token."""
    from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
    from airflow_deepseek_ocr.ocr.decoding import Decoding
    from benchmarks.workload import requests

    imported = time.perf_counter() - _STARTED
    decoding = Decoding(max_output_length=64, forced=True)
    engine = InProcessEngine(Path(sys.argv[1]), batch_size=64, decoding=decoding)
    loaded = time.perf_counter() - _STARTED
    list(engine.read(requests(2, "gundam", [1, 1])))
    first = time.perf_counter() - _STARTED
    engine.close()
    print(
        json.dumps(
            {
                "imported_s": round(imported, 1),
                "loaded_s": round(loaded, 1),
                "first_token_s": round(first, 1),
            }
        )
    )


if __name__ == "__main__":
    main()

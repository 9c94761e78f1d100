"""A caller of a server in a process of its own: ``python -m tests.support.read_page``.

Standard input has the fields of a connection and the path of an image; standard output gets the text of
the page, or the code and the message of the error.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from PIL import Image

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.factory import make_engine
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest

_POLL_S = 0.3


def main() -> None:
    """Read the page when the server is ready."""
    values: dict[str, Any] = json.load(sys.stdin)
    image = Image.open(values.pop("image")).convert("RGB")
    deadline = time.monotonic() + values.pop("wait_s")
    while True:
        answer = _read(image, dict(values))
        if answer.get("code") != "server_unreachable" or time.monotonic() > deadline:
            json.dump(answer, sys.stdout)
            return
        time.sleep(_POLL_S)


def _read(image: Image.Image, values: dict[str, Any]) -> dict[str, Any]:
    settings = Settings.of(values.pop("extra"), values.pop("password"), **values)
    request = PageRequest(key=0, image=image, prompt="free", resolution="tiny", max_output_length=8)
    try:
        # A remote server has the model.
        (output,) = make_engine(settings, lambda: sys.exit("no model is fetched")).read([request])
    except DeepSeekOCRError as error:
        return {"code": error.code, "message": str(error)}
    return {"text": output.text, "error": str(output.error)}


if __name__ == "__main__":
    main()

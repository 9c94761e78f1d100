"""A task's work in a container: pages of documents through the default connection, printed as JSON.

Mounted into the light image and run by its Python, which has Airflow and the package and none of the tests.
Usage: read_pages.py PAGES DOCUMENT...
"""

import json
import sys
from pathlib import Path

from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer


def main() -> None:
    """Print the model, the text and the quality score of each page."""
    count, files = int(sys.argv[1]), map(Path, sys.argv[2:])
    reader = Reader(DeepSeekOCRHook().get_conn, "free", "small")
    with Renderer(Limits()) as renderer:
        for file in files:
            with renderer.open(file) as document:
                pages = [
                    (number, document.page(number)) for number in document.page_numbers[:count]
                ]
            for number, page in reader.read(pages):
                print(
                    json.dumps({"page": number, "text": page.markdown, "status": page.status.value})
                )
    if "torch" in sys.modules:
        sys.exit("a client of a server has imported torch")


if __name__ == "__main__":
    main()

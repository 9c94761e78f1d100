"""Make the prompts guide with a model: read its pages with every prompt in every mode, then write it.

python -m benchmarks.prompts                                         # the small checkpoint on the CPU
python -m benchmarks.prompts --model deepseek-ai/DeepSeek-OCR --device cuda
python -m benchmarks.prompts --render-only                           # from the recorded results
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from airflow_deepseek_ocr.cli.models import fetch
from airflow_deepseek_ocr.cli.settings import add_fields, connection_settings
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from benchmarks.full_size import ROOT, is_random
from benchmarks.prompts.pages import PAGES
from benchmarks.prompts.pictures import draw
from benchmarks.prompts.record import record
from benchmarks.prompts.render import SHOWN_MODE, fill, outputs_page
from benchmarks.prompts.results import Results
from benchmarks.prompts.setting import setting

_FIELDS = ("model", "revision", "cache_dir", "device", "dtype", "batch_size", "max_output_length")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    options = _parser().parse_args(arguments)
    results = Results(options.root.resolve())
    if not results.guide.exists():
        results.guide.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Results(ROOT).guide, results.guide)
    try:
        if not options.render_only:
            _record_outputs(options, results)
        _render(results)
    except DeepSeekOCRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.prompts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_fields(parser, _FIELDS)
    parser.set_defaults(model=str(ROOT / "models" / "deepseek-ocr-tiny"))
    parser.add_argument("--render-only", action="store_true", help="write the pages; run no model")
    parser.add_argument("--root", type=Path, default=ROOT, help="write below this directory")
    return parser


def _record_outputs(options: argparse.Namespace, results: Results) -> None:
    settings = connection_settings(options)
    directory = fetch(settings)
    if is_random(directory):
        raise SystemExit(
            f"error: {directory} has random weights, whose outputs mean nothing; measure times with "
            "python -m benchmarks.prompts.times"
        )
    engine = InProcessEngine(
        directory,
        device=settings.device,
        dtype=settings.dtype,
        batch_size=settings.batch_size,
        decoding=settings.decoding,
    )
    pages, outputs = record(engine, list(PAGES.values()))
    facts = setting(engine, options.model, settings.revision, directory)
    engine.close()
    results.save_outputs({"setting": facts, "pages": pages, "outputs": outputs})


def _render(results: Results) -> None:
    data = results.outputs()
    guide = results.guide.read_text("utf-8")
    results.guide.write_text(fill(guide, data, results.times()), "utf-8")
    results.outputs_page.write_text(outputs_page(data), "utf-8")
    draw(results, data, PAGES.values(), SHOWN_MODE)
    print(f"Wrote {results.guide}, {results.outputs_page}, {results.pictures}")


if __name__ == "__main__":
    sys.exit(main())

"""vLLM's offline batch over the pages of a job, run by the interpreter of vLLM's environment.

``python benchmarks/vllm_batch.py JOB``; :mod:`benchmarks.vllm_offline` writes the job and reads the lines of
JSON on standard output. It imports vLLM and Pillow alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TextIO

from PIL import Image

#: The plugin's name among those of vLLM, and the only mode without it.
_PLUGIN, _PUBLISHED_MODE = "deepseek_ocr_resolutions", "gundam"


def main() -> None:
    """Read the job's pages in each mode, and write a line about each."""
    job = json.loads(Path(sys.argv[1]).read_bytes())
    # vLLM's processes log to standard output, too.
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    llm = _load(job["arguments"])
    _write(lines, vllm=_version())
    images = [Image.open(path).convert("RGB") for path in job["images"]]
    with_plugin = any(each.name == _PLUGIN for each in entry_points(group="vllm.general_plugins"))
    for mode in job["modes"]:
        if mode != _PUBLISHED_MODE and not with_plugin:
            reason = (
                f"vLLM has {_PUBLISHED_MODE} alone without the plugin airflow-deepseek-ocr-vllm."
            )
            _write(lines, mode=mode, skipped=reason)
            continue
        options = {"resolution": mode} if with_plugin else None
        warm_up_s, _ = _read(llm, job["line"], images, job["warm_up"], options)
        seconds, outputs = _read(llm, job["line"], images, job["pages"], options)
        image_token = llm.get_tokenizer().get_vocab()["<image>"]
        _write(
            lines,
            mode=mode,
            warm_up_s=warm_up_s,
            seconds=seconds,
            texts=[len(each.outputs[0].token_ids) for each in outputs],
            vision_tokens=[each.prompt_token_ids.count(image_token) for each in outputs],
            probabilities=sum(bool(each.outputs[0].logprobs) for each in outputs),
        )
    _write(lines, end=True)


def _load(arguments: list[str]) -> Any:
    """Load the model with the options of ``vllm serve``, without those that only a server has."""
    from vllm import LLM
    from vllm.engine.arg_utils import EngineArgs
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    class Parser(FlexibleArgumentParser):  # type: ignore[misc, valid-type]
        # Called by parse_args() alone, which first brings names to their usual form.
        def parse_known_args(self, *arguments: Any) -> tuple[Any, list[str]]:
            return super().parse_known_args(*arguments)[0], []

    parser = EngineArgs.add_cli_args(Parser(allow_abbrev=False))
    return LLM.from_engine_args(EngineArgs.from_cli_args(parser.parse_args(arguments)))


def _version() -> str:
    import vllm

    return str(vllm.__version__)


def _read(
    llm: Any,
    line: str,
    images: list[Image.Image],
    sampling: list[dict[str, Any]],
    options: dict[str, Any] | None,
) -> tuple[float, list[Any]]:
    """Return the seconds of one call for all pages, and what vLLM returns.

    :param line: of text after each image.
    :param images: of the pages, one after the other, from the first again at the end.
    :param sampling: of each page.
    :param options: ``mm_processor_kwargs``.
    """
    from vllm import SamplingParams

    conversations = [
        [
            {
                "role": "user",
                "content": [
                    {"type": "image_pil", "image_pil": images[number % len(images)]},
                    {"type": "text", "text": line},
                ],
            }
        ]
        for number in range(len(sampling))
    ]
    parameters = [SamplingParams(**each) for each in sampling]
    started = time.perf_counter()
    outputs = llm.chat(conversations, parameters, use_tqdm=False, mm_processor_kwargs=options)
    return time.perf_counter() - started, outputs


def _write(lines: TextIO, **figures: Any) -> None:
    print(json.dumps(figures), file=lines, flush=True)


if __name__ == "__main__":
    main()

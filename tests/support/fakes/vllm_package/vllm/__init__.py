"""A package with the few names of vLLM that the offline batch uses: each page gets the tokens it asks for."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__version__ = "0.0"

#: Id of ``<image>``, and how many of it a prompt has in each mode.
IMAGE_TOKEN, IMAGE_TOKENS = 7, {"gundam": 903, "base": 273}


class SamplingParams:
    def __init__(self, **fields: Any) -> None:
        self.fields = fields


@dataclass
class Completion:
    token_ids: list[int]
    logprobs: list[dict[int, float]] | None


@dataclass
class RequestOutput:
    prompt_token_ids: list[int]
    outputs: list[Completion]


class LLM:
    @classmethod
    def from_engine_args(cls, arguments: dict[str, Any]) -> LLM:
        print("a line of the log, which is no figure")
        if arguments["load_format"] == "fails":
            print(
                "(EngineCore pid=7) ERROR 11-28 22:39:21 [core.py:1] ValueError: the weights are gone"
            )
            print("(EngineCore pid=7) INFO 11-28 22:39:22 [core.py:2] progress" * 200)
            raise RuntimeError("Engine core initialization failed.")
        Path(os.environ["VLLM_STAND_IN_NOTES"]).write_text(json.dumps(arguments))
        return cls()

    def get_tokenizer(self) -> LLM:
        return self

    def get_vocab(self) -> dict[str, int]:
        return {"<image>": IMAGE_TOKEN}

    def chat(
        self,
        conversations: list[list[dict[str, Any]]],
        parameters: list[SamplingParams],
        *,
        use_tqdm: bool,
        mm_processor_kwargs: dict[str, Any],
    ) -> list[RequestOutput]:
        print("another", use_tqdm)
        prompt = [1, *[IMAGE_TOKEN] * IMAGE_TOKENS[mm_processor_kwargs["resolution"]], 2]
        outputs = []
        for (message,), each in zip(conversations, parameters, strict=True):
            assert [part["type"] for part in message["content"]] == ["image_pil", "text"]
            assert message["content"][0]["image_pil"].mode == "RGB"
            tokens = list(range(each.fields["max_tokens"]))
            asked = each.fields.get("logprobs")
            outputs.append(
                RequestOutput(prompt, [Completion(tokens, [{0: 0.0}] * asked if asked else None)])
            )
        return outputs

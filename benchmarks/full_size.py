"""The published sizes with random weights: as fast or slow as the real models, without what they learnt."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from airflow_deepseek_ocr.model.deepseek_ocr.architectures.registry import ARCHITECTURES
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from airflow_deepseek_ocr.ocr.families.family import ModelFamily

ROOT = Path(__file__).parents[1]
_SMALL = ROOT / "models" / "deepseek-ocr-tiny"
#: Tokens of the published vocabulary.
VOCABULARY = 129280
#: The published sizes (``config.json`` of deepseek-ai/DeepSeek-OCR).
TEXT = {
    "hidden_size": 1280,
    "intermediate_size": 6848,
    "moe_intermediate_size": 896,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_attention_heads": 10,
    "num_experts_per_tok": 6,
    "num_hidden_layers": 12,
    "num_key_value_heads": 10,
    "vocab_size": VOCABULARY,
}
#: Likewise the width of what leads from the encoders to the decoder; vLLM reads it, transformers does not.
PROJECTOR_INPUT = {DEEPSEEK_OCR.name: 2048, DEEPSEEK_OCR_2.name: 896}
#: Published configurations of the families; their text model is of toy width.
_CONFIGS = {DEEPSEEK_OCR.name: "golden", DEEPSEEK_OCR_2.name: "golden_2"}
#: Published with the rest of DeepSeek-OCR, computes nothing, and vLLM asks for it; shape in channels and
#: pixels.
_UNUSED = "model.vision_model.embeddings.patch_embedding.weight"
_UNUSED_SHAPE = (1024, 3, 14, 14)
_IMAGE_TOKEN = 3
#: Several files, as transformers writes an index then.
_SHARD_SIZE = "3GB"
_UNUSED_FILE = "model-unused.safetensors"
#: File that only directories of :func:`build` have.
_MARK = "random-weights"


def build(directory: Path, device: str = "cuda", family: ModelFamily = DEEPSEEK_OCR) -> Path:
    """Make a model directory in the published layout; one that is there already stays.

    The tokenizer is the small checkpoint's: it knows the first few hundred of the tokens, and the others
    are written as nothing.

    :param directory: to be made.
    :param device: where the weights are drawn.
    :param family: the model.
    :returns: the directory.
    """
    if (directory / "config.json").exists():
        return directory
    directory.mkdir(parents=True, exist_ok=True)
    recorded = ROOT / "tests" / "corpus" / _CONFIGS[family.name]
    published = json.loads((recorded / "config.json").read_text())
    published.pop("tiny_vision")
    published["language_config"] |= TEXT
    published["projector_config"] |= {
        "input_dim": PROJECTOR_INPUT[family.name],
        "n_embed": TEXT["hidden_size"],
    }
    # It is there twice.
    published |= TEXT
    architecture = ARCHITECTURES[family.name]
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = architecture.native_class()(
                architecture.translate_config(published, _IMAGE_TOKEN)
            )
    finally:
        torch.set_default_dtype(before)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    model.to(torch.bfloat16).save_pretrained(directory, max_shard_size=_SHARD_SIZE)
    if architecture.unused_tensor:
        _add_unused(directory)
    (directory / _MARK).touch()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(_SMALL / name, directory)
    # save_pretrained wrote the native configuration.
    (directory / "config.json").write_text(json.dumps(published))
    del model
    if device != "cpu":
        torch.cuda.empty_cache()
    return directory


def _add_unused(directory: Path) -> None:
    index = directory / "model.safetensors.index.json"
    names = json.loads(index.read_text())
    names["weight_map"][_UNUSED] = _UNUSED_FILE
    save_file(
        {_UNUSED: torch.zeros(_UNUSED_SHAPE, dtype=torch.bfloat16)},
        directory / _UNUSED_FILE,
        metadata={"format": "pt"},
    )
    index.write_text(json.dumps(names))


def is_random(directory: Path) -> bool:
    """Whether :func:`build` made that directory, so that its outputs mean nothing."""
    return (directory / _MARK).exists()

"""The checkpoints of toy width with which the golden vectors were recorded, one for each model family."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from tests.conftest import GOLDEN, TINY_MODEL

_MAKE_WEIGHTS = "make_weights.py"
#: Tensors with a row for each token.
_OF_VOCABULARY = ("model.embed_tokens.weight", "lm_head.weight")


def make_checkpoint(vectors: Path, directory: Path) -> Path:
    """Make the checkpoint that a directory of vectors was recorded with, in the published layout.

    :param vectors: directory with ``config.json`` and ``tensors.json``.
    :param directory: to be made.
    """
    own = vectors / _MAKE_WEIGHTS
    program = own if own.exists() else GOLDEN[0] / _MAKE_WEIGHTS
    arguments = [directory] if own.exists() else [directory, vectors]
    subprocess.run([sys.executable, program, *arguments], check=True, timeout=300)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(published_widths(config)))
    return directory


def make_readable_checkpoint(vectors: Path, directory: Path) -> Path:
    """Make the same checkpoint with the small checkpoint's tokenizer, so that an engine can read with it.

    Of the vocabulary, the tokens are kept that this tokenizer writes as text.
    """
    make_checkpoint(vectors, directory)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TINY_MODEL / name, directory)
    small = json.loads((TINY_MODEL / "config.json").read_text())
    config = json.loads((directory / "config.json").read_text())
    words = small["language_config"]["vocab_size"]
    config["vocab_size"] = config["language_config"]["vocab_size"] = words
    (directory / "config.json").write_text(json.dumps(config))
    (shard,) = directory.glob("*.safetensors")
    state = load_file(shard)
    for name in _OF_VOCABULARY:
        state[name] = state[name][:words].clone()
    save_file(state, shard, metadata={"format": "pt"})
    return directory


def golden_image(vectors: Path, name: str) -> Path:
    """Return the file of a recorded case's image; the families share most of them.

    Those of this repository are lossless WebP, a quarter smaller than the PNG files that the cases name.
    """
    webp = Path(name).with_suffix(".webp").name
    places = [vectors / "images" / each for each in (name, webp)]
    places.append(GOLDEN[0] / "images" / webp)
    return next((place for place in places if place.exists()), places[-1])


def published_widths(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with the recorded model's widths where a published file has them.

    :param config: with the widths under ``tiny_vision``.
    """
    toy = config.pop("tiny_vision")
    width = config["vision_config"]["width"]
    width["sam_vit_b"] |= {
        "width": toy["sam_hidden"],
        "layers": toy["sam_depth"],
        "heads": toy["sam_heads"],
        "global_attn_indexes": toy["sam_global"],
        "downsample_channels": [toy["net2"], toy["net3"]],
        "out_chans": toy["sam_out"],
    }
    if "clip-l-14-224" in width:
        width["clip-l-14-224"] |= {
            "width": toy["clip_hidden"],
            "layers": toy["clip_layers"],
            "heads": toy["clip_heads"],
            "mlp_ratio": toy["clip_ffn"] / toy["clip_hidden"],
        }
    else:
        # As published: not the width that the weights lead to.
        width["sam_vit_b"]["downsample_channels"][1] = 2 * toy["net3"]
        width["qwen2-0-5b"] |= {
            "dim": toy["encoder_hidden"],
            "layers": toy["encoder_layers"],
            "heads": toy["encoder_heads"],
            "kv_heads": toy["encoder_kv_heads"],
            "ffn": toy["encoder_ffn"],
        }
    return config

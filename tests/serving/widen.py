"""A checkpoint of small widths in the published widths of the encoder: it computes the same.

vLLM builds the encoder in its published sizes only. A vector that is repeated has the same mean and
variance, so that layers over vectors of n copies, with weights divided by n, give n copies of what they
gave; heads of attention are repeated as a whole and filled up with zeros; layers that add nothing make
up the depth.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

State = dict[str, torch.Tensor]

#: deepencoder.py of the published checkpoint.
_SAM = {"width": 768, "layers": 12, "heads": 12, "global_attn_indexes": [2, 5, 8, 11]}
_CLIP = {"width": 1024, "layers": 24, "heads": 16}
_MLP_RATIO, _SAM_OUT, _DOWNSAMPLE = 4, 256, [512, 1024]
_CLIP_PATCH = 14


def widen(source: Path, target: Path) -> None:
    """Write the checkpoint in ``source`` with an encoder of the published sizes.

    :param source: a folder in the published layout with widths that divide the published ones.
    :param target: folder for it; its weights are in float32.
    """
    target.mkdir(parents=True)
    config = json.loads((source / "config.json").read_text())
    state: State = {}
    for shard in source.glob("*.safetensors"):
        state |= {name: tensor.float() for name, tensor in load_file(shard).items()}
    _widen_encoder(state, config["vision_config"]["width"])
    config["vision_config"]["width"] = {
        "sam_vit_b": _SAM | {"downsample_channels": _DOWNSAMPLE},
        "clip-l-14-224": _CLIP | {"image_size": 224, "patch_size": _CLIP_PATCH},
    }
    config["projector_config"]["input_dim"] = _CLIP["width"] + _DOWNSAMPLE[1]
    config["torch_dtype"] = config["language_config"]["torch_dtype"] = "float32"
    (target / "config.json").write_text(json.dumps(config))
    weights = {name: each.contiguous() for name, each in state.items()}
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, target / name)


def _copies(tensor: torch.Tensor, dim: int, size: int) -> torch.Tensor:
    """Repeat along ``dim`` until it has ``size`` there: of what a layer gives."""
    times, rest = divmod(size, tensor.shape[dim])
    assert not rest
    return torch.cat([tensor] * times, dim)


def _shares(tensor: torch.Tensor, dim: int, size: int) -> torch.Tensor:
    """The same for what a layer takes: its copies add up."""
    return _copies(tensor, dim, size) * tensor.shape[dim] / size


def _zeros(tensor: torch.Tensor, dim: int, size: int) -> torch.Tensor:
    """Fill up with zeros to ``size``."""
    shape = list(tensor.shape)
    shape[dim] = size - shape[dim]
    return torch.cat([tensor, tensor.new_zeros(shape)], dim)


@dataclass
class _Tower:
    """A transformer of the encoder.

    :param prefix: of its layers' tensors, before their number.
    :param old, new: its ``width`` and ``heads``.
    """

    state: State
    prefix: str
    old: dict[str, Any]
    new: dict[str, Any]
    #: Of a layer's tensors, behind its number.
    qkv: str
    project: str
    up: str
    down: str
    norms: tuple[str, str]

    def layer(self, number: int) -> State:
        """Take a layer out, widened, by its names behind the number."""
        width, heads = self.old["width"], self.old["heads"]
        new_width, new_heads = self.new["width"], self.new["heads"]
        head, new_head, inner = width // heads, new_width // new_heads, _MLP_RATIO * new_width
        start = f"{self.prefix}{number}."
        names = [name for name in self.state if name.startswith(start)]
        old = {name.removeprefix(start): self.state.pop(name) for name in names}
        new: State = {}
        for name, each in old.items():
            if name.startswith(self.qkv):
                # q, k and v; heads; a head's vector, by the root of whose length scores are divided.
                each = each.reshape(3, heads, head, -1).clone()
                each[1] *= math.sqrt(new_head / head)
                each = _copies(_zeros(each, 2, new_head), 1, new_heads)
                if name.endswith("weight"):
                    each = _shares(each, 3, new_width)
                each = each.reshape(3 * new_width, -1).squeeze(1)
            elif name == f"{self.project}.weight":
                each = _zeros(each.reshape(width, heads, head), 2, new_head)
                each = _copies(_shares(each, 1, new_heads).reshape(width, -1), 0, new_width)
            elif name == f"{self.up}.weight":
                each = _copies(_shares(each, 1, new_width), 0, inner)
            elif name == f"{self.up}.bias":
                each = _copies(each, 0, inner)
            elif name == f"{self.down}.weight":
                each = _copies(_shares(each, 1, inner), 0, new_width)
            elif "rel_pos" in name:
                each = _zeros(each, 1, new_head)
            else:
                assert name.startswith(self.norms) or name.endswith("bias")
                each = _copies(each, 0, new_width)
            new[name] = each
        return new

    def idle(self, like: State) -> State:
        """A layer that adds nothing."""
        ends = (self.project, self.down)
        return {
            name: torch.zeros_like(each) if name.startswith(ends) else each.clone()
            for name, each in like.items()
        }

    def put(self, number: int, layer: State) -> None:
        for name, each in layer.items():
            self.state[f"{self.prefix}{number}.{name}"] = each


def _widen_encoder(state: State, widths: dict[str, Any]) -> None:
    sam, clip = widths["sam_vit_b"], widths["clip-l-14-224"]
    _widen_sam(state, sam)
    _widen_clip(state, clip)
    name = "model.projector.layers.weight"
    of_clip, of_sam = state[name].split([clip["width"], sam["downsample_channels"][1]], 1)
    state[name] = torch.cat(
        [_shares(of_clip, 1, _CLIP["width"]), _shares(of_sam, 1, _DOWNSAMPLE[1])], 1
    )


def _widen_sam(state: State, sam: dict[str, Any]) -> None:
    start, width = "model.sam_model.", _SAM["width"]
    tower = _Tower(
        state, f"{start}blocks.", sam, _SAM,
        "attn.qkv", "attn.proj", "mlp.lin1", "mlp.lin2", ("norm1", "norm2"),
    )  # fmt: skip
    layers = [(tower.layer(n), n in sam["global_attn_indexes"]) for n in range(sam["layers"])]
    sample = {everywhere: layer for layer, everywhere in layers}
    waiting: Iterator[tuple[State, bool]] = iter(layers)
    following = next(waiting, None)
    for number in range(_SAM["layers"]):
        everywhere = number in _SAM["global_attn_indexes"]
        if following is not None and following[1] == everywhere:
            tower.put(number, following[0])
            following = next(waiting, None)
        else:
            tower.put(number, tower.idle(sample[everywhere]))
    assert following is None, "the published depth has no room for these layers"
    for name in ("patch_embed.proj.weight", "patch_embed.proj.bias"):
        state[start + name] = _copies(state[start + name], 0, width)
    state[f"{start}pos_embed"] = _copies(state[f"{start}pos_embed"], 3, width)
    neck = f"{start}neck."
    state[f"{neck}0.weight"] = _copies(_shares(state[f"{neck}0.weight"], 1, width), 0, _SAM_OUT)
    state[f"{neck}2.weight"] = _copies(_shares(state[f"{neck}2.weight"], 1, _SAM_OUT), 0, _SAM_OUT)
    for name in ("1.weight", "1.bias", "3.weight", "3.bias"):
        state[neck + name] = _copies(state[neck + name], 0, _SAM_OUT)
    # No norm behind these two: the first is filled up, the second gives copies again.
    name = f"{start}net_2.weight"
    state[name] = _zeros(_shares(state[name], 1, _SAM_OUT), 0, _DOWNSAMPLE[0])
    name = f"{start}net_3.weight"
    state[name] = _copies(_zeros(state[name], 1, _DOWNSAMPLE[0]), 0, _DOWNSAMPLE[1])


def _widen_clip(state: State, clip: dict[str, Any]) -> None:
    start, width = "model.vision_model.", _CLIP["width"]
    tower = _Tower(
        state, f"{start}transformer.layers.", clip, _CLIP,
        "self_attn.qkv_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2",
        ("layer_norm1", "layer_norm2"),
    )  # fmt: skip
    layers = [tower.layer(number) for number in range(clip["layers"])]
    for number in range(_CLIP["layers"]):
        tower.put(number, layers[number] if number < len(layers) else tower.idle(layers[0]))
    embeddings = f"{start}embeddings."
    for name in ("class_embedding", "position_embedding.weight"):
        state[embeddings + name] = _copies(state[embeddings + name], -1, width)
    # Published, and used by nobody.
    state[f"{embeddings}patch_embedding.weight"] = torch.zeros(width, 3, _CLIP_PATCH, _CLIP_PATCH)
    for name in ("pre_layrnorm.weight", "pre_layrnorm.bias"):
        state[start + name] = _copies(state[start + name], 0, width)

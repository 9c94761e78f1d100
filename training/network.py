"""The network that is trained, its published config.json, and the way back to a checkpoint.

It is transformers' native DeepSeek-OCR, called part by part: the vision tower once for an image, the
decoder once for each of its prompts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own idiom)
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import UnlimitedOcrConfig, UnlimitedOcrForConditionalGeneration
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from airflow_deepseek_ocr.model.checkpoint_family import SMALLEST_PRINT
from airflow_deepseek_ocr.model.deepseek_ocr.architectures.deepseek_ocr import translate_config
from airflow_deepseek_ocr.model.deepseek_ocr.checkpoint import load_checkpoint
from training.charset import CHARSET
from training.tokenizer import build_tokenizer, save_tokenizer

#: Cells of a vision token's 64 x 64 pixels in which the auxiliary head looks for a character.
CELL_ROWS, CELL_COLUMNS = 4, 8
#: Classes of the auxiliary head: no character, or one of these.
CHARACTERS = {
    character: index for index, character in enumerate(sorted(set(CHARSET) - {" "}), start=1)
}
#: A cell with more than one character: nothing is asked of it.
AMBIGUOUS = 255

#: Standard deviation of the initial weights, as in the other parts (transformers' default).
_INITIAL_DEVIATION = 0.02
#: Weights of the auxiliary head, which only a further training has use for.
_HEAD_FILE = "characters.head"
#: Files of at most this size each: some hosts take no larger ones.
_SHARD_SIZE = "15MB"
#: Height of the smallest print that the checkpoint reads, in pixels (docs/measurements/print-height.md).
_SMALLEST_PRINT = 14


def published_config(vocabulary_size: int) -> dict[str, Any]:
    """``config.json`` in the published layout: smaller widths and depths, and one field more."""
    language = {
        "architectures": ["DeepseekV2ForCausalLM"],
        "bos_token_id": 0,
        "eos_token_id": 1,
        "first_k_dense_replace": 1,
        "hidden_size": 256,
        "intermediate_size": 768,
        "kv_lora_rank": None,
        "lm_head": True,
        "max_position_embeddings": 8192,
        "moe_intermediate_size": 128,
        "n_group": 1,
        "n_routed_experts": 8,
        "n_shared_experts": 1,
        "num_attention_heads": 4,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 4,
        "num_key_value_heads": 4,
        "q_lora_rank": None,
        "qk_nope_head_dim": 0,
        "qk_rope_head_dim": 0,
        "rm_head": False,
        "topk_group": 1,
        "topk_method": "greedy",
        "torch_dtype": "float16",
        "use_mla": False,
        "v_head_dim": 0,
        "vocab_size": vocabulary_size,
    }
    return {
        "architectures": ["DeepseekOCRForCausalLM"],
        "candidate_resolutions": [[1024, 1024]],
        "global_view_pos": "head",
        "language_config": language,
        "model_type": "deepseek_vl_v2",
        "projector_config": {
            "input_dim": 512,
            "model_type": "mlp_projector",
            "n_embed": 256,
            "projector_type": "linear",
        },
        SMALLEST_PRINT: _SMALLEST_PRINT,
        "tile_tag": "2D",
        "torch_dtype": "float16",
        "vision_config": {
            "image_size": 1024,
            "mlp_ratio": 3.7362,
            "model_name": "deeplip_b_l",
            "model_type": "vision",
            "width": {
                "clip-l-14-224": {
                    "heads": 4,
                    "image_size": 224,
                    "layers": 3,
                    "patch_size": 14,
                    "width": 256,
                },
                "sam_vit_b": {
                    "downsample_channels": [192, 256],
                    "global_attn_indexes": [1, 3],
                    "heads": 3,
                    "layers": 4,
                    "width": 192,
                },
            },
        },
        # vLLM and the published code read these here, the rest in language_config.
        "bos_token_id": 0,
        "eos_token_id": 1,
    }


def native_config(*, relative_positions: bool) -> UnlimitedOcrConfig:
    """The configuration for transformers.

    :param relative_positions: whether SAM's attention has its tables of relative positions. They
        halve the speed of training; the checkpoint holds tables of zeros, which are the same
        function as none.
    """
    tokenizer = build_tokenizer()
    config = translate_config(
        published_config(len(tokenizer)), tokenizer.convert_tokens_to_ids("<image>")
    )
    sam = config.vision_config.sam_config
    sam.use_rel_pos = relative_positions
    # transformers' default for SAM is 1e-10, from which nothing is ever learnt.
    sam.initializer_range = _INITIAL_DEVIATION
    return config


class Network(nn.Module):
    """The model with an auxiliary head that names the characters each vision token covers.

    Without that head the decoder's loss stands still for thousands of steps: nothing tells the
    vision tower what a glyph is until the decoder can copy, and the other way round.
    """

    def __init__(self) -> None:
        super().__init__()
        config = native_config(relative_positions=False)
        config._attn_implementation = "sdpa"
        self.model = UnlimitedOcrForConditionalGeneration(config)
        ALL_EXPERTS_FUNCTIONS.register("dense", _dense_experts)
        self.model.set_experts_implementation("dense")
        self._compiled: Callable[..., torch.Tensor] = _apply
        self._compiled_sizes: Collection[int] = ()
        features = config.vision_config.sam_config.downsample_channels[-1]
        features += config.vision_config.encoder_config.hidden_size
        classes = len(CHARACTERS) + 1
        self.characters = nn.Linear(features, CELL_ROWS * CELL_COLUMNS * classes)

    def compile_layers(self, backend: str, sizes: Collection[int]) -> None:
        """Compile the layers one by one: those of a kind share what is compiled.

        :param backend: of torch.compile, such as ``inductor``.
        :param sizes: of views in pixels for which it is worth the time; others run as they are.
        """
        # A variant for each kind of layer, and of SAM's for each size.
        torch._dynamo.config.recompile_limit = 64
        torch._dynamo.config.automatic_dynamic_shapes = False
        compiled = torch.compile(_apply, backend=backend, fullgraph=True)

        def apply(layer: nn.Module, states: torch.Tensor, **others: Any) -> torch.Tensor:
            torch._dynamo.mark_dynamic(states, 0)
            if states.ndim == 3:
                torch._dynamo.mark_dynamic(states, 1)
            for tensor in others.get("position_embeddings", ()):
                torch._dynamo.mark_dynamic(tensor, 1)
            return compiled(layer, states, **others)

        self._compiled, self._compiled_sizes = apply, sizes

    def see(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode views.

        :param pixels: (views, 3, size, size), normalised.
        :returns: vision tokens (views, (size / 64)^2, hidden) as the decoder takes them, and
            logits of the auxiliary head (views, size / 16, size / 8, classes).
        """
        sam, clip = (
            self.model.model.vision_tower.sam_encoder,
            self.model.model.vision_tower.vision_encoder,
        )
        apply = self._compiled if pixels.shape[-1] in self._compiled_sizes else _apply
        patches = _patches(sam.patch_embed.projection, pixels)
        patches = patches + sam.interpolate_pos_encoding(*patches.shape[1:3])
        for layer in sam.layers:
            patches = apply(layer, patches)
        local = apply(sam.proj, apply(sam.neck, patches))
        states = clip.pre_layrnorm(clip.embeddings(local))
        for layer in clip.encoder.layers:
            states = apply(layer, states, attention_mask=None)
        features = torch.cat([states[:, 1:], local.flatten(2).transpose(1, 2)], dim=-1)
        side = pixels.shape[-1] // 64
        logits = self.characters(features).unflatten(-1, (CELL_ROWS, CELL_COLUMNS, -1))
        logits = logits.unflatten(1, (side, side))
        logits = logits.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)
        return self.model.model.multi_modal_projector(features), logits

    def embed(
        self, ids: torch.Tensor, vision: torch.Tensor, vision_rows: torch.Tensor
    ) -> torch.Tensor:
        """Embeddings (sequences, length, hidden) of texts and the images before them.

        :param ids: token ids (sequences, length).
        :param vision: vision tokens (rows, hidden) of all images of the batch.
        :param vision_rows: for each id its row in ``vision``, followed there by the newline and the
            separator; -1 for text.
        """
        inner = self.model.model
        table = torch.cat(
            [vision, inner.image_newline[None].to(vision), inner.view_separator[None].to(vision)]
        )
        text = inner.language_model.embed_tokens(ids).to(vision.dtype)
        # An embedding's backward pass sorts its indices; index_select would add to the newline's
        # row from thousands of places at once.
        image = F.embedding(vision_rows.clamp(min=0), table)
        return torch.where((vision_rows >= 0)[..., None], image, text)

    def decode(self, embeddings: torch.Tensor) -> torch.Tensor:
        """The decoder's last states (sequences, length, hidden); padding belongs on the right."""
        decoder = self.model.model.language_model
        positions = torch.arange(embeddings.shape[1], device=embeddings.device)[None]
        rotary = decoder.rotary_emb(embeddings, position_ids=positions)
        states = embeddings
        for layer in decoder.layers:
            states = self._compiled(layer, states, position_embeddings=rotary)
        return decoder.norm(states)


def _apply(layer: nn.Module, states: torch.Tensor, **others: Any) -> torch.Tensor:
    return layer(states, **others)


def _patches(convolution: nn.Conv2d, pixels: torch.Tensor) -> torch.Tensor:
    """A convolution whose stride is its size, as the matrix product that it is: much faster.

    :returns: (views, rows, columns, channels).
    """
    (side, _), channels = convolution.kernel_size, pixels.shape[1]
    rows = pixels.shape[-1] // side
    pieces = pixels.reshape(-1, channels, rows, side, rows, side).permute(0, 2, 4, 1, 3, 5)
    return F.linear(pieces.flatten(3), convolution.weight.flatten(1), convolution.bias)


def _dense_experts(
    self: Any, states: torch.Tensor, chosen: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """All experts for all tokens, the unchosen ones times zero.

    The same function as routing, and at this width faster: no sorting, no shapes that depend on data.
    """
    gates = torch.zeros(
        states.shape[0], self.num_experts, dtype=weights.dtype, device=states.device
    ).scatter(1, chosen, weights)
    inner = F.linear(states, self.gate_up_proj.flatten(0, 1))
    gate, up = inner.view(states.shape[0], self.num_experts, -1).chunk(2, dim=-1)
    inner = self.act_fn(gate) * up * gates[..., None].to(gate.dtype)
    return F.linear(inner.flatten(1), self.down_proj.transpose(0, 1).flatten(1))


def load_weights(network: Network, directory: Path) -> None:
    """Take the weights of an exported checkpoint, and those of the auxiliary head if they are there.

    :param directory: in the published layout, of this network's widths.
    :raises UnavailableError: ``model_missing``, ``model_incomplete`` if it does not fit.
    """
    if (directory / _HEAD_FILE).exists():
        network.characters.load_state_dict(load_file(directory / _HEAD_FILE))
    else:
        # At zero it learns from the vision tower's features before it moves them.
        nn.init.zeros_(network.characters.weight)
        nn.init.zeros_(network.characters.bias)
    model, _ = load_checkpoint(directory, "cpu", torch.float32)
    # The network has no tables of relative positions, and the engine has wrapped SAM's attention.
    own = {
        name.replace(".attn.attention.", ".attn."): weight
        for name, weight in model.state_dict().items()
        if "rel_pos" not in name
    }
    network.model.load_state_dict(own)


def export(weights: Mapping[str, torch.Tensor], directory: Path) -> None:
    """Write a checkpoint in the published layout: config, tokenizer, weights in float16.

    The auxiliary head lies beside it, in a file that no reader of checkpoints takes.

    :param weights: of a :class:`Network`, by name.
    :param directory: made if it is missing; files of an earlier checkpoint in it are replaced.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.safetensors*"):
        old.unlink()
    config = native_config(relative_positions=True)
    model = UnlimitedOcrForConditionalGeneration(config)
    own = {
        name.removeprefix("model."): weight
        for name, weight in weights.items()
        if name.startswith("model.")
    }
    missing, unexpected = model.load_state_dict(own, strict=False)
    if unexpected or any("rel_pos" not in name for name in missing):
        raise RuntimeError(f"the trained network does not fit: {missing=}, {unexpected=}")
    for name, parameter in model.named_parameters():
        if "rel_pos" in name:
            nn.init.zeros_(parameter)
    model.half().save_pretrained(directory, max_shard_size=_SHARD_SIZE)
    head = {
        name.removeprefix("characters."): weight.detach().half().cpu().contiguous()
        for name, weight in weights.items()
        if name.startswith("characters.")
    }
    save_file(head, directory / _HEAD_FILE)
    save_tokenizer(directory)
    # save_pretrained wrote the native configuration; published checkpoints have their own.
    (directory / "generation_config.json").unlink(missing_ok=True)
    config_json = json.dumps(published_config(config.text_config.vocab_size), indent=2)
    (directory / "config.json").write_text(config_json + "\n")

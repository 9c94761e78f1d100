"""A published checkpoint, loaded into transformers' native classes without remote code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedTokenizerFast

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.model.deepseek_ocr.architectures.registry import (
    Architecture,
    architecture_of_config,
)
from airflow_deepseek_ocr.model.deepseek_ocr.sam_attention import fuse_sam_attention
from airflow_deepseek_ocr.model.weights.files import (
    CONFIG,
    TOKENIZER,
    check_model_directory,
    read_config,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the special tokens, found by their published names."""

    bos: int
    eos: int
    pad: int
    image: int
    table_cells: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast) -> SpecialTokens:
        """Return the ids in that tokenizer.

        :raises ConfigurationError: ``model_tokenizer`` if one of them is missing.
        """
        vocabulary = tokenizer.get_vocab()
        try:
            return cls(
                bos=vocabulary["<｜begin▁of▁sentence｜>"],
                eos=vocabulary["<｜end▁of▁sentence｜>"],
                pad=vocabulary["<｜▁pad▁｜>"],
                image=vocabulary["<image>"],
                table_cells=(vocabulary["<td>"], vocabulary["</td>"]),
            )
        except KeyError as error:
            raise ConfigurationError(
                ErrorCode.MODEL_TOKENIZER,
                f"{TOKENIZER} has no token {error}; it is not the tokenizer of DeepSeek-OCR.",
            ) from error


def load_tokenizer(directory: Path) -> PreTrainedTokenizerFast:
    """Return the checkpoint's tokenizer.

    ``AutoTokenizer`` would ask on the terminal whether remote code may run.
    """
    return PreTrainedTokenizerFast(
        tokenizer_file=str(directory / TOKENIZER),
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def load_model(
    directory: Path, image_token_id: int, device: str, dtype: torch.dtype
) -> PreTrainedModel:
    """Return the model of that directory, ready to generate.

    :param directory: a complete directory in the published layout.
    :param image_token_id: id of ``<image>``.
    :param device: a torch device, such as ``cpu`` or ``cuda:0``.
    :param dtype: type of the weights in memory.
    :raises UnavailableError: ``model_incomplete`` if files or tensors are missing.
    :raises ConfigurationError: ``model_config`` if the files belong to a model that is not known.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    published = read_config(directory)
    architecture = architecture_of_config(published, str(directory / CONFIG))
    model, report = architecture.native_class().from_pretrained(
        directory,
        config=architecture.translate_config(published, image_token_id),
        dtype=dtype,  # before the move: in float32 the GPU would have to hold twice the weights
        attn_implementation="sdpa",
        experts_implementation="grouped_mm",
        output_loading_info=True,
        local_files_only=True,
        use_safetensors=True,
    )
    _require_complete(directory, architecture, report)
    fuse_sam_attention(model.model.vision_tower.sam_encoder)
    return model.eval().to(device)


def _require_complete(
    directory: Path, architecture: Architecture, report: dict[str, object]
) -> None:
    unused = architecture.unused_tensor
    faults = {
        kind: sorted(str(name) for name in names if not (unused and unused in str(name)))
        for kind, names in report.items()
        if names and hasattr(names, "__iter__")
    }
    faults = {kind: names for kind, names in faults.items() if names}
    if faults:
        summary = "; ".join(
            f"{kind}: {len(names)}, such as {names[0]}" for kind, names in faults.items()
        )
        raise UnavailableError(
            ErrorCode.MODEL_INCOMPLETE,
            f"The weights in {directory} do not fit the architecture ({summary}). "
            "Fetch the model again with: airflow-deepseek-ocr pull MODEL",
        )


def load_checkpoint(
    directory: Path, device: str, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Return model and tokenizer of a directory, after checking that its files are whole.

    :raises UnavailableError: ``model_missing``, ``model_incomplete``.
    :raises ConfigurationError: ``model_config``, ``model_tokenizer``.
    """
    check_model_directory(directory)
    tokenizer = load_tokenizer(directory)
    image_token_id = SpecialTokens.of(tokenizer).image
    return load_model(directory, image_token_id, device, dtype), tokenizer

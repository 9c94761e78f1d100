"""DeepSeek-OCR-2 (January 2026): three resolution modes, tiles of 768 pixels, vision tokens without a place.

The encoder ends in learned queries: each vision token is a query's output, which may come from anywhere on
the page. Source of all figures: the paper (arXiv:2601.20552), ``modeling_deepseekocr2.py`` and
``deepencoderv2.py`` of the published checkpoint, and the published scripts. The paper counts vision tokens
without the separator.
"""

from __future__ import annotations

from airflow_deepseek_ocr.ocr.families.family import ModelFamily, by_name
from airflow_deepseek_ocr.ocr.resolution import Resolution, Tiling

#: Side, in pixels, of a gundam tile, and of the view in small. The encoder has queries for views of this
#: size and of 1024 pixels alone.
TILE_SIZE = 768

DEEPSEEK_OCR_2 = ModelFamily(
    name="deepseek_ocr_2",
    title="DeepSeek-OCR-2",
    hub_id="deepseek-ai/DeepSeek-OCR-2",
    # The commit that public programs name; the hub itself could not be asked.
    revision="aaa02f3811945a91062062994c5c4a3f4c0af2b0",
    # 3.389 billion parameters of two bytes.
    download_size="6.8 GB",
    architecture="DeepseekOCR2ForCausalLM",
    model_type="deepseek_vl_v2",
    vision_widths=frozenset({"sam_vit_b", "qwen2-0-5b"}),
    resolutions=by_name(
        (
            Resolution("small", TILE_SIZE, keep_aspect=False),
            Resolution("base", 1024),
            Resolution("gundam", 1024, Tiling(TILE_SIZE, most=6)),
        )
    ),
    # 145 vision tokens, 257, and 257 with 2 to 6 tiles of 144.
    auto_modes=("small", "base", "gundam"),
    # As of DeepSeek-OCR: nothing is published.
    smallest_print=5.5,
    documented_prompts=frozenset({"markdown", "free"}),
    labels=("title", "sub_title", "text", "equation", "table", "image", "figure_title"),
    # run_dpsk_ocr2_image.py of the published scripts.
    ngram_size=20,
    ngram_window=90,
    tokens_have_places=False,
)

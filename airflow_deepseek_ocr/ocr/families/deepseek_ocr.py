"""DeepSeek-OCR (October 2025): five resolution modes, tiles of 640 pixels.

Source of all figures: table 1 and section 3.2.2 of the paper (arXiv:2510.18234), ``modeling_deepseekocr.py``
of the published checkpoint, and the published scripts.
"""

from __future__ import annotations

from airflow_deepseek_ocr.ocr.families.family import ModelFamily, by_name
from airflow_deepseek_ocr.ocr.resolution import Resolution, Tiling

#: Side, in pixels, of a gundam tile.
TILE_SIZE = 640

DEEPSEEK_OCR = ModelFamily(
    name="deepseek_ocr",
    title="DeepSeek-OCR",
    hub_id="deepseek-ai/DeepSeek-OCR",
    # Later versions of transformers and vLLM are tested with this commit; a branch such as main may change
    # under a running pipeline.
    revision="9f30c71f441d010e5429c532364a86705536c53a",
    # As the hub lists the files at that commit.
    download_size="6.7 GB",
    architecture="DeepseekOCRForCausalLM",
    model_type="deepseek_vl_v2",
    vision_widths=frozenset({"sam_vit_b", "clip-l-14-224"}),
    resolutions=by_name(
        (
            Resolution("tiny", 512, keep_aspect=False, row_ends=True),
            Resolution("small", 640, keep_aspect=False, row_ends=True),
            Resolution("base", 1024, row_ends=True),
            Resolution("large", 1280, row_ends=True),
            Resolution("gundam", 1024, Tiling(TILE_SIZE, most=9), row_ends=True),
        )
    ),
    # 111 vision tokens, 273, and 273 with 2 to 9 tiles of 100 to 110.
    auto_modes=("small", "base", "gundam"),
    # Print of 11 points on A4 in small mode: about that of the pages with 600 to 700 tokens, which small mode
    # reads best (arXiv:2510.18234, table 2). Not measured with the published weights.
    smallest_print=5.5,
    documented_prompts=frozenset({"markdown", "ocr", "free", "figure", "describe", "locate"}),
    labels=(
        *("title", "sub_title", "text", "table", "image", "image_caption", "table_caption"),
        *("equation", "figure_title", "header", "footer"),
    ),
    # run_dpsk_ocr_image.py of the published scripts.
    ngram_size=30,
    ngram_window=90,
    tokens_have_places=True,
)

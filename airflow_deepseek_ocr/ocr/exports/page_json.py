"""The result of a page as plain JSON types."""

from __future__ import annotations

from typing import Any

from airflow_deepseek_ocr.ocr.results import PageResult


def page_to_dict(document: str, page: PageResult) -> dict[str, Any]:
    """Return all fields of a page's result as types that ``json.dumps`` accepts.

    :param document: name of the document that contains the page.
    :param page: the result.
    """
    return {
        "document": document,
        "page": page.number,
        "width": page.width,
        "height": page.height,
        "resolution": page.resolution,
        "status": page.status.value,
        "error_code": page.error_code,
        "error": page.error,
        "text": page.text,
        "markdown": page.markdown,
        "regions": [
            {
                "label": region.label,
                "text": region.text,
                "boxes": [box.to_dict() for box in region.boxes],
                "confidence": region.confidence,
                "word_confidences": region.word_confidences,
                "description": region.description,
            }
            for region in page.regions
        ],
        "vision_tokens": page.vision_tokens,
        "text_tokens": page.text_tokens,
        "compression_ratio": page.compression_ratio,
        "seconds": page.seconds,
        "score": page.score,
        "flags": page.flags,
        "agreement": page.agreement,
        "agreement_ordered": page.agreement_ordered,
        "confidence": page.confidence,
        "rotation": page.rotation,
        "uncertain_words": [word.to_dict() for word in page.uncertain_words],
        "attempts": [attempt.to_dict() for attempt in page.attempts],
        "attachments": page.attachments,
        "vision_tokens_saved": page.vision_tokens_saved,
    }

"""The expected work of a page."""

from PIL import Image

from airflow_deepseek_ocr.engines.balancing.page_cost import PageCost
from airflow_deepseek_ocr.exceptions import ServerUnreachableError
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2


def request(
    resolution: str, size: tuple[int, int] = (1000, 1400), most: int | None = None
) -> PageRequest:
    return PageRequest(
        key=0,
        image=Image.new("RGB", size),
        prompt="markdown",
        resolution=resolution,
        max_output_length=most,
    )


def test_counts_the_tokens_of_the_view_and_of_the_tiles() -> None:
    cost = PageCost(DEEPSEEK_OCR)
    # 16 x 17 + 1 of the view; 2 x 3 tiles of 10 lines with 2 x 10 + 1 tokens.
    assert cost.of(request("gundam")) - cost.of(request("base")) == 3 * 10 * (2 * 10 + 1)


def test_an_unknown_mode_counts_as_the_largest() -> None:
    cost = PageCost(DEEPSEEK_OCR)
    assert cost.of(request("other")) > cost.of(request("gundam"))


def test_a_page_has_no_more_text_than_it_may_have() -> None:
    assert PageCost(DEEPSEEK_OCR).of(request("base", most=20)) == 273 + 20


def test_follows_the_length_of_the_texts() -> None:
    cost = PageCost(DEEPSEEK_OCR)
    for _ in range(200):
        cost.learn(PageOutput(key=0, text_tokens=100))
    assert 370 < cost.of(request("base")) < 380


def test_a_failed_page_tells_nothing() -> None:
    cost = PageCost(DEEPSEEK_OCR)
    before = cost.of(request("base"))
    cost.learn(PageOutput(key=0, error=ServerUnreachableError("away")))
    assert cost.of(request("base")) == before


def test_another_family_counts_its_own_tokens() -> None:
    cost = PageCost(DEEPSEEK_OCR_2)
    assert cost.of(request("gundam")) - cost.of(request("base")) == 6 * 144
    assert cost.of(request("tiny")) > cost.of(request("gundam")) - 1

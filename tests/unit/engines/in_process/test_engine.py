"""The in-process engine with the small checkpoint."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterator
from types import SimpleNamespace

import psutil
import pytest
import torch
from PIL import Image, ImageDraw

from airflow_deepseek_ocr.engines.in_process.capacity import Occupancy
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine, free_memory
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.decoding import Decoding, NoRepeatNgram
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput, PageRequest
from tests.conftest import TINY_MODEL
from tests.support.fixtures.small_pages import page_image, tiny_pages
from tests.support.plain_forward import largest_difference

#: Ten times a quiet run on two cores.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def requests() -> list[PageRequest]:
    """Pages of one view, of 2 x 2 and of 1 x 2 tiles, with several prompts, in three modes."""
    small, square, wide = (
        page_image("table.png"),
        page_image("invoice.pdf", dpi=100),
        page_image("invoice.pdf"),
    )
    wide = wide.crop((0, 0, 640, 300)).resize((1400, 656))
    return [
        PageRequest(key="gundam plain", image=small, prompt="free", resolution="gundam"),
        PageRequest(key="gundam square", image=square, prompt="markdown", resolution="gundam"),
        PageRequest(key="gundam wide", image=wide, prompt="ocr", resolution="gundam"),
        PageRequest(key="small", image=square, prompt="free", resolution="small"),
        PageRequest(key="small locate", image=square, prompt="locate:Total", resolution="small"),
        PageRequest(key="tiny", image=small, prompt="markdown", resolution="tiny"),
    ]


@pytest.fixture(scope="module")
def alone(engine: InProcessEngine, requests: list[PageRequest]) -> dict[Hashable, PageOutput]:
    """The output of each page when it is read by itself."""
    return {request.key: next(iter(engine.read([request]))) for request in requests}


def test_batches_give_what_single_pages_give(
    engine: InProcessEngine, requests: list[PageRequest], alone: dict[Hashable, PageOutput]
) -> None:
    assert len({output.vision_tokens for output in alone.values()}) >= 5
    for seed in range(2):
        order = random.Random(seed).sample(requests, len(requests))
        together = {output.key: output for output in engine.read(order)}
        assert together.keys() == alone.keys()
        for key, output in together.items():
            assert output.text == alone[key].text, key
            assert output.finish_reason == alone[key].finish_reason
            together_tokens, tokens = output.token_probabilities, alone[key].token_probabilities
            assert together_tokens is not None
            assert tokens is not None
            assert together_tokens.pieces == tokens.pieces
            for found, expected in (
                (together_tokens.log_probabilities, tokens.log_probabilities),
                (together_tokens.runner_up, tokens.runner_up),
            ):
                assert found == pytest.approx(expected, abs=1e-4), key


def test_probabilities_are_those_of_a_plain_forward_pass(
    engine: InProcessEngine, requests: list[PageRequest], alone: dict[Hashable, PageOutput]
) -> None:
    for request in requests:
        output = alone[request.key]
        tokens = output.token_probabilities
        assert tokens is not None
        assert tokens.text == output.text
        assert len(tokens.pieces) == output.text_tokens
        assert largest_difference(engine, request, tokens) < 1e-4, request.key


def test_probabilities_can_be_left_out() -> None:
    engine = InProcessEngine(
        TINY_MODEL, device="cpu", decoding=Decoding(5, token_probabilities=False)
    )
    (output,) = engine.read(tiny_pages(1))
    assert output.text
    assert output.token_probabilities is None
    engine.close()


def test_a_page_without_an_end_token_says_so(
    engine: InProcessEngine,
) -> None:
    (output,) = engine.read(
        [
            PageRequest(
                key=1,
                image=page_image("invoice.pdf"),
                prompt="free",
                resolution="small",
                max_output_length=7,
            )
        ]
    )
    assert (output.finish_reason, output.text_tokens) == (FinishReason.LENGTH, 7)


def test_an_image_that_cannot_be_prepared_fails_alone(engine: InProcessEngine) -> None:
    requests = tiny_pages(3)
    requests[1] = PageRequest(
        key=1, image=requests[1].image, prompt="no such prompt", resolution="tiny"
    )
    outputs = {output.key: output for output in engine.read(requests)}
    assert {key for key, output in outputs.items() if output.error} == {1}
    assert outputs[1].error is not None
    assert outputs[1].error.code is ErrorCode.UNKNOWN_PROMPT


def test_closing_early_cancels_and_the_engine_reads_on(
    engine: InProcessEngine,
) -> None:
    requested = 0

    def requests() -> Iterator[PageRequest]:
        nonlocal requested
        for request in tiny_pages(200, 30):
            requested += 1
            yield request

    source = requests()
    outputs = engine.read(source)
    first = next(outputs)
    outputs.close()
    source.close()  # type: ignore[attr-defined]  # raises if a thread still runs it
    assert requested < 40
    (again,) = engine.read(tiny_pages(1, 30))
    assert again.text == first.text


def test_the_occupancy_is_that_of_the_running_call(engine: InProcessEngine) -> None:
    assert engine.occupancy() == Occupancy()
    outputs = engine.read(iter(tiny_pages(6, 20)))
    next(outputs)
    during = engine.occupancy()
    assert during.slots == 4
    assert 0 < during.running <= 4
    # A page of up to 128 tokens for the image and 20 for the text holds one or two blocks.
    assert during.running <= during.used_blocks <= 2 * during.running < during.blocks
    for _ in outputs:
        during = engine.occupancy()
        assert during.running <= during.used_blocks
    assert engine.occupancy() == Occupancy()


def test_a_prompt_that_leaves_no_room_is_refused_and_leaves_the_others_alone(
    engine: InProcessEngine,
) -> None:
    first, second = tiny_pages(2, 5)
    long = PageRequest(
        key="long", image=first.image, prompt="locate:" + "word " * 8000, resolution="tiny"
    )
    for _ in range(2):
        outputs = {output.key: output for output in engine.read([first, long, second])}
        assert outputs["long"].error is not None
        assert outputs["long"].error.code is ErrorCode.PROMPT_TEXT
        assert outputs[0].text == outputs[1].text != ""


def test_a_page_may_ask_for_less_text(engine: InProcessEngine) -> None:
    page = page_image("invoice.pdf", dpi=100)
    requests = [
        PageRequest(
            key=length, image=page, prompt="free", resolution="small", max_output_length=length
        )
        for length in (3, 9, 100_000)
    ]
    outputs = {output.key: output for output in engine.read(requests)}
    assert [outputs[length].text_tokens for length in (3, 9)] == [3, 9]
    assert 9 < outputs[100_000].text_tokens <= 160
    assert outputs[3].prompt_tokens > outputs[3].vision_tokens


def test_a_device_or_type_that_is_not_there() -> None:
    for wrong in ({"device": "cuda:7"}, {"device": "gpu"}, {"device": "mps"}, {"dtype": "int8"}):
        with pytest.raises(ConfigurationError) as caught:
            InProcessEngine(TINY_MODEL, **wrong)
        assert caught.value.code in (ErrorCode.DEVICE, ErrorCode.DTYPE)


def test_a_page_may_have_another_no_repeat_ngram_constraint(
    engine: InProcessEngine,
) -> None:
    """In one batch with others; the page without it repeats ten tokens, the one with it does not."""
    page, tight = Image.new("RGB", (512, 512), "white"), NoRepeatNgram(10, 512)
    for row in range(5):
        text = "Invoice of March"  # what stands there again must be written again
        ImageDraw.Draw(page).text((40, 60 + 60 * row), text, fill="black", font_size=36)
    own = PageRequest(
        key="own", image=page, prompt="free", resolution="tiny", no_repeat_ngram=tight
    )
    usual = PageRequest(key="usual", image=page, prompt="free", resolution="tiny")
    outputs = {output.key: output for output in engine.read([own, usual, own, usual])}
    together = {key: output.text for key, output in outputs.items()}
    (alone,) = engine.read([usual])
    assert together["usual"] == alone.text
    strict = InProcessEngine(
        TINY_MODEL,
        device="cpu",
        decoding=Decoding(160, tight.ngram_size, tight.ngram_window),
    )
    (tightly,) = strict.read([usual])
    strict.close()
    assert together["own"] == tightly.text
    assert together["usual"].count("Invoice of March") > together["own"].count("Invoice of March")
    # Probabilities are the model's own: the constraint refuses tokens that it finds the most probable.
    tokens = outputs["own"].token_probabilities
    assert tokens is not None
    assert tokens.runner_up is not None
    pairs = zip(tokens.log_probabilities, tokens.runner_up, strict=True)
    assert any(chosen < other for chosen, other in pairs)
    assert largest_difference(engine, own, tokens) < 1e-4


def test_slots_are_kept_for_the_next_call_that_decodes_alike() -> None:
    engine = InProcessEngine(TINY_MODEL, device="cpu", decoding=Decoding(40))
    list(engine.read(tiny_pages(1)))
    first = engine.kept_slots
    assert first is not None
    list(engine.read(tiny_pages(1)))
    assert engine.kept_slots is first
    outputs = engine.read(tiny_pages(3))
    next(outputs)
    assert engine.kept_slots is None
    assert len(list(engine.read(tiny_pages(1)))) == 1  # while the other call is still running
    outputs.close()
    second = engine.kept_slots
    assert second is not first
    engine.decoding = Decoding(max_output_length=5)
    list(engine.read(tiny_pages(1)))
    assert engine.kept_slots not in (None, second)
    engine.close()


@pytest.mark.parametrize(("integrated", "expected"), [(True, 26 * 2**30), (False, 3 * 2**30)])
def test_cached_files_count_as_available_where_cpu_and_gpu_share_one_memory(
    integrated: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NVIDIA GB10, CUDA reported 3 GiB as free when 52 GiB were available."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (3 * 2**30, 122 * 2**30))
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(is_integrated=integrated)
    )
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=52 * 2**30))
    assert free_memory("cuda:0") == expected

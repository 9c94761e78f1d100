"""The compiled and captured step on a GPU, with the small checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from PIL import Image, ImageDraw

from airflow_deepseek_ocr.engines.in_process.compilation import LayerCompiler
from airflow_deepseek_ocr.engines.in_process.cuda_graph import CudaGraph
from airflow_deepseek_ocr.engines.in_process.decode_buffers import DecodeBuffers, TokenChoice
from airflow_deepseek_ocr.engines.in_process.decoder_step import TokenScores
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.ocr.decoding import Decoding, NoRepeatNgram
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.conftest import TINY_MODEL
from tests.support.plain_forward import differences

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(540)]

DECODING = Decoding(max_output_length=160)


def engine(*, compiled: bool) -> InProcessEngine:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    return InProcessEngine(
        TINY_MODEL, device="cuda", batch_size=8, decoding=DECODING, compiled=compiled
    )


@pytest.fixture(scope="module")
def fast() -> Iterator[InProcessEngine]:
    made = engine(compiled=True)
    yield made
    made.close()


def requests(count: int) -> list[PageRequest]:
    """Pages of several modes and lengths, some with a guard of their own."""
    made = []
    for number in range(count):
        page = Image.new("RGB", (640, 640), "white")
        for row in range(1 + number % 7):
            text = f"Order {100 * number + row} of May"
            ImageDraw.Draw(page).text((40, 60 + 70 * row), text, fill="black", font_size=32)
        mode = ("small", "tiny", "gundam", "base")[number % 4]
        no_repeat_ngram = NoRepeatNgram(12, 128) if number % 5 == 0 else None
        made.append(
            PageRequest(
                key=number,
                image=page,
                prompt="free",
                resolution=mode,
                no_repeat_ngram=no_repeat_ngram,
            )
        )
    return made


def test_texts_are_those_of_layers_that_are_not_compiled(fast: InProcessEngine) -> None:
    """In bfloat16 a near tie may fall the other way; nothing else may differ."""
    asked = requests(48)
    plain = engine(compiled=False)
    expected = {output.key: output.text for output in plain.read(asked)}
    plain.close()
    outputs = {output.key: output for output in fast.read(asked)}
    assert fast.kept_slots is not None
    assert fast.kept_slots.is_compiled
    assert not [output.error for output in outputs.values() if output.error]
    same = sum(outputs[key].text == text for key, text in expected.items())
    assert same >= 0.8 * len(asked)


def test_probabilities_are_those_of_a_plain_forward_pass(fast: InProcessEngine) -> None:
    """In bfloat16 a logit of 20 is rounded to 1/8, by each kernel in its own way."""
    asked = requests(16)
    outputs = {output.key: output for output in fast.read(asked)}
    assert fast.kept_slots is not None
    assert fast.kept_slots.is_compiled
    plain = engine(compiled=False)
    found = []
    for request in asked:
        tokens = outputs[request.key].token_probabilities
        assert tokens is not None
        assert tokens.text == outputs[request.key].text
        assert len(tokens.pieces) == outputs[request.key].text_tokens
        found.append(differences(plain, request, tokens))
    plain.close()
    together = torch.cat(found, dim=1)
    assert float(together.mean()) < 0.05
    assert float(together.max()) < 1


@torch.inference_mode()
def test_a_graph_computes_the_probabilities_of_the_logits_that_it_finds() -> None:
    """The step's last part alone, where nothing is rounded in between."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    device, rows, vocabulary, steps = torch.device("cuda"), 8, 129_280, 5
    chance = torch.Generator(device=device).manual_seed(1)
    logits = torch.zeros(rows, vocabulary, dtype=torch.bfloat16, device=device)
    tokens = torch.zeros(rows, dtype=torch.long, device=device)
    buffers = DecodeBuffers(
        count=rows, length=64, window=90, eos=-1, device=device, probabilities=True
    )

    compiler, scores = LayerCompiler(), TokenScores()

    def append() -> None:
        choice = TokenChoice(*compiler(scores, logits, tokens=tokens))
        buffers.append(buffers.rows, tokens, choice)

    append()  # a kernel's first launch cannot be captured
    graph = CudaGraph(append, device)
    zeros = torch.zeros_like(tokens)
    buffers.begin(buffers.rows, zeros, zeros + steps)
    expected: list[list[float]] = [[] for _ in range(rows)]
    for _ in range(steps):
        logits.copy_(8 * torch.randn(logits.shape, generator=chance, device=device))
        tokens.copy_(torch.randint(vocabulary, tokens.shape, generator=chance, device=device))
        graph.launch()
        normalised = torch.log_softmax(logits.float().cpu(), -1)
        for row, token in enumerate(tokens.tolist()):
            expected[row].append(float(normalised[row, token]))
    texts = buffers.snapshot().finished(range(rows))
    for row in range(rows):
        probabilities = texts[row].probabilities
        assert probabilities is not None
        assert probabilities.chosen == pytest.approx(expected[row], abs=1e-4)


def test_the_captured_step_outlives_what_made_it(fast: InProcessEngine) -> None:
    """A graph knows addresses alone: what it reads must not be given to somebody else."""
    asked = requests(24)
    first = {output.key: output.text for output in fast.read(asked)}
    others = [torch.full((2**20,), 2**30, dtype=torch.int32, device="cuda") for _ in range(64)]
    second = {output.key: output.text for output in fast.read(asked)}
    del others
    assert second == first


def test_memory_is_flat(fast: InProcessEngine) -> None:
    for _ in range(2):
        list(fast.read(requests(48)))
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for _ in range(4):
        list(fast.read(requests(48)))
    assert torch.cuda.memory_allocated() <= before + 2**20

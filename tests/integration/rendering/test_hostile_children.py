"""A rendering process that an attacker controls fails its page, and no more."""

from __future__ import annotations

import logging
import resource
import time
from pathlib import Path

import psutil
import pytest

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.page_pixels import PagePixels
from airflow_deepseek_ocr.ocr.rendering.child_output import MAX_LOGGED_BYTES
from airflow_deepseek_ocr.ocr.rendering.child_process import ChildDiedError, ChildProcess
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from tests.support.descriptors import no_descriptor_left
from tests.support.fakes.hostile_child import ATTACKS

LIMITS = Limits(max_page_seconds=1)
MODULE = "tests.support.fakes.hostile_child"
REQUEST = OpenRequest(PageSelection(), 72)

#: Attacks that only a deadline ends.
SLOW = {"half_a_header", "half_a_message", "trickle", "endless_stderr", "deaf_to_its_alarm"}
#: Attacks that achieve nothing: the page arrives.
HARMLESS = {"truncated_pixels", "rewritten_pixels"}


def start() -> ChildProcess:
    return ChildProcess(LIMITS, module=MODULE, grace_s=1)


def document(directory: Path, attack: str) -> Path:
    path = directory / "document"
    path.write_text(attack)
    return path


@pytest.mark.parametrize("attack", sorted(ATTACKS.keys() - HARMLESS))
def test_an_attack_fails_its_page_and_the_next_document_is_read(
    attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    child = start()
    child.open_document(document(tmp_path, attack), REQUEST)
    began = time.monotonic()
    with pytest.raises(ChildDiedError) as caught:
        child.page(1)
    assert caught.value.code is (ErrorCode.TOO_SLOW if attack in SLOW else ErrorCode.CRASHED)
    assert time.monotonic() - began < 60, "the limits are 1 s and 1 s"
    assert child.dead
    assert not (tmp_path / "pickled").exists(), "code of the child ran in this process"
    child = start()
    child.open_document(document(tmp_path, "none"), REQUEST)
    assert child.page(1).image.size == (64, 64)
    child.end()


def test_an_error_of_the_document_keeps_the_child(tmp_path: Path) -> None:
    """The control: the fake answers as a rendering process does."""
    child = start()
    for _ in range(2):
        opened = child.open_document(document(tmp_path, "none"), REQUEST)
        assert (opened.media_type, opened.page_count) == ("image/png", 3)
        for number in (1, 3, 2):
            assert child.page(number).number == number
        child.close_document()
    with pytest.raises(DocumentError, match="no regular file"):
        child.open_document(tmp_path, REQUEST)
    assert not child.dead
    child.end()


@pytest.mark.parametrize("attack", ["an_attached_gibibyte", "another_page", "pickle", "exit"])
def test_an_attack_with_an_attached_file_fails_that_file(attack: str, tmp_path: Path) -> None:
    child = start()
    child.open_document(document(tmp_path, attack), REQUEST)
    with pytest.raises(ChildDiedError) as caught:
        list(child.attached_content(1))
    assert caught.value.code is ErrorCode.CRASHED
    assert child.dead


def test_truncating_the_pixels_does_not_end_the_parent(tmp_path: Path) -> None:
    for _ in range(20):
        child = start()
        child.open_document(document(tmp_path, "truncated_pixels"), REQUEST)
        try:
            assert child.page(1).image.size == (64, 64)
        except ChildDiedError as error:  # truncated before it was sealed
            assert error.code is ErrorCode.CRASHED
        child.end()


def test_a_page_that_was_given_away_does_not_change(tmp_path: Path) -> None:
    child = start()
    child.open_document(document(tmp_path, "rewritten_pixels"), REQUEST)
    image = child.page(1).pixels
    assert isinstance(image, PagePixels)
    before = image.decode().tobytes()
    time.sleep(0.2)
    assert image.decode().tobytes() == before
    child.end()
    assert image.decode().tobytes() == before, "the pixels outlive the child"


def test_an_announced_length_takes_no_memory(tmp_path: Path) -> None:
    child = start()
    child.open_document(document(tmp_path, "two_gibibytes"), REQUEST)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ChildDiedError):
        child.page(1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_endless_output_is_bounded_and_printable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    child = start()
    child.open_document(document(tmp_path, "endless_stderr"), REQUEST)
    with caplog.at_level(logging.WARNING), pytest.raises(ChildDiedError):
        child.page(1)
    messages = [record.getMessage() for record in caplog.records]
    assert sum(map(len, messages)) < 4 * MAX_LOGGED_BYTES
    assert any("dropped" in message for message in messages)
    assert all(message.isprintable() for message in messages)


def test_attacks_leave_neither_descriptors_nor_processes(tmp_path: Path) -> None:
    with no_descriptor_left():
        for attack in ("two_gibibytes", "exit", "another_page"):
            child = start()
            child.open_document(document(tmp_path, attack), REQUEST)
            with pytest.raises(ChildDiedError):
                child.page(1)
    assert not [each for each in psutil.Process().children() if MODULE in each.cmdline()]

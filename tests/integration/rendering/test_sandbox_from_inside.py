"""The sandbox, tried from inside the real rendering process, and pages that come out of it."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image, ImageChops

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.rendering import child_start
from airflow_deepseek_ocr.ocr.rendering.child_process import ChildProcess
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer
from airflow_deepseek_ocr.ocr.rendering.sandbox.landlock import landlock_abi
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from tests.conftest import ROOT
from tests.corpus.documents.raw_pdf import assemble, one_page, page, stream
from tests.support.fakes.probing_child import FORBIDDEN, NEEDED

DOCUMENTS = ROOT / "demo" / "documents"
PROBING, OLDER = "tests.support.fakes.probing_child", "tests.support.fakes.older_kernel_child"

needs_landlock = pytest.mark.skipif(landlock_abi() < 1, reason="this kernel has no Landlock")


@pytest.fixture
def probing(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChildProcess]:
    """A child whose parent has secrets in its environment, and an open connection."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    ours, theirs = socket.socketpair()
    os.set_inheritable(theirs.fileno(), True)
    with ours, theirs:
        child = ChildProcess(Limits(), Sandbox.REQUIRED, module=PROBING)
        yield child
        child.end()


@needs_landlock
def test_all_forbidden_actions_are_refused_and_needed_ones_work(probing: ChildProcess) -> None:
    probing.open_document(DOCUMENTS / "invoice.pdf", OpenRequest(PageSelection(), 72))
    probed = probing.probe()
    assert set(probed.allowed) == NEEDED.keys()
    assert set(probed.refused) == FORBIDDEN.keys()
    assert probing.page(1).text_layer is not None, "it decodes after all that"


def test_without_the_sandbox_the_same_actions_succeed() -> None:
    """The control: the probes find what they search for."""
    child = ChildProcess(Limits(), Sandbox.OFF)
    probed = child.probe()
    child.end()
    assert {"reading the task's environment", "reading other files", "TCP", "UDP"} <= set(
        probed.allowed
    )


def test_no_descriptor_but_the_needed_ones_is_inherited(probing: ChildProcess) -> None:
    probing.open_document(DOCUMENTS / "invoice.pdf", OpenRequest(PageSelection(), 72))
    (child,) = [each for each in psutil.Process().children() if PROBING in each.cmdline()]
    opened = [str(each.readlink()) for each in Path(f"/proc/{child.pid}/fd").iterdir()]
    # A mapping has a second descriptor of the document. The process reads its own memory in statm.
    assert sorted(re.sub(r"[^a-z./].*", "", Path(each).name) for each in opened) == [
        "invoice.pdf", "invoice.pdf", "null", "null", "pipe", "socket", "statm"
    ]  # fmt: skip


@needs_landlock
def test_the_probes_of_preflight_are_refused() -> None:
    child = ChildProcess(Limits(), Sandbox.REQUIRED)
    probed = child.probe()
    child.end()
    assert probed.allowed == ()
    assert len(probed.refused) == 10


def test_an_older_kernel_is_a_warning_once_or_an_error(caplog: pytest.LogCaptureFixture) -> None:
    child_start._warn_once.cache_clear()
    for _ in range(2):
        child = ChildProcess(Limits(), Sandbox.AUTO, module=OLDER)
        child.open_document(DOCUMENTS / "table.png", OpenRequest(PageSelection(), 72))
        assert child.page(1).image.size == (640, 640)
        child.end()
    (warning,) = [record for record in caplog.records if "incomplete" in record.getMessage()]
    assert "Landlock: use Linux 5.13" in warning.getMessage()
    assert "riscv64" in warning.getMessage()
    with pytest.raises(ConfigurationError, match=r"Landlock.*seccomp.*auto") as caught:
        ChildProcess(Limits(), Sandbox.REQUIRED, module=OLDER)
    assert caught.value.code is ErrorCode.SANDBOX_UNAVAILABLE


def _fonts_that_are_not_embedded() -> bytes:
    names = (b"Helvetica", b"Times-Bold", b"Arial", b"DejaVuSans", b"Unknown")
    fonts = b" ".join(
        b"/F%d << /Type /Font /Subtype /TrueType /BaseFont /%s /Encoding /WinAnsiEncoding >>" % each
        for each in enumerate(names)
    )
    text = b"\n".join(
        b"BT /F%d 20 Tf 10 %d Td (Hello fonts) Tj ET" % (index, 160 - 30 * index)
        for index in range(len(names))
    )
    resources = b"<< /Font << " + fonts + b" >> >>"
    return assemble(one_page(page=page(resources=resources), contents=stream(text)))


def _write(directory: Path) -> list[Path]:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    image = Image.effect_noise((500, 400), 80).convert("RGB")
    profile = Image.open(DOCUMENTS / "table.png").info.get("icc_profile")
    for suffix, options in (
        ("webp", {}),
        ("jpg", {"progressive": True, "icc_profile": profile}),
        ("heic", {}),
        ("png", {}),
        ("lzw.tiff", {"compression": "tiff_lzw"}),
        ("deflate.tiff", {"compression": "tiff_adobe_deflate"}),
        ("jpeg.tiff", {"compression": "jpeg"}),
    ):
        image.save(directory / f"page.{suffix}", **options)
    image.convert("1").save(directory / "fax.tiff", compression="group4")
    image.convert("I;16").save(directory / "deep.tiff")
    image.convert("CMYK").save(directory / "cmyk.jpg")
    (directory / "fonts.pdf").write_bytes(_fonts_that_are_not_embedded())
    image.save(directory / "wavelets.jp2")
    wavelets = (directory / "wavelets.jp2").read_bytes()
    (directory / "wavelets.jp2").unlink()
    (directory / "wavelets.pdf").write_bytes(
        assemble(
            one_page(
                page=page(resources=b"<< /XObject << /I 10 0 R >> >>"),
                contents=stream(b"200 0 0 200 0 0 cm /I Do"),
            )
            | {
                10: stream(
                    wavelets,
                    b"/Type /XObject /Subtype /Image /Width 500 /Height 400 /ColorSpace /DeviceRGB "
                    b"/BitsPerComponent 8 /Filter /JPXDecode",
                )
            }
        )
    )
    return [*sorted(directory.iterdir()), *sorted(DOCUMENTS.iterdir())]


def test_all_types_have_the_same_pixels_and_text_as_without_a_sandbox(tmp_path: Path) -> None:
    files = _write(tmp_path)
    assert len(files) > 15
    with Renderer(Limits()) as renderer:
        for file in files:
            with renderer.open(file, dpi=100) as theirs, open_document(file, dpi=100) as ours:
                assert (theirs.media_type, theirs.page_numbers) == (
                    ours.media_type,
                    ours.page_numbers,
                )
                for number in ours.page_numbers:
                    one, other = theirs.page(number), ours.page(number)
                    difference = ImageChops.difference(one.image, other.image).getbbox()
                    assert difference is None, file.name
                    assert one.text_layer == other.text_layer, file.name

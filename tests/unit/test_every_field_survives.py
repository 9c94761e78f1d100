"""Dataclasses that leave a process: each field arrives, those that are added later as well.

Each example has another value than the default in each field, in its parts too. A field that an encoder or
decoder leaves out arrives as its default, which most tests of behaviour do not notice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from airflow_deepseek_ocr.connection.options import DiscoveryOptions, OcrOptions
from airflow_deepseek_ocr.connection.queue_options import QueueOptions
from airflow_deepseek_ocr.engines.protocol.chat_completions import Capabilities
from airflow_deepseek_ocr.engines.protocol.token_logprobs import (
    of_compact,
    of_openai,
    to_compact,
    to_openai,
)
from airflow_deepseek_ocr.engines.supervisor.registry import Failure, ServerRecord, load_record
from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.text_layer import LayerLine, TextLayer
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile, Attachments
from airflow_deepseek_ocr.ocr.edge_density import MAP_SIZE, EdgeDensity
from airflow_deepseek_ocr.ocr.exports.exported import ExportedDocument, exported_page
from airflow_deepseek_ocr.ocr.exports.formats import Format
from airflow_deepseek_ocr.ocr.exports.pdf.invisible_text import PageText
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig
from airflow_deepseek_ocr.ocr.line_direction import LineDirection
from airflow_deepseek_ocr.ocr.page_pixels import GREY
from airflow_deepseek_ocr.ocr.rendering import messages
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import SandboxReport
from airflow_deepseek_ocr.ocr.results import (
    Attempt,
    Box,
    Doubt,
    PageResult,
    PageStatus,
    Region,
    UncertainWord,
)
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities
from airflow_deepseek_ocr.pipeline.exports import manifest
from airflow_deepseek_ocr.pipeline.exports.manifest import FileEntry, FormatEntry, Manifest
from airflow_deepseek_ocr.store.browsing.queue import QueuePlace
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice
from airflow_deepseek_ocr.store.row_values import (
    TaskInfo,
    document_values,
    page_values,
    region_values,
    task_values,
)
from airflow_deepseek_ocr.triggers.s3 import S3NewDocumentEventTrigger, S3NewDocumentTrigger
from airflow_deepseek_ocr.triggers.sqs import SqsNewDocumentEventTrigger

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)
BOX = Box((1, 2, 3, 4), (5, 6, 70, 80), 0.5)
REF = DocumentRef("s3://bucket/größe", "v1", "v1", "tag", 7, MOMENT)
REGION = Region("title", "a", (BOX,), 0.25, (50,), "A house.")
ATTEMPT = Attempt(
    how="turn",
    resolution="base",
    score=0.5,
    flags=("blank",),
    vision_tokens=1,
    text_tokens=2,
    seconds=0.5,
    error_code="damaged",
    rotation=90,
    confidence=0.25,
    text="b",
)
WORD = UncertainWord(
    word="a", confidence=0.5, offset=1, length=1, region=1, reasons=(Doubt.LOW_CONFIDENCE,)
)
PAGE = PageResult(
    number=2,
    status=PageStatus.RECOVERED,
    resolution="base",
    width=100,
    height=200,
    text="a",
    markdown="# a",
    regions=(REGION,),
    vision_tokens=3,
    text_tokens=4,
    seconds=0.5,
    score=0.75,
    flags=("blank",),
    agreement=0.5,
    agreement_ordered=0.25,
    confidence=0.125,
    rotation=90,
    uncertain_words=(WORD,),
    attempts=(ATTEMPT,),
    attachments=("a.pdf",),
    vision_tokens_saved=5,
    error_code="damaged",
    error="The page is damaged.",
    retryable=True,
)
CONFIG = ProcessingConfig(
    model="deepseek-ai/DeepSeek-OCR",
    revision="main",
    prompt="ocr",
    resolution="gundam",
    pages="1-3",
    dpi=144,
    max_output_length=100,
    ngram_size=20,
    ngram_window=90,
    retry_with="turn",
    text_layer="first",
    min_score=0.25,
    figures="describe",
)
DENSITY = EdgeDensity(
    text_edges=3,
    edges=4,
    is_dark=True,
    print_height=9.5,
    edge_map=np.arange(MAP_SIZE**2).reshape(MAP_SIZE, MAP_SIZE),
)
ATTACHMENTS = Attachments(2, ("a.pdf",), True)
LAYER = TextLayer("größe", (LayerLine("größe", Box(BOX.normalized, BOX.pixels)),), 0.25, 0.5)

MESSAGES = (
    messages.OpenRequest(PageSelection.parse("2-,7"), 144, False, False, False, True),
    messages.RenderRequest(3),
    messages.ExtractRequest(4),
    messages.AddTextRequest(5, 6),
    messages.PictureRequest((5, 6), (7, 8), GREY),
    messages.CloseRequest(),
    messages.ProbeRequest(),
    messages.Ready(SandboxReport(7, ("seccomp filter: none",))),
    messages.Opened("application/pdf", 3, True, ATTACHMENTS, (AttachedFile(1, "a.pdf"),)),
    messages.RenderedPage(
        *(1, (640, 480), LAYER, ATTACHMENTS, DENSITY, (AttachedFile(2, "b.png"),), 300, GREY),
        LineDirection.DOWN,
    ),
    messages.Extracted(8),
    messages.Closed(),
    messages.Probed(("TCP",), ("UDP",)),
    messages.Failed(ErrorCode.DAMAGED, "The PDF is damaged."),
)
LIMITS = Limits(
    max_bytes=9, max_pages=8, max_pixels=7, max_page_seconds=6.5, max_page_memory=65 << 20
)
TOKENS = TokenProbabilities(
    pieces=(b"a", b"\xc3", b"\xbc"),
    log_probabilities=(-0.5, -0.25, -0.125),
    runner_up=(-1.0, -2.0, -4.0),
    runner_up_pieces=(b"b", b"c", b"\xc3"),
)
CAPABILITIES = Capabilities(
    model="deepseek-ai/DeepSeek-OCR-2",
    family=DEEPSEEK_OCR_2,
    modes=("base",),
    prompts=("free",),
    revision="main",
    no_repeat_ngram=(20, 90),
    max_tiles=4,
    context_length=100,
    pages=3,
    max_body_bytes=5,
    version="1.2",
    device="cuda:0",
    dtype="bfloat16",
    ignores_end=True,
    page_directory="file:///pages/",
    smallest_print=9.5,
    token_probabilities=True,
)
RECORD = ServerRecord(
    key="a1",
    kind="vllm",
    description="a model",
    version="1.2",
    pid=7,
    created=1.5,
    url="http://localhost:1",
    socket="/run/a",
    api_key_file="/run/key",
    log_file="/run/log",
    crashes=[1.5],
    failure=Failure(code=ErrorCode.OUT_OF_MEMORY, message="none left", permanent=True),
    namespace="pid:1",
    hostname="worker",
    life_file="/run/life",
)
ENTRY = FormatEntry("c", (FileEntry("a.txt", 2, "text/plain", 3, "d"),), "damaged", "a cause")
OPTIONS = asdict(
    OcrOptions(
        prompt="free",
        resolution="base",
        retry_with=["turn"],
        text_layer="first",
        figures="describe",
        pages="2-",
        dpi=100,
        min_score=0.25,
    )
) | asdict(
    DiscoveryOptions(
        bucket="documents",
        prefix="a/",
        suffixes=[".pdf"],
        glob="*7*",
        minimum_age=7.0,
        with_version_ids=True,
        requester_pays=True,
        batch_size=3,
        max_documents=4,
        retry_failed_after=9.0,
    )
)
CONNECTIONS = {
    "deepseek_ocr_conn_id": "ocr",
    "aws_conn_id": "storage",
    "db_conn_id": "results",
    "db_schema": "archive",
    "db_table_prefix": "mine_",
}
QUEUE = QueueOptions(
    queue_url="https://sqs.eu-west-1.amazonaws.com/123456789012/documents",
    bucket=["documents"],
    prefix="a/",
    suffixes=[".pdf"],
    glob="*7*",
    with_version_ids=True,
    batch_size=3,
    max_documents=4,
    collect_for=7.0,
    visibility_timeout=90.0,
)


def unfilled(value: Any, path: str = "") -> list[str]:
    """Return the fields of a dataclass and its parts that have their default, or nothing."""
    if isinstance(value, tuple | list):
        return [found for each in value for found in unfilled(each, f"{path}[]")]
    if not is_dataclass(value) or isinstance(value, type):
        return []
    found = []
    for each in fields(value):
        own, name = getattr(value, each.name), f"{path}.{each.name}"
        is_default = each.default is not MISSING and own is each.default
        if own is None or is_default or (isinstance(own, tuple | list | str) and not own):
            found.append(name)
        found += unfilled(own, name)
    return found


def assert_same(sent: Any, received: Any, path: str = "") -> None:
    """Raise unless all fields are equal, those that ``==`` leaves out as well."""
    if is_dataclass(sent) and not isinstance(sent, type):
        assert type(sent) is type(received), path
        for each in fields(sent):
            name = each.name
            assert_same(getattr(sent, name), getattr(received, name), f"{path}.{name}")
    elif isinstance(sent, np.ndarray):
        assert np.array_equal(sent, received), path
    else:
        assert sent == received, path


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_of_rendering_processes(message: Any) -> None:
    # The model writes boxes without a confidence into text layers.
    missing = {name for name in unfilled(message) if not name.endswith("box.confidence")}
    assert not missing
    assert_same(message, messages.decode(*messages.encode(message)))


def test_each_kind_of_message_has_an_example() -> None:
    kinds = {*get_args(messages.Request), *get_args(messages.Answer)}
    assert {type(each) for each in MESSAGES} == kinds


CODECS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "document": (REF, lambda ref: DocumentRef.of(through_json(ref.as_dict()))),
    "list": (ListSlice("0" * 32, 1, 2), lambda part: ListSlice.of(through_json(part.as_dict()))),
    "card": (CAPABILITIES, lambda each: Capabilities.of_card(through_json(each.card()))),
    "compact": (TOKENS, lambda each: of_compact(through_json(to_compact(each)), each.text)),
    "openai": (TOKENS, lambda each: of_openai(through_json(to_openai(each, 2)), each.text)),
    "limits": (LIMITS, lambda each: Limits(**through_json(asdict(each)))),
    "text": (
        PageText(10, 20, 90, ((("a", (1, 2, 3, 4)),),)),
        lambda each: PageText.parse(through_json(each.as_list())),
    ),
    "manifest": (
        Manifest({Format.TEXT: ENTRY}),
        lambda each: manifest.decode(each.encode(ExportedDocument(uri="s3://b/a"))),
    ),
    "manifest entry": (
        ENTRY,
        lambda each: manifest.decode(
            Manifest({Format.TEXT: each}).encode(ExportedDocument(uri="s3://b/a"))
        ).formats[Format.TEXT],
    ),
    "place": (QueuePlace(0.1, 7), lambda each: QueuePlace.parse(str(each))),
}


@pytest.mark.parametrize("name", CODECS)
def test_what_is_sent_and_stored_as_json(name: str) -> None:
    value, again = CODECS[name]
    # The family is a constant of the code, and travels by name.
    assert not [each for each in unfilled(value) if not each.startswith(".family.")]
    assert_same(value, again(value))


def test_records_of_servers(tmp_path: Path) -> None:
    assert not unfilled(RECORD)
    RECORD.save(tmp_path)
    assert_same(RECORD, load_record(tmp_path, RECORD.key))


@pytest.mark.parametrize(
    ("trigger", "own"),
    [
        (S3NewDocumentTrigger, {"poke_interval": 9.0}),
        (S3NewDocumentEventTrigger, {"poke_interval": 9.0, "redeliver_after": 8.0}),
    ],
)
def test_triggers_that_list_a_bucket(trigger: type[Any], own: Mapping[str, Any]) -> None:
    search = trigger(**OPTIONS, **CONNECTIONS, **own)
    assert not unfilled(search.search)
    _, arguments = search.serialize()
    again = trigger(**through_json(arguments))
    assert_same(search.search, again.search)
    assert again.serialize()[1] == arguments


def test_the_trigger_of_a_queue() -> None:
    assert not unfilled(QUEUE)
    arguments = {each.name: getattr(QUEUE, each.name) for each in fields(QUEUE)}
    sent = SqsNewDocumentEventTrigger(**arguments, aws_conn_id="storage")
    again = SqsNewDocumentEventTrigger(**through_json(sent.serialize()[1]))
    assert_same(sent.options, again.options)
    assert again.aws_conn_id == "storage"


def lost(value: Any, columns: Callable[[Any], Any], *others: str) -> set[str]:
    """Return the fields whose change does not change the columns.

    :param others: fields that have a place of their own.
    """
    assert not unfilled(value)
    whole = columns(value)
    empty = {str: "other", int: 0, float: 0.0, bool: False, tuple: ()}
    found = set()
    for each in fields(value):
        own = getattr(value, each.name)
        kind = PageStatus.OK if isinstance(own, PageStatus) else empty.get(type(own), MOMENT.max)
        if columns(replace(value, **{each.name: kind})) == whole:
            found.add(each.name)
    return found - set(others)


def test_columns_of_rows() -> None:
    # Regions have rows of their own. Names of attached files are in messages; the files have rows.
    assert not lost(PAGE, lambda page: page_values(1, page), "regions", "attachments")
    assert not lost(REGION, lambda region: region_values(1, 0, region))
    assert not lost(BOX, lambda box: box.to_dict())
    assert not lost(ATTEMPT, lambda attempt: attempt.to_dict())
    assert not lost(CONFIG, lambda config: json.loads(config.to_json()))
    # The version is the version id, if there is one.
    assert not lost(REF, lambda ref: document_values(ref, CONFIG), "version_id")
    assert not lost(TaskInfo("a", "b", "c", 1, 2), task_values)
    assert set(WORD.to_dict()) == {each.name for each in fields(WORD)}


def test_exports_of_a_page_that_was_just_read() -> None:
    # Only a person corrects and accepts.
    names = (".is_accepted", ".is_corrected")
    assert not [each for each in unfilled(exported_page(PAGE)) if not each.endswith(names)]

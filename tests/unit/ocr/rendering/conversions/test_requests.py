"""Requests for content that is made of other content."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_deepseek_ocr.ocr.page_pixels import GREY
from airflow_deepseek_ocr.ocr.rendering.conversions.requests import (
    AddTextRequest,
    PictureRequest,
    as_picture_request,
)
from airflow_deepseek_ocr.ocr.rendering.message_values import MessageError
from airflow_deepseek_ocr.ocr.rendering.messages import decode, encode


@pytest.mark.parametrize(
    "request_", [AddTextRequest(0, 3), PictureRequest((640, 480), (64, 48), GREY)]
)
def test_a_request_arrives_as_it_was_sent(request_: Any) -> None:
    assert decode(*encode(request_)) == request_


@pytest.mark.parametrize(
    "change", [{"size": [1]}, {"picture_size": [0, 1]}, {"channels": 2}, {"more": 1}]
)
def test_other_values_are_refused(change: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"size": [9, 9], "picture_size": [3, 3], "channels": 3}
    assert as_picture_request(usual) == PictureRequest((9, 9), (3, 3))
    with pytest.raises(MessageError):
        as_picture_request(usual | change)

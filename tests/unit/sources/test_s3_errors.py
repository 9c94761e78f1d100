"""Answers of S3, sent by a server, as errors of this package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore import exceptions as botocore

from airflow_deepseek_ocr.exceptions import (
    DeepSeekOCRError,
    DocumentError,
    ErrorCode,
    OverwrittenError,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.sources.s3 import Listing, S3Source
from airflow_deepseek_ocr.sources.s3_errors import clear_s3_errors
from tests.support.servers.s3_answers import Answer, S3Answers, s3_answers

URI = "s3://b/k.pdf"
SSE_C = (
    "The object was stored using a form of Server Side Encryption. The correct parameters must be provided "
    "to retrieve the object."
)


@pytest.fixture(scope="module")
def server() -> Iterator[S3Answers]:
    with s3_answers({}) as running:
        yield running


def error_of(
    server: S3Answers, status: int, code: str, message: str, target: Path
) -> DeepSeekOCRError:
    server.objects["k.pdf"] = Answer(status=status, code=code, message=message)
    with pytest.raises(DeepSeekOCRError) as caught:
        S3Source(server.client(), Limits()).fetch(DocumentRef(URI), target, lambda _: True)
    assert str(caught.value).startswith(URI)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize(
    ("status", "name", "message", "code"),
    [
        (403, "InvalidObjectState", "not valid for the object's storage class", ErrorCode.ARCHIVED),
        (400, "InvalidRequest", SSE_C, ErrorCode.ENCRYPTED_ELSEWHERE),
        (400, "KMS.DisabledException", "arn:aws:kms:k is disabled.", ErrorCode.ENCRYPTED_ELSEWHERE),
        (400, "KMS.NotFoundException", "key does not exist", ErrorCode.ENCRYPTED_ELSEWHERE),
        (400, "KMS.KMSInvalidStateException", "pending deletion", ErrorCode.ENCRYPTED_ELSEWHERE),
        (405, "MethodNotAllowed", "not allowed against this resource", ErrorCode.STORAGE_REFUSED),
        (400, "InvalidRequest", "Please use another method", ErrorCode.STORAGE_REFUSED),
        (400, "KeyTooLongError", "Your key is too long", ErrorCode.STORAGE_REFUSED),
        (501, "NotImplemented", "a header implies functionality", ErrorCode.STORAGE_REFUSED),
    ],
)
def test_states_that_no_retry_mends_are_errors_of_the_document(
    server: S3Answers, tmp_path: Path, status: int, name: str, message: str, code: ErrorCode
) -> None:
    error = error_of(server, status, name, message, tmp_path / "a")
    assert (type(error), error.code) == (DocumentError, code)
    # S3's own words.
    assert name in str(error)
    assert message in str(error)


@pytest.mark.parametrize(
    ("status", "name", "code"),
    [
        (403, "AccessDenied", ErrorCode.ACCESS_DENIED),
        (401, "Unauthorized", ErrorCode.ACCESS_DENIED),
        (403, "InvalidAccessKeyId", ErrorCode.ACCESS_DENIED),
        (403, "RequestTimeTooSkewed", ErrorCode.ACCESS_DENIED),
        (400, "InvalidToken", ErrorCode.ACCESS_DENIED),
        (400, "ExpiredToken", ErrorCode.EXPIRED_CREDENTIALS),
        (403, "ExpiredTokenException", ErrorCode.EXPIRED_CREDENTIALS),
        (400, "TokenRefreshRequired", ErrorCode.EXPIRED_CREDENTIALS),
        (400, "IllegalLocationConstraintException", ErrorCode.WRONG_REGION),
        (404, "NoSuchBucket", ErrorCode.MISSING_BUCKET),
        (404, "NoSuchAccessPoint", ErrorCode.MISSING_BUCKET),
        (400, "KMS.ThrottlingException", ErrorCode.STORAGE_UNAVAILABLE),
        (400, "RequestTimeout", ErrorCode.STORAGE_UNAVAILABLE),
        (409, "OperationAborted", ErrorCode.STORAGE_UNAVAILABLE),
        (429, "TooManyRequests", ErrorCode.STORAGE_UNAVAILABLE),
        (503, "SlowDown", ErrorCode.STORAGE_UNAVAILABLE),
        (500, "", ErrorCode.STORAGE_UNAVAILABLE),
    ],
)
def test_states_that_may_pass_are_retryable(
    server: S3Answers, tmp_path: Path, status: int, name: str, code: ErrorCode
) -> None:
    error = error_of(server, status, name, "words of S3", tmp_path / "a")
    assert (type(error), error.code) == (UnavailableError, code)


@pytest.mark.parametrize(
    ("status", "name"),
    [(301, "PermanentRedirect"), (307, "TemporaryRedirect"), (400, "AuthorizationHeaderMalformed")],
)
def test_another_region_is_named(status: int, name: str) -> None:
    """Without botocore, which follows redirects where S3 names the region."""
    message = "the region 'us-east-1' is wrong; expecting 'eu-west-1'"
    response = {
        "Error": {"Code": name, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    with pytest.raises(UnavailableError, match="region_name") as caught, clear_s3_errors(URI):
        raise botocore.ClientError(response, "GetObject")  # type: ignore[arg-type]
    assert caught.value.code is ErrorCode.WRONG_REGION
    assert "expecting 'eu-west-1'" in str(caught.value)


def test_versions_that_are_gone(server: S3Answers, tmp_path: Path) -> None:
    for status, name in [(404, "NoSuchKey"), (404, "NoSuchVersion"), (404, "")]:
        error = error_of(server, status, name, "gone", tmp_path / "a")
        assert (type(error), error.code) == (DocumentError, ErrorCode.MISSING_KEY)
    error = error_of(server, 412, "PreconditionFailed", "At least one", tmp_path / "a")
    assert isinstance(error, OverwrittenError)
    response = {
        "Error": {"Code": "MethodNotAllowed"},
        "ResponseMetadata": {"HTTPStatusCode": 405, "HTTPHeaders": {"x-amz-delete-marker": "true"}},
    }
    with pytest.raises(DocumentError) as caught, clear_s3_errors(URI):
        raise botocore.ClientError(response, "GetObject")  # type: ignore[arg-type]
    assert caught.value.code is ErrorCode.MISSING_KEY


def test_a_listing_that_is_refused(server: S3Answers) -> None:
    server.objects[""] = Answer(status=400, code="ExpiredToken", message="has expired")
    try:
        with pytest.raises(UnavailableError, match="Renew the session token") as caught:
            list(Listing("b").documents(server.client()))
    finally:
        del server.objects[""]
    assert caught.value.code is ErrorCode.EXPIRED_CREDENTIALS


def test_long_words_are_cut(server: S3Answers, tmp_path: Path) -> None:
    error = error_of(server, 400, "InvalidRequest", "x" * 5000, tmp_path / "a")
    assert len(str(error)) < 700


@pytest.mark.parametrize(
    "error",
    [
        botocore.NoCredentialsError(),
        botocore.ProfileNotFound(profile="p"),
        botocore.PartialCredentialsError(provider="env", cred_var="aws_secret_access_key"),
        botocore.CredentialRetrievalError(provider="process", error_msg="no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_host_without_credentials_is_no_outage_of_s3(error: Exception) -> None:
    with (
        pytest.raises(UnavailableError, match="there are no credentials") as caught,
        clear_s3_errors(URI),
    ):
        raise error
    assert caught.value.code is ErrorCode.ACCESS_DENIED


def test_a_login_in_the_endpoint_is_in_no_message() -> None:
    cause = botocore.EndpointConnectionError(endpoint_url="http://user:secret@127.0.0.1:9/")
    with (
        pytest.raises(UnavailableError, match=r"http://\*\*\*@127") as caught,
        clear_s3_errors(URI),
    ):
        raise cause
    assert "secret" not in str(caught.value)

"""The errors of S3 as errors of this package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    DocumentError,
    ErrorCode,
    UnavailableError,
)
from airflow_deepseek_ocr.printable import hide_logins
from airflow_deepseek_ocr.sources.base import overwritten
from airflow_deepseek_ocr.sources.s3_uri import split_uri

#: Most characters of S3's own words in a message.
_WORDS = 300

# Codes of "Error responses" in S3's and STS's references.
_NO_BUCKET = ("NoSuchBucket", "NoSuchAccessPoint")
_NO_KEY = ("NoSuchKey", "NoSuchVersion")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
_REGION = (
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
    "PermanentRedirect",
    "Redirect",
    "TemporaryRedirect",
)
_CREDENTIALS = (
    "AuthFailure",
    "InvalidClientTokenId",
    "InvalidToken",
    "UnrecognizedClientException",
)
#: Answers with status 400 that a later try may not meet again.
_PASSING = (
    "BadDigest",
    "IncompleteBody",
    "KMS.ThrottlingException",
    "KMSInternalException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
)
#: Statuses of requests that fail again in the same way: bad request, method not allowed, address too long,
#: not implemented.
_LASTING_STATUSES = (400, 405, 414, 501)


@dataclass(frozen=True)
class Access:
    """An access to an object, for error messages.

    :param done: the verb.
    :param needs: the rights for it, as a sentence continues.
    """

    done: str
    needs: str


READ = Access(
    "read",
    "s3:GetObject and s3:ListBucket, with version ids s3:GetObjectVersion and s3:ListBucketVersions too, and "
    "kms:Decrypt where a key of KMS encrypts. A bucket whose requesters pay needs requester_pays=True.",
)
WRITE = Access(
    "written",
    "s3:PutObject, s3:GetObject and s3:DeleteObject below the prefix of the exports, and "
    "kms:GenerateDataKey and kms:Decrypt where a key of KMS encrypts.",
)


@contextmanager
def clear_s3_errors(uri: str, access: Access = READ) -> Iterator[None]:
    """Translate the errors of S3 into those of this package.

    The original errors are not chained: their tracebacks contain requests, which contain credentials.

    :param uri: the object or prefix, for error messages.
    :param access: reading or writing.
    :raises DocumentError: ``missing_key``, ``archived``, ``encrypted_elsewhere``, ``storage_refused``.
    :raises OverwrittenError: ``overwritten``.
    :raises ConfigurationError: ``s3_uri``; a parameter is none that S3 takes.
    :raises UnavailableError: ``missing_bucket``, ``access_denied``, ``expired_credentials``,
        ``wrong_region``, ``storage_unavailable``.
    """
    from botocore import exceptions as botocore

    try:
        yield
    except botocore.ClientError as error:
        raise _of_answer(uri, error.response, access) from None
    except botocore.ParamValidationError as error:
        raise ConfigurationError(
            ErrorCode.S3_URI, f"{uri} is no address that S3 takes: {error}. Change it."
        ) from None
    except (
        botocore.NoCredentialsError,
        botocore.PartialCredentialsError,
        botocore.CredentialRetrievalError,
        botocore.ProfileNotFound,
        botocore.SSOError,
        botocore.TokenRetrievalError,
    ) as error:
        raise UnavailableError(
            ErrorCode.ACCESS_DENIED,
            f"{uri} cannot be {access.done}: there are no credentials ({hide_logins(str(error))}). Check the "
            "AWS connection, and the profile or role of this host.",
        ) from None
    except (botocore.BotoCoreError, ConnectionError, TimeoutError) as error:
        raise UnavailableError(
            ErrorCode.STORAGE_UNAVAILABLE,
            f"{uri} cannot be reached: the S3 server does not answer ({hide_logins(str(error))}). Check the "
            "endpoint and the credentials of the AWS connection, and the network.",
        ) from None


def _of_answer(uri: str, response: Any, access: Access) -> DeepSeekOCRError:
    """Return the error for an error response of botocore."""
    found = response.get("Error", {})
    code, message = str(found.get("Code", "")), str(found.get("Message", ""))
    details = response.get("ResponseMetadata", {})
    status = details.get("HTTPStatusCode")
    words = f"{code or status}: {message[:_WORDS]}" if message else str(code or status)
    document = _of_object(uri, code, message, found, words)
    if document is not None:
        return document
    if code == "PreconditionFailed" or status == 412:
        return overwritten(uri)
    # A version that is a delete marker answers 405.
    marker = details.get("HTTPHeaders", {}).get("x-amz-delete-marker") == "true"
    refusal = _of_access(uri, code, status, words, access)
    if refusal is not None:
        return refusal
    if code in _NO_KEY or status == 404 or marker:
        return DocumentError(
            ErrorCode.MISSING_KEY,
            f"{uri} does not exist. It was deleted, or the key is misspelt.",
        )
    if status in _LASTING_STATUSES and code not in _PASSING:
        return DocumentError(
            ErrorCode.STORAGE_REFUSED,
            f"{uri} cannot be {access.done}: S3 refuses the request ({words}). A later try gets the same "
            "answer: check the object, and the endpoint of the AWS connection.",
        )
    return UnavailableError(
        ErrorCode.STORAGE_UNAVAILABLE,
        f"{uri} cannot be {access.done}: S3 answers {words}. Try again later.",
    )


def _of_object(
    uri: str, code: str, message: str, found: Any, words: str
) -> DeepSeekOCRError | None:
    """Return the error if the object's own state keeps it from being read."""
    if code == "InvalidObjectState":
        place = ", ".join(found[name] for name in ("StorageClass", "AccessTier") if found.get(name))
        return DocumentError(
            ErrorCode.ARCHIVED,
            f"{uri} is archived{f' in {place}' if place else ''} ({words}). Restore it, and let a task read "
            "it again.",
        )
    # Without the customer's key, S3 answers InvalidRequest and names the encryption in its words only.
    by_customer = code in ("InvalidRequest", "InvalidArgument") and "encryption" in message.lower()
    if by_customer or (code.startswith("KMS.") and code not in _PASSING):
        return DocumentError(
            ErrorCode.ENCRYPTED_ELSEWHERE,
            f"{uri} is encrypted with a key that S3 cannot use for this request ({words}). Keys of "
            "customers (SSE-C) are not supported: store the object with another encryption. A key of KMS "
            "must exist and be enabled.",
        )
    return None


def _of_access(
    uri: str, code: str, status: int | None, words: str, access: Access
) -> UnavailableError | None:
    """Return the error if bucket, region, credentials or rights are wrong."""
    if code in _NO_BUCKET:
        return UnavailableError(
            ErrorCode.MISSING_BUCKET,
            f"{uri} cannot be {access.done}: there is no bucket {_bucket(uri)}. Check its name and the AWS "
            "connection.",
        )
    if code in _EXPIRED:
        return UnavailableError(
            ErrorCode.EXPIRED_CREDENTIALS,
            f"{uri} cannot be {access.done}: the credentials have expired ({words}). Renew the session "
            "token of the AWS connection, or let it assume a role.",
        )
    if code in _REGION or status in (301, 307):
        return UnavailableError(
            ErrorCode.WRONG_REGION,
            f"{uri} cannot be {access.done}: the bucket is in another region, or at another "
            f"endpoint ({words}). Set region_name in the AWS connection's extra.",
        )
    if status in (401, 403) or code in _CREDENTIALS:
        return UnavailableError(
            ErrorCode.ACCESS_DENIED,
            f"{uri} cannot be {access.done}: S3 refuses access ({words}). The credentials of the AWS "
            f"connection need {access.needs}",
        )
    return None


def _bucket(uri: str) -> str:
    try:
        return split_uri(uri)[0]
    except ConfigurationError:
        return "of that name"

"""What a server can do, found by asking it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx

from airflow_deepseek_ocr.engines.http.image_encoding import data_url
from airflow_deepseek_ocr.engines.http.responses import unreachable
from airflow_deepseek_ocr.engines.protocol.chat_completions import Capabilities, chat_request
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.prompts import PROMPTS
from airflow_deepseek_ocr.ocr.resolution import MAX_TILES, RESOLUTIONS

_CHAT = "/v1/chat/completions"
_REFUSALS = (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY)
#: A token that the probe forces on the model, and how strongly (the most that vLLM takes); any token
#: that means nothing special would do, and small ids are in small vocabularies too.
_FORCED_TOKEN, _BIAS = 200, 100
_PROBE_TOKENS = 6
#: With bigrams that must not repeat, a token cannot be written three times in a row.
_PROBE_NGRAM = (2, 20)
#: A mode that a server without our plugin for vLLM does not read in, and the one that it does.
_PROBE_MODE, _ONLY_MODE = RESOLUTIONS["tiny"], RESOLUTIONS["gundam"]


def ask_capabilities(
    client: httpx.Client, endpoint: Endpoint, model: str, revision: str
) -> Capabilities:
    """What the server says it can do with that model.

    :param client: for the endpoint.
    :param model: the name the server must serve it by.
    :param revision: what it must serve, as far as it says; empty for any.
    :raises UnavailableError: ``server_unreachable``, ``server_answer``.
    :raises ConfigurationError: ``api_key``, ``server_model``, ``server_revision``.
    """
    cards = _get_json(client, endpoint, "/v1/models").get("data")
    try:
        served = [Capabilities.of_card(card) for card in cards or []]
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise _no_answer(endpoint, type(error).__name__) from None
    for each in served:
        if each.model == model:
            if each.revision and revision and each.revision != revision:
                raise ConfigurationError(
                    ErrorCode.SERVER_REVISION,
                    f"The server serves revision {each.revision} of {model}, the connection asks for "
                    f"{revision}: set the connection's revision, or start the server with the other.",
                )
            return each
    names = ", ".join(each.model for each in served) or "none"
    raise ConfigurationError(
        ErrorCode.SERVER_MODEL,
        f"The server at {endpoint.url} does not serve {model!r}. Models there: {names}. Set the "
        "connection's model to one of these.",
    )


def ask_modes(client: httpx.Client, endpoint: Endpoint, capabilities: Capabilities) -> Capabilities:
    """What the server can do, with the modes that it does not tell by itself.

    vLLM cannot say that it has this package's plugin. It is asked to read in another mode than its
    own: without the plugin it refuses, or counts as many tokens for the image as ever.

    :param client: for the endpoint.
    :param capabilities: what the server says; see :func:`ask_capabilities`.
    :raises UnavailableError: ``server_unreachable``, ``server_answer``.
    :raises ConfigurationError: ``api_key``.
    """
    if capabilities.version is not None:
        return capabilities
    body = chat_request(
        model=capabilities.model,
        image_url=_blank_image(),
        line=PROMPTS["free"].template,
        resolution=_PROBE_MODE.name,
        max_tokens=1,
        no_repeat_ngram=(0, 0),
        table_cells=(),
    )
    answer = _json(client, endpoint, "POST", _CHAT, refusal={}, json=body)
    usage = answer.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    # Fewer than its mode takes are those of a server that does not count an image's.
    expected = range(_PROBE_MODE.vision_tokens(), _ONLY_MODE.vision_tokens())
    if not isinstance(tokens, int) or tokens not in expected:
        return capabilities
    return replace(capabilities, modes=tuple(RESOLUTIONS), max_tiles=MAX_TILES)


def require_device(capabilities: Capabilities, device: str, dtype: str) -> None:
    """Raise if a server that tasks share computes elsewhere, or in another format, than this one asks for.

    Where ``auto`` leads depends on the server's torch: on a host with a GPU, a torch that was built without
    CUDA computes on the CPU.

    :param capabilities: what the server says.
    :param device: as the connection has it.
    :param dtype: likewise.
    :raises ConfigurationError: ``server_device``.
    """
    asked = {device.partition(":")[0], dtype} - {"auto"}
    has = {(capabilities.device or "").partition(":")[0], capabilities.dtype}
    if None in has or "" in has or asked <= has:
        return
    raise ConfigurationError(
        ErrorCode.SERVER_DEVICE,
        f"The server of this host computes on {capabilities.device} in {capabilities.dtype}, the connection "
        f"asks for {device} and {dtype}. Does the server's torch find the GPU? Then stop the server "
        "(airflow-deepseek-ocr stop --all), or let the connection say auto.",
    )


def require_forced(capabilities: Capabilities) -> None:
    """Raise unless texts can be as long as they are asked for, whatever the model writes.

    :param capabilities: what the server says; vLLM takes it from each request.
    :raises ConfigurationError: ``server_end``.
    """
    if capabilities.version is not None and not capabilities.ignores_end:
        raise ConfigurationError(
            ErrorCode.SERVER_END,
            "The server ends texts where the model does. Start it with --ignore-end.",
        )


def prove_no_repeat_ngram(
    client: httpx.Client, endpoint: Endpoint, capabilities: Capabilities, decoding: Decoding
) -> None:
    """Raise unless the server applies the no-repeat-n-gram constraint.

    A server that does not say so is asked to write a token that it is forced to repeat, with bigrams
    that must not repeat: the guard, where it is active, is stronger.

    :param client: for the endpoint.
    :param decoding: the guard that requests will ask for.
    :raises ConfigurationError: ``server_guard``, saying how the server is to be started.
    :raises UnavailableError: ``server_unreachable``, ``server_answer``.
    """
    wanted = (decoding.ngram_size, decoding.ngram_window)
    if capabilities.no_repeat_ngram is not None:
        if capabilities.no_repeat_ngram != wanted:
            raise ConfigurationError(
                ErrorCode.SERVER_NO_REPEAT_NGRAM,
                f"The server's no-repeat-n-gram constraint is {capabilities.no_repeat_ngram}, not {wanted} "
                "(n-gram and window): use a server of the same version of this package.",
            )
        return
    body = chat_request(
        model=capabilities.model,
        image_url=_blank_image(),
        line=PROMPTS["free"].template,
        resolution=_PROBE_MODE.name if _PROBE_MODE.name in capabilities.modes else None,
        max_tokens=_PROBE_TOKENS,
        no_repeat_ngram=_PROBE_NGRAM,
        table_cells=(),
    ) | {
        "logit_bias": {str(_FORCED_TOKEN): _BIAS},
        "ignore_eos": True,
        "logprobs": True,
        # Several tokens may look the same as text.
        "return_tokens_as_token_ids": True,
    }
    answer = _json(client, endpoint, "POST", _CHAT, json=body)
    try:
        written = [each["token"] for each in answer["choices"][0]["logprobs"]["content"]]
    except (TypeError, KeyError, IndexError) as error:
        raise _no_answer(endpoint, type(error).__name__) from None
    if len(written) > 2 and len(set(written[:3])) == 1:
        raise ConfigurationError(
            ErrorCode.SERVER_NO_REPEAT_NGRAM,
            "The server applies no no-repeat-n-gram constraint, without which the model falls into "
            "loops. Start vLLM with: --logits-processors "
            "vllm.model_executor.models.deepseek_ocr:NGramPerReqLogitsProcessor",
        )


def _blank_image() -> str:
    from PIL import Image

    return data_url(Image.new("RGB", (64, 64), "white"), local=False)


def _get_json(client: httpx.Client, endpoint: Endpoint, path: str) -> dict[str, Any]:
    return _json(client, endpoint, "GET", path)


def _json(
    client: httpx.Client,
    endpoint: Endpoint,
    method: str,
    path: str,
    *,
    refusal: dict[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """The answer to a request.

    :param refusal: the answer if the server takes the request for a wrong one; an error if None.
    """
    try:
        response = client.request(method, path, **options)
    except httpx.TransportError as error:
        raise unreachable(endpoint, error) from None
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise ConfigurationError(
            ErrorCode.SERVER_API_KEY,
            f"The server at {endpoint.url} refuses the secret ({response.status_code}). Set the "
            "connection's password to the one the server was started with.",
        )
    if response.status_code >= 500:
        raise UnavailableError(
            ErrorCode.SERVER_UNREACHABLE,
            f"The server at {endpoint.url} answers {response.status_code}.",
        )
    if refusal is not None and response.status_code in _REFUSALS:
        return refusal
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if response.status_code != httpx.codes.OK or not isinstance(answer, dict):
        raise _no_answer(endpoint, f"{path} answers {response.status_code}")
    return answer


def _no_answer(endpoint: Endpoint, reason: str) -> UnavailableError:
    return UnavailableError(
        ErrorCode.SERVER_RESPONSE,
        f"{endpoint.url} does not answer as an OpenAI-compatible server ({reason}). Check host and "
        "port of the connection.",
    )

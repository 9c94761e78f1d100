"""Questions to a server about its capabilities, and checks of the answers."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import httpx

from airflow_deepseek_ocr.engines.http.connection_errors import connection_error
from airflow_deepseek_ocr.engines.http.image_encoding import data_url
from airflow_deepseek_ocr.engines.http.responses import UNAUTHORIZED, api_key_refused
from airflow_deepseek_ocr.engines.protocol.bounded_request import (
    ResponseLimitError,
    bounded_request,
)
from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    CHAT_PATH,
    VLLM_MAX_TILES,
    Capabilities,
    chat_request,
)
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.protocol.token_logprobs import MALFORMED, request_fields
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    ErrorCode,
    ServerUnreachableError,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.families.registry import (
    DEFAULT_FAMILY,
    DEFAULT_RESOLUTION,
    FAMILIES,
    require_family,
)
from airflow_deepseek_ocr.ocr.prompts import PROMPTS

log = logging.getLogger(__name__)

#: Statuses of a server that refuses a field of the request.
_REFUSALS = (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY)
#: Token that the probe forces on the model, and how strongly (the most that vLLM accepts). Any token without
#: a special meaning would do; small ids exist in small vocabularies too.
_FORCED_TOKEN, _BIAS = 200, 100
_PROBE_TOKENS = 6
#: Longest answer in bytes: cards of some hundred models.
_MAX_BYTES = 1 << 20
#: Longest time for a list of models, in seconds: it does not wait for the model, as a page does.
_LIST_S = 60.0
#: Most models that an error names, and most characters of a name.
_MAX_NAMES, _MAX_NAME = 20, 200
#: If bigrams must not repeat, a token cannot occur three times in a row.
_PROBE_NGRAM = (2, 20)
#: A mode that vLLM supports only with the plugin, and that every family has; in each family, an image has
#: another number of tokens in it than in the mode that vLLM supports without.
_PROBE_MODE = "small"
#: Pixels of the image whose tokens reveal modes and families. It is ten times as wide as high: a model
#: that cuts pages into more tiles than any family has more tokens for it. baidu/Unlimited-OCR cuts up to 32
#: in vLLM, and has as many tokens as DeepSeek-OCR for an image without tiles.
_STRIP = (1000, 100)
#: Most tokens of the probe's prompt besides the image: its first token and ten characters. The numbers of
#: vision tokens of different families and modes are further apart.
_MAX_LINE_TOKENS = 15


def ask_capabilities(
    client: httpx.Client,
    endpoint: Endpoint,
    model: str,
    revision: str,
    family: ModelFamily = DEFAULT_FAMILY,
) -> Capabilities:
    """Return the capabilities that the server reports for that model.

    :param client: for the endpoint.
    :param endpoint: the server.
    :param model: name by which the server must serve the model.
    :param revision: revision that it must serve, if it reports one; empty for any.
    :param family: model family that it must serve, if it reports one.
    :raises UnavailableError: ``server_unreachable``, ``server_response``.
    :raises ConfigurationError: ``server_api_key``, ``server_model``, ``server_revision``, ``model_family``.
    """
    cards = _json(client, endpoint, "GET", "/v1/models").get("data")
    try:
        served = [Capabilities.of_card(card, family) for card in cards or []]
    except MALFORMED as error:
        raise _bad_response(endpoint, type(error).__name__) from None
    for each in served:
        if each.model == model:
            if each.revision and revision and each.revision != revision:
                raise ConfigurationError(
                    ErrorCode.SERVER_REVISION,
                    f"The server serves revision {each.revision} of {model}, the connection asks for "
                    f"{revision}: set the connection's revision, or start the server with the other.",
                )
            require_family(each.family, family, f"{model} at {endpoint.address}")
            return each
    names = ", ".join(each.model[:_MAX_NAME] for each in served[:_MAX_NAMES]) or "none"
    raise ConfigurationError(
        ErrorCode.SERVER_MODEL,
        f"The server at {endpoint.address} does not serve {model!r}. Models there: {names}. Set the "
        "connection's model to one of these.",
    )


def ask_modes(client: httpx.Client, endpoint: Endpoint, capabilities: Capabilities) -> Capabilities:
    """Return the capabilities with the modes that the server does not report.

    vLLM does not report this package's plugin, nor the model's family. A probe request names a mode that vLLM
    supports only with the plugin: without it, vLLM refuses the request, or counts the image's tokens as in
    gundam. The number of tokens tells the family as well, and some models of no family.

    :param client: for the endpoint.
    :param endpoint: the server.
    :param capabilities: as reported; see :func:`ask_capabilities`.
    :raises UnavailableError: ``server_unreachable``, ``server_response``.
    :raises ConfigurationError: ``server_api_key``; ``model_family`` if the server counts tokens as another
        family than the expected one has, or more than any family has.
    """
    if capabilities.version is not None:
        return capabilities
    tokens = _probe_tokens(client, endpoint, capabilities, _PROBE_MODE)
    if tokens is None:
        tokens = _probe_tokens(client, endpoint, capabilities, None)
    found = _mode_of(tokens)
    if tokens is not None and tokens > _most_tokens():
        raise ConfigurationError(
            ErrorCode.MODEL_FAMILY,
            f"{capabilities.model} at {endpoint.address} is no model that this package can read: it counts "
            f"{tokens} tokens for an image of {_STRIP[0]} x {_STRIP[1]} pixels, as baidu/Unlimited-OCR may. "
            f"Models: {', '.join(each.title for each in FAMILIES.values())}. Point the connection at a "
            "server with one of these.",
        )
    if found is None:  # such as a server that does not count the tokens of images
        return capabilities
    family, mode = found
    require_family(family, capabilities.family, f"{capabilities.model} at {endpoint.address}")
    if mode != _PROBE_MODE:
        return capabilities
    return replace(capabilities, modes=family.modes, max_tiles=family.max_tiles)


def _probe_tokens(
    client: httpx.Client, endpoint: Endpoint, capabilities: Capabilities, resolution: str | None
) -> int | None:
    """Return the tokens of a prompt with a blank strip; None if the server refuses the mode."""
    body = chat_request(
        model=capabilities.model,
        image_url=_blank_image(_STRIP),
        line=PROMPTS["free"].template,
        resolution=resolution,
        max_tokens=1,
        no_repeat_ngram=(0, 0),
        table_cells=(),
    )
    answer = _json(client, endpoint, "POST", CHAT_PATH, refusal={}, json=body)
    usage = answer.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) else None


def _mode_of(tokens: int | None) -> tuple[ModelFamily, str] | None:
    """Return family and mode of a probe's prompt with that many tokens; None if no mode has them."""
    for family in FAMILIES.values():
        for name in (_PROBE_MODE, DEFAULT_RESOLUTION):
            mode = family.resolution(name)
            for most in (VLLM_MAX_TILES, None):
                image = mode.vision_tokens(mode.grid(*_STRIP, most))
                if tokens is not None and image < tokens <= image + _MAX_LINE_TOKENS:
                    return family, name
    return None


def _most_tokens() -> int:
    """Return the most tokens that a probe's prompt has with any family, with all its tiles."""
    modes = [family.resolution(DEFAULT_RESOLUTION) for family in FAMILIES.values()]
    return max(mode.vision_tokens(mode.grid(*_STRIP)) for mode in modes) + _MAX_LINE_TOKENS


def ask_token_probabilities(
    client: httpx.Client, endpoint: Endpoint, capabilities: Capabilities
) -> Capabilities:
    """Return the capabilities, with whether a server that does not report it returns probabilities of tokens.

    A probe forces an improbable token on the model. Servers that refuse log-probabilities (vLLM with a
    ``--max-logprobs`` below 2), or return those of the token after it was forced (``--logprobs-mode
    processed_logprobs``), return none that are the model's own; a warning names the option.

    :param client: for the endpoint.
    :param endpoint: the server.
    :param capabilities: as reported; see :func:`ask_capabilities`.
    :raises UnavailableError: ``server_unreachable``, ``server_response``.
    :raises ConfigurationError: ``server_api_key``.
    """
    if capabilities.version is not None:
        return capabilities
    able = replace(capabilities, token_probabilities=True)
    body = chat_request(
        model=capabilities.model,
        image_url=_blank_image(),
        line=PROMPTS["free"].template,
        resolution=_PROBE_MODE if _PROBE_MODE in capabilities.modes else None,
        max_tokens=1,
        no_repeat_ngram=(0, 0),
        table_cells=(),
    )
    body |= request_fields(able) | {"logit_bias": {str(_FORCED_TOKEN): _BIAS}}
    answer = _json(client, endpoint, "POST", CHAT_PATH, refusal={}, json=body)
    try:
        (token,) = answer["choices"][0]["logprobs"]["content"]
        most = max(float(other["logprob"]) for other in token["top_logprobs"])
        models_own = float(token["logprob"]) < most
    except MALFORMED:
        models_own = False
    if not models_own:
        log.warning(
            "The server at %s does not return the model's own probabilities of tokens, so pages have no "
            "confidence. Start vLLM with --max-logprobs 2 or more, and with --logprobs-mode raw_logprobs, "
            "which are its defaults.",
            endpoint.address,
        )
    return replace(capabilities, token_probabilities=models_own)


def require_device(capabilities: Capabilities, device: str, dtype: str) -> None:
    """Raise unless the model server uses the device and the dtype that the connection asks for.

    The meaning of ``auto`` depends on the server's torch: a torch that was built without CUDA uses the CPU of
    a host with a GPU.

    :param capabilities: as the server reports them.
    :param device: the connection's device.
    :param dtype: the connection's dtype.
    :raises ConfigurationError: ``server_device``.
    """
    asked = {device.partition(":")[0], dtype} - {"auto"}
    has = {(capabilities.device or "").partition(":")[0], capabilities.dtype}
    if None in has or "" in has or asked <= has:
        return
    raise ConfigurationError(
        ErrorCode.SERVER_DEVICE,
        f"The server of this host uses {capabilities.device} with {capabilities.dtype}, the connection asks "
        f"for {device} and {dtype}. If the server's torch finds the GPU, stop the server "
        "(airflow-deepseek-ocr stop --all) and the next task starts another one; otherwise set both to auto.",
    )


def require_forced(capabilities: Capabilities) -> None:
    """Raise unless the server can ignore the model's end token.

    :param capabilities: as the server reports them; vLLM accepts this per request.
    :raises ConfigurationError: ``server_end``.
    """
    if capabilities.version is not None and not capabilities.ignores_end:
        raise ConfigurationError(
            ErrorCode.SERVER_END,
            "The server ends texts at the model's end token. Start it with --ignore-end.",
        )


def prove_no_repeat_ngram(
    client: httpx.Client, endpoint: Endpoint, capabilities: Capabilities, decoding: Decoding
) -> None:
    """Raise unless the server applies the no-repeat-n-gram constraint.

    A server that does not report the constraint receives a probe: one token is forced at every position, and
    bigrams must not repeat. The constraint outweighs the force, if it is active.

    :param client: for the endpoint.
    :param endpoint: the server.
    :param capabilities: as the server reports them.
    :param decoding: the constraint that requests will ask for.
    :raises ConfigurationError: ``server_no_repeat_ngram``, naming the option to start the server with.
    :raises UnavailableError: ``server_unreachable``, ``server_response``.
    """
    if capabilities.no_repeat_ngram is not None:
        _require_equal(capabilities.no_repeat_ngram, (decoding.ngram_size, decoding.ngram_window))
        return
    answer = _json(client, endpoint, "POST", CHAT_PATH, json=forced_repetition(capabilities))
    try:
        blocked = blocks_repetition(answer)
    except (TypeError, KeyError, IndexError) as error:
        raise _bad_response(endpoint, type(error).__name__) from None
    if not blocked:
        raise ConfigurationError(
            ErrorCode.SERVER_NO_REPEAT_NGRAM,
            "The server applies no no-repeat-n-gram constraint, without which the model falls into "
            "loops. Start vLLM with: --logits-processors "
            "vllm.model_executor.models.deepseek_ocr:NGramPerReqLogitsProcessor",
        )


def forced_repetition(capabilities: Capabilities) -> dict[str, Any]:
    """Return the body of a request that forces one token at every position and forbids its repetition."""
    return chat_request(
        model=capabilities.model,
        image_url=_blank_image(),
        line=PROMPTS["free"].template,
        resolution=_PROBE_MODE if _PROBE_MODE in capabilities.modes else None,
        max_tokens=_PROBE_TOKENS,
        no_repeat_ngram=_PROBE_NGRAM,
        table_cells=(),
    ) | {
        "logit_bias": {str(_FORCED_TOKEN): _BIAS},
        "ignore_eos": True,
        "logprobs": True,
        # Different tokens may have the same text.
        "return_tokens_as_token_ids": True,
    }


def blocks_repetition(answer: dict[str, Any]) -> bool:
    """Return whether the response to :func:`forced_repetition` shows that repetition is blocked.

    :raises TypeError, KeyError, IndexError: the response does not list tokens.
    """
    tokens = [each["token"] for each in answer["choices"][0]["logprobs"]["content"]]
    return len(tokens) < 3 or len(set(tokens[:3])) > 1


def _require_equal(reported: tuple[int, int], wanted: tuple[int, int]) -> None:
    if reported != wanted:
        raise ConfigurationError(
            ErrorCode.SERVER_NO_REPEAT_NGRAM,
            f"The server's no-repeat-n-gram constraint is {reported}, not {wanted} (n-gram and window): use "
            "a server of the same version of this package.",
        )


def _blank_image(size: tuple[int, int] = (64, 64)) -> str:
    from PIL import Image

    return data_url(Image.new("RGB", size, "white"), local=False)


def _json(
    client: httpx.Client,
    endpoint: Endpoint,
    method: str,
    path: str,
    *,
    refusal: dict[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Return the JSON object in a response.

    :param refusal: returned if the server refuses a field of the request; None to raise.
    """
    timeout = client.timeout
    seconds = (timeout.connect or 0) + (timeout.read or 0) or None
    if method == "GET":
        seconds = min(_LIST_S, seconds or _LIST_S)
    try:
        response = bounded_request(
            client, method, path, max_bytes=_MAX_BYTES, seconds=seconds, **options
        )
    except ResponseLimitError as error:
        raise _bad_response(endpoint, str(error)) from None
    except httpx.TransportError as error:
        raise connection_error(endpoint, error) from None
    if response.status in UNAUTHORIZED:
        raise api_key_refused(endpoint, response.status)
    if response.status >= 500:
        raise ServerUnreachableError(
            f"The server at {endpoint.address} responds with status {response.status}; see its log."
        )
    if refusal is not None and response.status in _REFUSALS:
        return refusal
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        answer = None
    if response.status != httpx.codes.OK or not isinstance(answer, dict):
        raise _bad_response(endpoint, f"{path} responds with status {response.status}")
    return answer


def _bad_response(endpoint: Endpoint, reason: str) -> UnavailableError:
    return UnavailableError(
        ErrorCode.SERVER_RESPONSE,
        f"{endpoint.address} does not respond like an OpenAI-compatible server ({reason}). Check host and "
        "port of the connection.",
    )

"""vLLM command and vLLM options of a connection."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.engines.supervisor.vllm_options import split_command, split_options
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode


@pytest.mark.parametrize(
    "options",
    """\
--gpu-memory-utilization 0.5
--gpu_memory_utilization=0.5 --enforce-eager --max-model-len 4096 --skip-mm-profiling
--trust-request-mm-kwargs --max-num-batched-tokens 16384 --api-server-count 4
--tensor-parallel-size 2 --pipeline-parallel-size=2 --distributed-executor-backend mp
-tp 2 -pp=2 -dp 2 -O3 -q fp8
--quantization bitsandbytes --load-format bitsandbytes --kv-cache-dtype fp8 --calculate-kv-scales
--limit-mm-per-prompt '{"image": 1}' --seed -1
--swap-space 4 --cpu-offload-gb 8 --block-size 32 --kv-cache-memory-bytes 8G
--no-enable-chunked-prefill --enable-chunked-prefill --async-scheduling --no-async-scheduling
--attention-backend FLASH_ATTN --compilation-config.cudagraph_mode=PIECEWISE --optimization-level 1
--uvicorn-log-level warning --disable-uvicorn-access-log --model-impl vllm
""".splitlines(),
)
def test_options_of_memory_speed_and_parallelism_are_accepted(options: str) -> None:
    assert split_options(options)


def test_no_options() -> None:
    assert split_options("") == split_options(" ") == []


@pytest.mark.parametrize(
    "options",
    [
        *("--host 0.0.0.0", "--host=0.0.0.0", "--hos 0.0.0.0", "--ho=::", "--HOST=x"),
        *("'--ho''st' x", "--hos\\t x", '"--host=x"', "--no-host", "--host.x=1", "--host+ x"),
        *("--port 80", "--po=80", "--uds /tmp/s", "--ud=/tmp/s", "--api-key k", "--api_key=k"),
        *("--allowed-local-media-path /", "--allowed_local_media_path=/", "--allowed-lo /"),
        *("--middleware m.M", "--midd=m.M", "--ssl-keyfile k", "--ssl_certfile=c", "--ssl-new 1"),
        *("--trust-remote-code", "--trust_remote_code", "--trust-rem", "--trust"),
        *("--allowed-origins '[\"*\"]'", "--chat-template /etc/shadow", "--lora-modules a=/b"),
        *("--config /tmp/c.yaml", "--conf=c", "--served-model-name x", "--model x", "--dtype half"),
        *("-h", "--", "-", "--=x", "--max-num-seqs 9", "--worker-cls a.B", "--scheduler-cls a.B"),
        *(
            "--tool-parser-plugin /tmp/p.py",
            "--structured-outputs-config.reasoning_parser_plugin=p",
        ),
        *(
            "-dpa 10.0.0.1",
            "-dpr 1",
            "-dpp 1",
            "-n 2",
            "-r 1",
            "-ac x",
            "-cc '{}'",
            "-cc.backend=os",
        ),
        *('-O \'{"backend": "a.b"}\'', "-O.backend=a.b", "-O=3", "--compilation-config '{}'"),
        *("--compilation-config.backend=a.b", "--compilation_config.inductor_passes.x=a.b"),
        *("--kv-transfer-config.kv_connector_module_path=a", "--kv-events-config '{}'"),
        *("--logits-processors a:B", "--logits-processor-pattern .*", "--download-dir /tmp"),
        *("--distributed-executor-backend a.B", "--distributed-executor-backend=a.B"),
        *("--distributed-executor-backend", "--disable-log-stats", "--hf-token t"),
        "--gpu-memory-utilization 0.5 --host=x",
        *("--an-option-of-a-later-version 1", "--headless", "--enable-sleep-mode"),
    ],
)
def test_other_options_are_refused_in_every_spelling(options: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"vLLM options have -.*(Remove|Correct) it"
    ) as caught:
        split_options(options)
    assert caught.value.code is ErrorCode.CONNECTION


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ("--max-num-seqs 9", "use the field Batch size"),
        ("--uds x", "this package sets. Remove it."),
        ("--chat-template x", "separate server"),
        ("--distributed-executor-backend ray", "mp or uni only"),
        ("--gpu-memory-util 0.5", "written in full"),
    ],
)
def test_the_remedy_is_named(options: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        split_options(options)


def test_a_refused_value_is_not_quoted() -> None:
    with pytest.raises(ConfigurationError) as caught:
        split_options("--api-key=hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "  ", "''", "' '"])
def test_a_command_without_a_program_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="names no program"):
        split_command(text)


def test_an_open_quotation_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"vLLM command cannot be parsed.*quotation"):
        split_command("vllm '")
    with pytest.raises(ConfigurationError, match=r"vLLM options cannot be parsed.*quotation"):
        split_options('--seed "1')


def test_a_command_may_have_arguments() -> None:
    assert split_command("'/a b/python' -m vllm") == ["/a b/python", "-m", "vllm"]

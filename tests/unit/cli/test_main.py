"""The command line as a whole."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.cli import main
from airflow_deepseek_ocr.cli.main import build_parser
from tests.support.command_line import run


@pytest.mark.parametrize("module", ["airflow_deepseek_ocr.cli", "airflow_deepseek_ocr.cli.main"])
def test_both_names_of_the_module_start_it(module: str) -> None:
    done = run("--version", module=module)
    assert (done.returncode, done.stdout.strip()) == (0, __version__)


def test_without_a_command_it_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["read", "pull", "serve", "servers", "stop", "preflight", "db", "forget"]
)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert "usage" in capsys.readouterr().out


def test_an_error_is_one_line_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stop", "none"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: There is no server 'none'.")


def test_the_parser_leaves_the_work_to_the_command() -> None:
    options = build_parser().parse_args(["preflight", "--engine", "vllm"])
    assert (options.engine, callable(options.run)) == ("vllm", True)

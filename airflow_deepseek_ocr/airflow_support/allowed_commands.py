"""Programs that a connection may start on this worker, as Airflow's configuration there allows."""

from __future__ import annotations

import shlex
import sys

from airflow.providers.common.compat.sdk import conf

from airflow_deepseek_ocr.airflow_support.table_names import CONFIG_SECTION
from airflow_deepseek_ocr.connection.fields import DEFAULTS
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.supervisor.vllm_options import split_command, split_options
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

#: Option of Airflow's configuration that lists the commands, separated by commas.
ALLOW_COMMANDS = "allow_commands"


def require_allowed_commands(settings: Settings) -> None:
    """Raise unless this worker's configuration allows the programs that the connection names.

    Users who edit connections need not have the right to run programs on workers. The plain command ``vllm``
    and the task's own Python are always allowed.

    :param settings: settings of the connection.
    :raises ConfigurationError: ``server_command`` if a program is not allowed; ``connection`` if the vLLM
        command is empty, command or options have an open quotation, or an option is refused.
    """
    if settings.host:
        return  # no program is started on the worker
    if settings.server_python not in ("", sys.executable) and settings.engine != "vllm":
        _require("Python of the resident server", [settings.server_python])
    if settings.engine in ("auto", "vllm"):
        command = split_command(settings.vllm_command)
        if command != [DEFAULTS["vllm_command"]]:
            _require("vLLM command", command)
        split_options(settings.vllm_options)


def _require(field: str, command: list[str]) -> None:
    if command in _allowed():
        return
    # The command line may hold a secret, the program's path does not.
    raise ConfigurationError(
        ErrorCode.SERVER_COMMAND,
        f"This worker does not allow the program {command[0]!r} that the connection's field {field} names. "
        f"If it is right, list the whole command in the option {ALLOW_COMMANDS} of the section "
        f"[{CONFIG_SECTION}] of the worker's Airflow configuration, or in its environment variable "
        f"AIRFLOW__{CONFIG_SECTION.upper()}__{ALLOW_COMMANDS.upper()}; otherwise empty the field.",
    )


def _allowed() -> list[list[str]]:
    """Return the commands of the configuration; a comma within quotation marks belongs to a command."""
    listed = conf.get(CONFIG_SECTION, ALLOW_COMMANDS, fallback="") or ""
    lexer = shlex.shlex(listed, posix=True, punctuation_chars=",")
    lexer.whitespace_split, lexer.commenters = True, ""
    commands: list[list[str]] = [[]]
    try:
        for word in lexer:
            if word.strip(","):
                commands[-1].append(word)
            else:
                commands.append([])
    except ValueError as error:
        raise ConfigurationError(
            ErrorCode.SERVER_COMMAND,
            f"The option [{CONFIG_SECTION}] {ALLOW_COMMANDS} of this worker's Airflow configuration cannot "
            f"be parsed: {error}. Close the quotation.",
        ) from error
    return [each for each in commands if each]

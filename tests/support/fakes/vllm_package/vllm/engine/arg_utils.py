from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any


class EngineArgs:
    @staticmethod
    def add_cli_args(parser: ArgumentParser) -> ArgumentParser:
        for name in ("model", "load-format", "max-num-seqs", "logits-processors"):
            parser.add_argument(f"--{name}")
        return parser

    @staticmethod
    def from_cli_args(options: Namespace) -> dict[str, Any]:
        return vars(options)

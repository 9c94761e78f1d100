"""Command line: ``up``, ``down`` and ``drop``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from stack import commands
from stack.choices import WITH, Arguments
from stack.errors import StackError

#: Several times what a start took on two cores (docs/measurements/docker.md).
TIMEOUT_S = 900.0


def main() -> int:
    """Run the command of the arguments."""
    options = _parser().parse_args()
    try:
        options.run(options)
    except StackError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. What has started keeps running; make down stops it.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="docker", description="Airflow with DeepSeek-OCR on this host."
    )
    commands_ = parser.add_subparsers(dest="command", required=True)
    up = commands_.add_parser("up", help="build, start and wait until healthy")
    up.add_argument(
        "--model", default=_given("MODEL"), help="hub id, s3:// prefix or directory (MODEL)"
    )
    up.add_argument(
        "--revision", default=_given("REVISION"), help="commit of a hub model (REVISION)"
    )
    up.add_argument("--gpu", default=_given("GPU"), help="0, 1 or auto (GPU)")
    up.add_argument(
        "--with", dest="overlay", default=_given("WITH"), help=f"{', '.join(WITH)} (WITH)"
    )
    up.add_argument("--no-build", action="store_true", help="use images that are there")
    up.add_argument(
        "--timeout", type=float, default=TIMEOUT_S, help="seconds to wait for healthy services"
    )
    up.set_defaults(run=_up)
    down = commands_.add_parser("down", help="stop; volumes are kept")
    down.add_argument("--volumes", action="store_true", default=os.environ.get("VOLUMES") == "1")
    down.set_defaults(run=lambda options: commands.down(volumes=options.volumes))
    drop = commands_.add_parser("drop", help="store documents in the bucket")
    drop.add_argument("files", nargs="*", type=Path, metavar="FILE")
    drop.set_defaults(run=lambda options: commands.drop(options.files))
    return parser


def _given(name: str) -> str | None:
    return os.environ.get(name) or None


def _up(options: argparse.Namespace) -> None:
    arguments = Arguments(options.model, options.revision, options.gpu, options.overlay)
    commands.up(arguments, build=not options.no_build, timeout_s=options.timeout)


if __name__ == "__main__":
    sys.exit(main())

"""Writes the zoo's documents into a directory, to look at them.

python -m tests.corpus.documents DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.corpus.documents.all import ANIMALS


def main() -> None:
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for each in ANIMALS.values():
        content = each.make()
        (directory / each.name).write_bytes(content)
        print(f"{len(content):>10,}  {each.name!r}: {each.why}")


if __name__ == "__main__":
    main()

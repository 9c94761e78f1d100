"""Writes the zoo's documents into a folder, to look at them.

python -m tests.corpus.documents FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.corpus.documents.all import ANIMALS


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for each in ANIMALS.values():
        content = each.make()
        (folder / each.name).write_bytes(content)
        print(f"{len(content):>10,}  {each.name!r}: {each.why}")


if __name__ == "__main__":
    main()

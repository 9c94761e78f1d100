"""Write the malformed-document corpus into a directory.

python -m tests.corpus.documents DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.corpus.documents.all import CORPUS


def main() -> None:
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for document in CORPUS.values():
        content = document.make()
        (directory / document.name).write_bytes(content)
        print(f"{len(content):>10,}  {document.name!r}: {document.defect}")


if __name__ == "__main__":
    main()

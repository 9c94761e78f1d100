"""The complete malformed-document corpus: importing the modules registers their documents."""

from __future__ import annotations

from tests.corpus.documents import images, other_files, pdf_contents, pdfs
from tests.corpus.documents.registry import CORPUS, MalformedDocument

__all__ = ["CORPUS", "MalformedDocument", "images", "other_files", "pdf_contents", "pdfs"]

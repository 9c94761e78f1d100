"""All documents of the zoo."""

from __future__ import annotations

from tests.corpus.documents import images, others, pdf_contents, pdfs
from tests.corpus.documents.animals import ANIMALS, Animal

__all__ = ["ANIMALS", "Animal", "images", "others", "pdf_contents", "pdfs"]

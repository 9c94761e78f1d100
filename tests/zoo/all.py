"""All documents of the zoo."""

from __future__ import annotations

from tests.zoo import images, others, pdf_contents, pdfs
from tests.zoo.animals import ANIMALS, Animal

__all__ = ["ANIMALS", "Animal", "images", "others", "pdf_contents", "pdfs"]

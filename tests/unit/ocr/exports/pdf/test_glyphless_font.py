"""The font of invisible text."""

from __future__ import annotations

import io

from PIL import ImageFont

from airflow_deepseek_ocr.ocr.exports.pdf.glyphless_font import glyph_of_all, glyphless_font


def test_it_is_a_font_whose_glyph_has_an_outline() -> None:
    font = ImageFont.truetype(io.BytesIO(glyphless_font()), 1000)
    assert font.getname() == ("GlyphLess", "Regular")
    # PDFium drops turned text whose glyphs are empty. Glyph 0 is drawn here, so the tables are looked at.
    assert b"glyf" in glyphless_font()[:200]
    assert len(glyphless_font()) == 616


def test_each_character_has_the_glyph_one() -> None:
    assert glyph_of_all() == bytes((0, 1)) * 65536

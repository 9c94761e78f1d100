"""A font with one glyph for all characters of invisible text."""

from __future__ import annotations

import base64
import zlib

#: Width of the glyph, and of all characters, in thousandths of the font's size.
GLYPH_WIDTH = 500
#: Top and bottom of the glyph, which is as high as a line.
ASCENT, DESCENT = 800, -200

#: A TrueType font of 616 bytes: the glyph 1 is a box of 500 x 1000 units. Invisible text is never painted,
#: but PDFium drops text without an outline when it is turned by 90 or 270 degrees.
_COMPRESSED = (
    b"c-oavu}Z^G6g@95RV!Als1&Ct9UMf#p>`0|#X1y(`T-hh+6+k>nig6o-5mV~aS&V_#KqCU&ropa2SjlY;>k;@;-GlK"
    b"eea%g?|bjuKmZuUF(i!Ly_MC?*R3KT7O5UoUDLxDw#m=Pm+DThCL7|7{GNQyw#>u)(FOZ)#VFVmQnO;2`7<MLyX~$B"
    b"m_eL!8FHFc6B)(tBJP@94?2d(N63wa=~|cec}V_9Uh|rMo4yEbC#oaz%4pr3tnE*%zd*`<RDHU=#@8MeMIa3(5*lLg"
    b"j5NY%uGmeWZu$<P6pe1;iiV$%BH&+0vE!fEApU4E2F^a;j;5aGD%7qcr*!2i3{?y!$i(v{Q}f(Rc0MbD2ibqm#T_~d"
    b"Nw+{c?pC)Alko*TO=Sv`Nv>fW3ni!L*=5W3D^|VZm@Smxpa%~&%CO+`t8lNQL)}Cxar_HD0D*f;jQ"
)


def glyphless_font() -> bytes:
    """Return the TrueType font."""
    return zlib.decompress(base64.b85decode(_COMPRESSED))


def glyph_of_all() -> bytes:
    """Return the map from characters (CID) to glyphs: each has the glyph 1."""
    return b"\0\1" * 65536

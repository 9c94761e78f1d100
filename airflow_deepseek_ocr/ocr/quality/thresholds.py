"""Every threshold of the quality checks."""

from __future__ import annotations

from dataclasses import dataclass

#: A reading is accepted from this score on, unless the user says otherwise.
DEFAULT_MIN_SCORE = 0.5


@dataclass(frozen=True)
class Thresholds:
    """From where on a figure raises its flag: all of the judge's numbers but for the weights.

    Where no source is given, the number was chosen on one half of the recorded set and measured on the
    other; ``docs/quality.md`` has the table.

    :param loop_words: words of a loop beyond its first round.
    :param loop_letters: their characters.
    :param loop_repeats: rounds of a loop.
    :param short_line_words: up to so many words to a line, a loop may be lines of a receipt ...
    :param short_line_repeats: ... and needs so many rounds.
    :param cell_words: up to so many words to a line, a loop may be a column of equal cells ...
    :param cell_repeats: ... and needs so many.
    :param counting_repeats: rounds of a loop in which only numbers change, outside of columns.
    :param stutter: characters of a piece without spaces that repeats a few letters.
    :param rows_repeated: equal rows at the end of the last table.
    :param same_lines: share of characters in lines of prose that stood there before.
    :param same_lines_least: at least so many such lines.
    :param stammer: share of the words of long lines that stood earlier in the same line.
    :param distinct: different words to each word with letters, below.
    :param distinct_words: for texts of at least so many words with letters.
    :param boxes_wrong: share of boxes outside or inverted.
    :param boxes_alike: share of boxes that are one and the same ...
    :param boxes_alike_least: ... among at least so many.
    :param crowded: characters to a vision token within a box: four times the cliff at 4 characters
        to a token.
    :param blank_strokes: a page with fewer strokes is blank; drawn text of 8 characters has 360.
    :param off_print: share of the letters and digits that stand in boxes with ...
    :param off_print_edges: ... fewer edges than this for each of them; print has 6 and more. Measured
        with drawn pages, see ``docs/quality.md``.
    :param blank_characters: letters so large that they have no strokes are at most so many; on a page
        without any edge there are none.
    :param inked_strokes: a page with so many strokes has text; drawn pictures had up to 612.
    :param strokes_per_character: more strokes to a character than the largest print has: text is
        missing.
    :param no_characters: share of characters that no page has.
    :param mixed_words: share of words of two alphabets.
    :param foreign_letters: share of letters in none of the page's scripts, where these are known.
    :param many_scripts: so many scripts on one page, the rare ones having ``rare_letters`` together.
    :param rare_letters: share of letters in scripts with less than a tenth of all letters each.
    :param ratio_knee: text to vision tokens, beyond which text is lost: 97 % precision up to 10
        (DeepSeek-OCR paper, arXiv:2510.18234, abstract and figure 1).
    :param ratio_cliff: the same: about 60 % at 20.
    :param agreement: words common to reading and text layer, as F1, below ...
    :param agreement_words: ... where the longer of them has so many.
    :param only_in_one: share of the words of layer or reading that the other lacks.
    """

    loop_words: int = 12
    loop_letters: int = 30
    loop_repeats: float = 4.0
    short_line_words: float = 8.0
    short_line_repeats: float = 12.0
    cell_words: float = 2.5
    cell_repeats: float = 40.0
    counting_repeats: float = 50.0
    stutter: int = 20
    rows_repeated: int = 10
    same_lines: float = 0.6
    same_lines_least: int = 10
    stammer: float = 0.4
    distinct: float = 0.03
    distinct_words: int = 300
    boxes_wrong: float = 0.02
    boxes_alike: float = 0.4
    boxes_alike_least: int = 4
    crowded: float = 320.0
    blank_strokes: int = 40
    off_print: float = 0.1
    off_print_edges: float = 2.0
    blank_characters: int = 30
    inked_strokes: int = 1000
    strokes_per_character: float = 1000.0
    no_characters: float = 0.005
    mixed_words: float = 0.03
    foreign_letters: float = 0.05
    many_scripts: int = 4
    rare_letters: float = 0.02
    ratio_knee: float = 10.0
    ratio_cliff: float = 20.0
    agreement: float = 0.5
    agreement_words: int = 5
    only_in_one: float = 0.25


THRESHOLDS = Thresholds()

"""Every threshold of the quality checks."""

from __future__ import annotations

from dataclasses import dataclass

#: Lowest accepted score unless the user sets another.
DEFAULT_MIN_SCORE = 0.5


@dataclass(frozen=True)
class Thresholds:
    """The values from which flags are raised: all numbers of the quality checks except the weights.

    Values without a source were chosen on one half of the recorded set and measured on the other half;
    ``docs/measurements/quality.md`` has the table. Shares are between 0 and 1.

    :param loop_words: words of a loop after its first repetition.
    :param loop_letters: characters of a loop after its first repetition.
    :param loop_repeats: repetitions from which a loop counts.
    :param short_line_words: lines with at most this many words may be receipt items, which repeat
        legitimately.
    :param short_line_repeats: repetitions from which such lines count as a loop.
    :param cell_words: lines with at most this many words may be a column of equal cells.
    :param cell_repeats: repetitions from which such lines count as a loop; for blocks of several such lines,
        repeated lines. Also repeated rows of blocks of rows at the end of a table.
    :param block_repeats: smallest number of repetitions of such a block.
    :param numbers_in_line: numbers of a line that count on. A printed line has up to 60.
    :param numbers_in_column: numbers that count on, one to a line. A page has up to 120 lines.
    :param numbers_in_blocks: lines without letters that repeat a block of 2 to 8 lines.
    :param one_digit: numbers of a text in which nearly all digits are the same one, 0 excepted.
    :param counting_repeats: repetitions of a loop in which only numbers change, outside of columns.
    :param stutter: characters of a piece without spaces that repeats a few letters.
    :param rows_repeated: equal rows at the end of the last table.
    :param same_lines: share of the characters in lines of prose that repeat an earlier line.
    :param same_lines_least: smallest number of such lines.
    :param stammer: share of the words of long lines that repeat earlier words of the same line.
    :param distinct: different words as a share of all words with letters; fewer raise the flag.
    :param distinct_words: smallest number of words with letters for ``distinct`` to count.
    :param boxes_wrong: share of boxes that are outside of the page or inverted.
    :param boxes_alike: share of boxes that are one and the same.
    :param boxes_alike_least: smallest number of equal boxes.
    :param crowded: characters to a vision token within a box: four times the cliff at 4 characters to a
        token.
    :param blank_text_edges: a page with fewer text edges is blank; generated text of 8 characters has 360.
    :param off_print: share of the letters and digits in boxes without text on the image.
    :param off_print_edges: edges to a letter below which a box has no text on the image; text has 6 and more.
        Measured with generated pages (``docs/measurements/quality.md``).
    :param blank_characters: most letters of a page whose letters are too large for text edges. A page without
        any edge has none.
    :param printed_text_edges: a page with as many text edges has text; generated pictures had up to 612.
    :param text_edges_per_character: more text edges to a character than the largest text has, so text is
        missing in the output.
    :param no_characters: share of characters that no page has.
    :param mixed_words: share of words of two alphabets.
    :param foreign_letters: share of letters in none of the page's scripts, where these are known.
    :param many_scripts: scripts on one page from which ``rare_letters`` counts.
    :param rare_letters: share of letters in scripts that have less than a tenth of all letters each.
    :param ratio_knee: text tokens to a vision token beyond which text is lost: 97 % precision up to 10
        (DeepSeek-OCR paper, arXiv:2510.18234, abstract and figure 1).
    :param ratio_cliff: text tokens to a vision token beyond which most text is lost: about 60 % precision at
        20 (the same source).
    :param agreement: words common to output and text layer, as F1; less raises the flag.
    :param agreement_words: smallest number of words of the longer text for the agreement to count.
    :param outputs_agree: words common to two outputs in different modes, as F1, from which they overrule a
        text layer.
    :param only_in_one: share of the words of layer or output that the other lacks.
    :param page_confidence: mean confidence of a page's words; less raises the flag.
    :param region_confidence: the same of a region.
    :param confidence_characters: characters of words from which the mean of a page or region counts.
    :param word_confidence: confidence of a word; a word with less is uncertain.
    :param number_confidence: the same of a word with digits, in which each digit counts.
    :param attempts_alike: words common to two outputs of a page in the same order, as a share of all, from
        which words that differ are marked. Outputs that have less in common are other texts.
    """

    loop_words: int = 12
    loop_letters: int = 30
    loop_repeats: float = 4.0
    short_line_words: float = 8.0
    short_line_repeats: float = 12.0
    cell_words: float = 2.5
    cell_repeats: float = 40.0
    block_repeats: float = 8.0
    numbers_in_line: int = 120
    numbers_in_column: int = 150
    numbers_in_blocks: int = 60
    one_digit: int = 150
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
    blank_text_edges: int = 40
    off_print: float = 0.1
    off_print_edges: float = 2.0
    blank_characters: int = 30
    printed_text_edges: int = 1000
    text_edges_per_character: float = 1000.0
    no_characters: float = 0.005
    mixed_words: float = 0.03
    foreign_letters: float = 0.05
    many_scripts: int = 4
    rare_letters: float = 0.02
    ratio_knee: float = 10.0
    ratio_cliff: float = 20.0
    agreement: float = 0.5
    agreement_words: int = 5
    outputs_agree: float = 0.7
    only_in_one: float = 0.25
    page_confidence: float = 0.7
    region_confidence: float = 0.4
    confidence_characters: int = 20
    word_confidence: float = 0.5
    number_confidence: float = 0.4
    attempts_alike: float = 0.5


THRESHOLDS = Thresholds()

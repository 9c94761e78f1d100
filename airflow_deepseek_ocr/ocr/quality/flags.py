"""Flags of model output, and their weights."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Flag(StrEnum):
    """A sign of degenerate output, or of output that may be degenerate."""

    #: the model reached the maximum output length
    NO_END_TOKEN = "no_end_token"  # noqa: S105 -- a token of text
    LOOP = "loop"  #: the same words or characters in a loop
    REPEATED_LINES = "repeated_lines"  #: most lines repeat earlier lines
    #: much of a long line repeats itself, or few different words make up a long text
    REPEATED_WORDS = "repeated_words"
    BOX_OUTSIDE = "box_outside"  #: boxes beyond 0..999
    BOX_INVERTED = "box_inverted"  #: boxes with swapped corners
    BOXES_ALIKE = "boxes_alike"  #: many regions in one place
    BOX_CROWDED = "box_crowded"  #: more text in a box than the image could show there
    TEXT_OFF_PRINT = "text_off_print"  #: text in boxes where the image has none
    TEXT_ON_BLANK = "text_on_blank"  #: text, but a blank image
    NO_TEXT = "no_text"  #: text on the image, but no text in the output
    DARK_PAGE = "dark_page"  #: a page image of one dark colour, and no text in the output
    RAGGED_TABLE = "ragged_table"  #: rows of different widths
    BROKEN_TABLE = "broken_table"  #: table tags without their partners
    OPEN_MARKUP = "open_markup"  #: references, boxes or formulas that are not closed
    STRAY_MARKUP = "stray_markup"  #: references where the prompt asks for none
    NO_CHARACTERS = "no_characters"  #: characters that no page has
    MIXED_SCRIPTS = (
        "mixed_scripts"  #: words of two alphabets, or scripts that the page does not have
    )
    RATIO_KNEE = "ratio_knee"  #: more text than the vision tokens hold without loss
    RATIO_CLIFF = "ratio_cliff"  #: much more text than the vision tokens can hold
    LAYER_DISAGREES = "layer_disagrees"  #: the page's text layer has another text
    ONLY_IN_LAYER = "only_in_layer"  #: the output lacks much of the text layer
    ONLY_IN_OUTPUT = "only_in_output"  #: the text layer lacks much of the output
    #: the text layer has another text, but outputs in several modes agree with each other
    LAYER_OVERRULED = "layer_overruled"
    #: the text is that of the text layer, and model output without other faults disagrees with it
    LAYER_UNCONFIRMED = "layer_unconfirmed"
    LOW_CONFIDENCE = "low_confidence"  #: the model was not sure of the page's words
    #: the model was not sure of the words of a region, though of the page's
    LOW_CONFIDENCE_REGION = "low_confidence_region"
    UNCERTAIN_NUMBERS = "uncertain_numbers"  #: the model was not sure of a number, amount or date
    DYNAMIC_FORM = "dynamic_form"  #: the page is the placeholder of a dynamic XFA form
    #: files are attached to the page or document whose text is missed
    UNREAD_ATTACHMENTS = "unread_attachments"


#: Weight of each flag. The score is the product of (1 - weight) over all flags, so a single flag with a
#: weight above 0.5 rejects the output, and lighter flags reject it only in combination.
WEIGHTS: Mapping[Flag, float] = {
    Flag.NO_END_TOKEN: 0.6,
    Flag.LOOP: 0.7,
    Flag.REPEATED_LINES: 0.6,
    Flag.REPEATED_WORDS: 0.6,
    Flag.BOX_OUTSIDE: 0.6,
    Flag.BOX_INVERTED: 0.6,
    Flag.BOXES_ALIKE: 0.6,
    Flag.BOX_CROWDED: 0.6,
    Flag.TEXT_OFF_PRINT: 0.6,
    Flag.TEXT_ON_BLANK: 0.7,
    Flag.NO_TEXT: 0.7,
    Flag.DARK_PAGE: 0.4,
    Flag.RAGGED_TABLE: 0.55,
    Flag.BROKEN_TABLE: 0.55,
    Flag.OPEN_MARKUP: 0.6,
    Flag.STRAY_MARKUP: 0.6,
    Flag.NO_CHARACTERS: 0.55,
    Flag.MIXED_SCRIPTS: 0.55,
    Flag.RATIO_KNEE: 0.1,
    Flag.RATIO_CLIFF: 0.55,
    Flag.LAYER_DISAGREES: 0.6,
    Flag.ONLY_IN_LAYER: 0.2,
    Flag.ONLY_IN_OUTPUT: 0.1,
    Flag.LAYER_OVERRULED: 0.1,
    Flag.LAYER_UNCONFIRMED: 0.2,
    Flag.LOW_CONFIDENCE: 0.6,
    Flag.LOW_CONFIDENCE_REGION: 0.1,
    Flag.UNCERTAIN_NUMBERS: 0.1,
    Flag.DYNAMIC_FORM: 0.4,
    Flag.UNREAD_ATTACHMENTS: 0.1,
}

#: The flags of a difference between output and text layer.
LAYER_FLAGS = frozenset({Flag.LAYER_DISAGREES, Flag.ONLY_IN_LAYER, Flag.ONLY_IN_OUTPUT})
#: The flags of a doubt about a part of the page. They do not reject the output, and another attempt may be
#: surer.
LIGHT_CONFIDENCE_FLAGS = frozenset({Flag.LOW_CONFIDENCE_REGION, Flag.UNCERTAIN_NUMBERS})
#: The flags of the model's own doubt.
CONFIDENCE_FLAGS = LIGHT_CONFIDENCE_FLAGS | {Flag.LOW_CONFIDENCE}

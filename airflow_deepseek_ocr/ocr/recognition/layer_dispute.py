"""Model output against a text layer that has another text.

Either can be wrong: models invent fluent text, and text layers lie. Outputs in two resolution modes,
which see different images, overrule the layer if they agree with each other. Two outputs in one mode are no
evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from airflow_deepseek_ocr.ocr.quality.text_layer_checks import measure_agreement
from airflow_deepseek_ocr.ocr.quality.thresholds import THRESHOLDS
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate


def overrule_layer(candidates: Sequence[Candidate], modes: Sequence[str]) -> list[Candidate]:
    """Return the candidates; those that overrule the text layer are checked without it.

    :param candidates: the outcomes of all attempts so far.
    :param modes: modes in which attempts can be made. With one mode, outputs of that mode count.
    """
    disputed = [each for each in candidates if each.rejected_by_layer_alone]
    overruling: set[int] = set()
    for one, other in combinations(disputed, 2):
        if one.resolution == other.resolution and len(modes) > 1:
            continue
        agreement = measure_agreement(one.markdown, other.markdown)
        if agreement.unordered >= THRESHOLDS.outputs_agree:
            overruling |= {id(one), id(other)}
    return [each.overruling_layer() if id(each) in overruling else each for each in candidates]


def mode_of_second_opinion(candidates: Sequence[Candidate], modes: Sequence[str]) -> str | None:
    """Return the mode of an attempt that can confirm outputs of one mode; None if none is due.

    It comes before the text layer replaces these outputs.

    :param candidates: the outcomes of all attempts so far.
    :param modes: modes in which attempts can be made, cheapest first.
    """
    disputed = {each.resolution for each in candidates if each.rejected_by_layer_alone}
    tried = {each.resolution for each in candidates}
    if len(disputed) != 1:
        return None
    (mode,) = disputed
    first = modes.index(mode) + 1 if mode in modes else 0
    better, cheaper = modes[first:], modes[:first][::-1]
    return next((each for each in (*better, *cheaper) if each not in tried), None)

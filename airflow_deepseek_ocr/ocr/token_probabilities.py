"""Probabilities of the tokens that a model generated, as an engine returns them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TokenProbabilities:
    """The generated tokens of a page with their natural log-probabilities.

    Probabilities are the model's own, over the whole vocabulary: before the no-repeat-n-gram constraint
    removes tokens, and without a temperature.

    :param pieces: the UTF-8 bytes of each token, in order, without the end token. A token may hold a part
        of a character; all pieces together are the page's text with its markup.
    :param log_probabilities: of each token, 0 or less.
    :param runner_up: log-probability of the most probable other token, for each token; None if the engine
        does not return it.
    :param runner_up_pieces: the UTF-8 bytes of that other token, for each token; None if the engine does not
        return them.
    :raises ValueError: the lengths differ.
    """

    pieces: tuple[bytes, ...]
    log_probabilities: tuple[float, ...]
    runner_up: tuple[float, ...] | None = None
    runner_up_pieces: tuple[bytes, ...] | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.pieces), len(self.log_probabilities)}
        lengths |= {
            len(others) for others in (self.runner_up, self.runner_up_pieces) if others is not None
        }
        if len(lengths) > 1:
            raise ValueError(
                f"Each token needs one probability; the lengths are {sorted(lengths)}."
            )

    @property
    def text(self) -> str:
        """The text of all tokens; incomplete characters become U+FFFD."""
        return b"".join(self.pieces).decode("utf-8", errors="replace")

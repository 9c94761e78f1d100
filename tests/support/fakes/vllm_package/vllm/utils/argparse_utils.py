from __future__ import annotations

from argparse import ArgumentParser, Namespace


class FlexibleArgumentParser(ArgumentParser):
    def parse_args(self, args: list[str]) -> Namespace:  # type: ignore[override]
        """Accept names with underscores, too, as this method of vLLM's parser alone does."""
        return super().parse_args(
            [each.replace("_", "-") if each.startswith("--") else each for each in args]
        )

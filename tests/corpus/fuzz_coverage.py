"""The texts and invariants of :mod:`tests.corpus.fuzz`, steered by the code that each text reaches (atheris).

    python -m tests.corpus.fuzz_coverage CORPUS [libFuzzer's options]

Hypothesis turns the fuzzer's bytes into texts. Texts that reach new code are kept in the directory
CORPUS. At the first broken invariant, the traceback is printed and the bytes are written to a file, which
can be given instead of CORPUS.
"""

from __future__ import annotations

import sys
from typing import Any

import atheris

with atheris.instrument_imports(include=["airflow_deepseek_ocr.ocr"]):
    from tests.corpus.fuzz import check, outputs

from hypothesis import HealthCheck, given, settings


@given(outputs())
@settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
def one(output: dict[str, Any]) -> None:
    check(output)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one.hypothesis.fuzz_one_input)
    atheris.Fuzz()

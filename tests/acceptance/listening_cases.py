"""Run the cases of public bug reports that a JSON file lists: a line a case.

    python -m tests.acceptance.listening_cases FILE.json [ID …]

Exit code 0 if every case is right, 1 if one differs, 3 if one is of a kind that is not known yet. A kind is a function in KINDS that
returns the differences of a case.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.file_cases import find_file_differences

Case = Mapping[str, Any]
KINDS: dict[str, Callable[[Case, Path], list[str]]] = {"file": find_file_differences}
_DIFFERS, _UNKNOWN = 1, 3


def run_cases(cases: list[Case], wanted: set[str]) -> int:
    """Print a line for each of the wanted cases (all if none is named); the exit code."""
    codes = {0}
    for case in cases:
        if wanted and case["id"] not in wanted:
            continue
        if case["kind"] not in KINDS:
            codes.add(_UNKNOWN)
            print(f"{case['id']}: kind {case['kind']} is not known yet")
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = KINDS[case["kind"]](case, Path(folder))
        codes.add(_DIFFERS if found else 0)
        print(f"{case['id']}: {'; '.join(found) or 'right'}", flush=True)
    return _DIFFERS if _DIFFERS in codes else max(codes)


if __name__ == "__main__":
    sys.exit(run_cases(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), set(sys.argv[2:])))

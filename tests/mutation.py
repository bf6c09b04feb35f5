"""Would the tests notice? Mutates a seeded sample of places in each package and runs the package's own unit tests on every mutant.

    python -m tests.mutation [PACKAGE …] [--sample N] [--seed S] [--json]

cosmic-ray makes the mutants, in copies of the tree, so that the checkout is never changed. A place is sampled first and then one of its
mutants, since a product has ten of them and a `not` one. Left out are mutants that cannot change behaviour: `|` (mostly in annotations),
`==` made `is`, a dataclass that is not frozen, a zip of equal lengths that is not strict. A mutant on which the tests do not end in time
counts as killed; a survivor that docs/testing.md lists, with the reason why no test should notice it, does not count. Exit code 1 if a
package stays below the goal.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import chdir
from multiprocessing import get_context
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.modules import find_modules
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec

ROOT = Path(__file__).parents[1]
PACKAGES = ("contract", "sink", "lake", "broker", "importing", "warehouse")
GOAL = 0.9
UNSEEN_ARGUMENTS = ("frozen=", "strict=")
LISTED = re.compile(r"^\| `(?P<module>[^`]+)` \| `(?P<line>[^`]+)` \| ", re.MULTILINE)
"""A row of the table of survivors in docs/testing.md: module and line of source."""
LEFT_OUT = ("BitOr", "_Is", "_IsNot", "VariableReplacer", "VariableInserter")


def list_mutants(package: str) -> list[MutationSpec]:
    """Every mutant of a package that is not left out, in the order of its place; run in the root of a tree."""
    with tempfile.TemporaryDirectory() as folder, use_db(Path(folder) / "session.sqlite", WorkDB.Mode.create) as db:
        init(sorted(find_modules([Path("src/soundlake") / package])), db, {})
        mutants = [item.mutations[0] for item in db.work_items]
    mutants = [mutant for mutant in mutants if not any(name in mutant.operator_name for name in LEFT_OUT) and not is_unseen(mutant)]
    return sorted(mutants, key=lambda mutant: (str(mutant.module_path), mutant.start_pos, mutant.operator_name, mutant.occurrence))


def is_unseen(mutant: MutationSpec) -> bool:
    """Whether the place is the value of an argument that changes nothing."""
    row, column = mutant.start_pos
    return mutant.module_path.read_text(encoding="utf-8").splitlines()[row - 1][:column].endswith(UNSEEN_ARGUMENTS)


def sample(mutants: Sequence[MutationSpec], count: int, seed: int) -> list[MutationSpec]:
    """`count` mutants of as many places, the same for the same seed and source."""
    places: dict[tuple[str, tuple[int, int]], list[MutationSpec]] = defaultdict(list)
    for mutant in mutants:
        places[str(mutant.module_path), mutant.start_pos].append(mutant)
    chosen = random.Random(seed)
    return [chosen.choice(places[place]) for place in chosen.sample(sorted(places), min(count, len(places)))]


def read_listed() -> set[tuple[str, str]]:
    """The survivors that docs/testing.md lists, as module and line."""
    text = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    return {(found["module"], found["line"].replace(r"\|", "|")) for found in LISTED.finditer(text)}


def find_line(mutant: MutationSpec) -> tuple[str, str]:
    """The module, from its package on, and the line of source that the mutant changes."""
    line = (ROOT / mutant.module_path).read_text(encoding="utf-8").splitlines()[mutant.start_pos[0] - 1].partition("  #")[0].strip()
    return mutant.module_path.relative_to(Path("src/soundlake")).as_posix(), line


def copy_tree(folder: Path) -> Path:
    """The working tree as it is now, without what git ignores."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(lambda name: (ROOT / name).is_file(), names.splitlines()):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return folder


def try_mutant(job: tuple[MutationSpec, str, float]) -> tuple[bool, str]:
    """Whether the tests noticed, and the change as a diff; each worker process stays in a copy of its own."""
    mutant, command, timeout = job
    result = mutate_and_test([mutant], command, timeout)
    return result.is_killed, result.diff or result.output or ""


def enter_copy(folder: str) -> None:
    """Begin a worker process: a copy of the tree for it alone."""
    own = copy_tree(Path(tempfile.mkdtemp(dir=folder)))
    os.chdir(own)
    os.environ["PYTHONPATH"] = str(own / "src")


def run_package(package: str, count: int, seed: int, folder: str) -> dict[str, object]:
    """Try a sample of the mutants of one package; the tests must pass without a mutant first."""
    own = copy_tree(Path(tempfile.mkdtemp(dir=folder)))
    with chdir(own):
        chosen = sample(list_mutants(package), count, seed)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", f"tests/unit/{package}"]
        began = time.monotonic()
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(own / "src")}, stdout=subprocess.DEVNULL)
        timeout = 20 + 5 * (time.monotonic() - began)
    survivors, listed, accepted = [], read_listed(), 0
    with get_context("spawn").Pool(2, enter_copy, (folder,)) as pool:
        jobs = [(mutant, shlex.join(command), timeout) for mutant in chosen]
        for number, (mutant, (is_killed, diff)) in enumerate(zip(chosen, pool.imap(try_mutant, jobs), strict=True), 1):
            place = f"{mutant.module_path}:{mutant.start_pos[0]}"
            result = "killed" if is_killed else "listed" if find_line(mutant) in listed else "SURVIVED"
            sys.stderr.write(f"{package} {number}/{len(chosen)} {result} {place}\n")
            accepted += result == "listed"
            if result == "SURVIVED":
                survivors.append({"place": place, "operator": mutant.operator_name, "diff": diff})
    counted = len(chosen) - accepted
    return {"package": package, "mutants": counted, "listed": accepted, "killed": counted - len(survivors), "survivors": survivors}


def show(report: dict[str, object]) -> Iterator[str]:
    """A package's figures and survivors, as lines."""
    yield f"{report['package']}: {report['killed']} of {report['mutants']} mutants killed, and {report['listed']} listed"
    for survivor in report["survivors"]:  # type: ignore[attr-defined]
        yield f"--- {survivor['place']} {survivor['operator']}\n{survivor['diff']}"


def main() -> int:
    """Run the packages asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("packages", nargs="*", default=PACKAGES, metavar="PACKAGE")
    parser.add_argument("--sample", type=int, default=50, help="mutants of a package")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reports = [run_package(package, options.sample, options.seed, folder) for package in options.packages]
    lines = [json.dumps(reports)] if options.json else [line for report in reports for line in show(report)]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(any(int(str(report["killed"])) < GOAL * int(str(report["mutants"])) for report in reports))


if __name__ == "__main__":
    sys.exit(main())

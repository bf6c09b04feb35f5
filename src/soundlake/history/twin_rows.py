"""Separate rows of one file that look like one play, so that silver does not merge them.

Silver merges rows of different downloads that end at the same moment with the same length and title. In one download they are different
plays (a service counted a start twice, or a person skipped within a second), and each has its own event_id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence


def number_twins(refs: Sequence[str], looks: Iterable[Hashable], keys: Iterable[str]) -> list[str]:
    """The source_refs of the rows of one file; the second, third … of twins end with `#2`, `#3` ….

    Twins have the same ref and look (what silver compares) and different natural keys. Their order is that of the keys, whatever the order
    in the file; rows with one key have one number.
    """
    numbered = list(refs)
    groups: dict[tuple[str, Hashable], dict[str, list[int]]] = defaultdict(dict)
    for row, (ref, look, key) in enumerate(zip(refs, looks, keys, strict=True)):
        groups[ref, look].setdefault(key, []).append(row)
    for twins in groups.values():
        for number, key in enumerate(sorted(twins), start=1):
            for row in twins[key] if number > 1 else ():
                numbered[row] = f"{refs[row]}#{number}"
    return numbered


def number_repeats(facts: Iterable[Hashable], starts: Iterable[int]) -> list[tuple[int, ...]]:
    """What the natural key of each row of one file has besides its facts: nothing, or 2, 3 … where rows differ in their start only.

    A song heard twice offline has two rows with the end of the session. Their order is that of the starts by the device (seconds), so each
    download numbers them alike; the first has the id that it has without the other.
    """
    rows = list(zip(facts, starts, strict=True))
    known: dict[Hashable, set[int]] = defaultdict(set)
    for fact, start in rows:
        known[fact].add(start)
    numbers = {
        (fact, start): (number,)
        for fact, distinct in known.items()
        if len(distinct) > 1
        for number, start in enumerate(sorted(distinct)[1:], start=2)
    }
    return [numbers.get(row, ()) for row in rows]

"""How fast records become columns on one core, beside the strongest plain way without any guarantee; prints one JSON line.

    python bench/decode.py [--events 100000] [--pairs 5]

Three cases: clean events of about 350 bytes; one in a thousand malformed, of six kinds; a field that we do not know in every event.
The plain way joins the clean values by line breaks and has pyarrow.json or polars parse them, moments left as text, nothing checked.
Both run in pairs A B A B; rates are events per second of processor time. What was timed is then compared with what was sent.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import time
from collections.abc import Callable

os.environ["POLARS_MAX_THREADS"] = "1"

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.json as pj

from plays import make_plays
from soundlake.contract import EVENT_SCHEMA, Decoded, decode_records, encode_events
from soundlake.contract.topics import PLAYS

NOW_MS, SPREAD_MS = 1_795_000_000_000, 10**9
THRESHOLDS = {"clean": 300_000, "malformed": 200_000, "unknown": 150_000}


def break_some(values: list[bytes]) -> list[bytes]:
    """One record in a thousand made undecodable, six kinds in turn."""
    kinds: list[Callable[[bytes], bytes]] = [
        lambda value: value[:-40],
        lambda _: b"this is no JSON",
        lambda value: value.replace(b'"user_id":"', b'"user_id":"\xff'),
        lambda value: value.replace(b'"duration_ms":', b'"duration_ms":"long","was":'),
        lambda value: value.replace(b'"event_id":', b'"event_no":'),
        lambda value: value.replace(b'"country":', b'"country" '),
    ]
    broken = list(values)
    for turn, place in enumerate(range(500, len(values), 1_000)):
        broken[place] = kinds[turn % len(kinds)](values[place])
    return broken


def time_once(work: Callable[[], object], count: int) -> tuple[float, object]:
    """Events per second of processor time, and what the work gave."""
    started = time.process_time()
    result = work()
    return count / (time.process_time() - started), result


def parse_plainly(values: list[bytes], names: list[str]) -> dict[str, Callable[[], object]]:
    """The two plain ways over clean values."""
    wire = pa.schema(
        [(name, pa.string() if pa.types.is_timestamp(EVENT_SCHEMA.field(name).type) else EVENT_SCHEMA.field(name).type) for name in names]
    )

    def by_pyarrow() -> object:
        text = b"\n".join(values)
        return pj.read_json(
            io.BytesIO(text),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pj.ParseOptions(explicit_schema=wire),
        )

    return {"pyarrow": by_pyarrow, "polars": lambda: pl.read_ndjson(io.BytesIO(b"\n".join(values)))}


def is_right(case: str, decoded: Decoded, sent: pa.Table, values: list[bytes], clean: list[bytes]) -> bool:
    """Whether the timed output is what was sent, row for row."""
    good = np.array([case != "malformed" or value is kept for value, kept in zip(values, clean, strict=True)])
    extra = {"clean": [None] * len(sent), "malformed": [None] * int(good.sum()), "unknown": [f'{{"new":{n}}}' for n in range(len(sent))]}[
        case
    ]
    return (
        decoded.event_rows.tolist() == np.flatnonzero(good).tolist()
        and decoded.rejected["row"].to_pylist() == np.flatnonzero(~good).tolist()
        and decoded.events.select(sent.column_names).equals(sent.filter(pa.array(good)).combine_chunks())
        and decoded.events["extra"].to_pylist() == extra
    )


def main() -> None:
    """Run the pairs and print one JSON line."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--pairs", type=int, default=5)
    chosen = options.parse_args()
    pa.set_cpu_count(1)
    sent = make_plays(chosen.events, NOW_MS, SPREAD_MS)
    clean = encode_events(sent)
    unknown = [value[:-1] + f',"new":{number}}}'.encode() for number, value in enumerate(clean)]
    cases = {"clean": clean, "malformed": break_some(clean), "unknown": unknown}
    plain = parse_plainly(clean, sent.column_names)
    times = pa.array([NOW_MS] * len(clean), pa.int64())
    report: dict[str, object] = {"events": len(clean), "bytes_an_event": round(sum(map(len, clean)) / len(clean))}
    for case, values in cases.items():
        arrays = pa.array(values, pa.binary())
        rates, ratios, right = [], [], True
        for _ in range(chosen.pairs):
            beside = max(time_once(work, len(clean))[0] for work in plain.values())
            rate, decoded = time_once(lambda arrays=arrays: decode_records(PLAYS, arrays, times), len(clean))
            right &= is_right(case, decoded, sent, values, clean)
            rates.append(rate)
            ratios.append(rate / beside)
        report[case] = {
            "events_a_second": round(statistics.median(rates)),
            "range": [round(min(rates)), round(max(rates))],
            "of_the_strongest_plain_way": round(statistics.median(ratios), 2),
            "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
            "correct": right,
            "threshold": THRESHOLDS[case],
            "holds": statistics.median(rates) >= THRESHOLDS[case],
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()

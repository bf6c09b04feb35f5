"""The speed of decoding on one core, compared with the fastest plain parser without any checks; prints one JSON line.

    python bench/decode.py [--events 100000] [--pairs 5]

Three cases: clean events of about 350 bytes; one malformed record in a thousand, of six kinds; an unknown field in every event.
The plain parser (pyarrow.json or polars, whichever is faster) reads the clean values joined by line breaks, with timestamps left as text.
Both run in pairs A B A B; rates are events per second of processor time. The timed output is then compared with the input.
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
    """Break one record in a thousand, in six ways in turn."""
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
    """Return events per second of processor time, and the result of the work."""
    started = time.process_time()
    result = work()
    return count / (time.process_time() - started), result


def make_plain_parsers(values: list[bytes], names: list[str]) -> dict[str, Callable[[], object]]:
    """Make the two plain parsers of the clean values."""
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


def is_correct(case: str, decoded: Decoded, sent: pa.Table, values: list[bytes], clean: list[bytes]) -> bool:
    """Return whether the timed output equals the input, row by row."""
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
    plain = make_plain_parsers(clean, sent.column_names)
    times = pa.array([NOW_MS] * len(clean), pa.int64())
    report: dict[str, object] = {"events": len(clean), "bytes_an_event": round(sum(map(len, clean)) / len(clean))}
    for case, values in cases.items():
        arrays = pa.array(values, pa.binary())
        rates, ratios, correct = [], [], True
        for _ in range(chosen.pairs):
            plain_rate = max(time_once(work, len(clean))[0] for work in plain.values())
            rate, decoded = time_once(lambda arrays=arrays: decode_records(PLAYS, arrays, times), len(clean))
            correct &= is_correct(case, decoded, sent, values, clean)
            rates.append(rate)
            ratios.append(rate / plain_rate)
        report[case] = {
            "events_a_second": round(statistics.median(rates)),
            "range": [round(min(rates)), round(max(rates))],
            "of_the_fastest_plain_parser": round(statistics.median(ratios), 2),
            "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
            "correct": correct,
            "threshold": THRESHOLDS[case],
            "holds": statistics.median(rates) >= THRESHOLDS[case],
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()

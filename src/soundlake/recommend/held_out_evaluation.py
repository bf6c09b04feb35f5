"""Score recommendations against held-out pairs of listener and track."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from soundlake.errors import UsageError

DEPTH = 10

_SCORES = """
with held_out as (
    select distinct cast(#1 as varchar) as user_id, cast(#2 as varchar) as track_id from {reader}
),

asked as (
    select user_id, count(*) as held_out, list_sum([1 / log2(place + 1) for place in range(1, 1 + least(count(*), $depth))]) as ideal_gain
    from held_out
    group by user_id
),

found as (
    select user_id, count(*) as hits, sum(1 / log2(rank + 1)) as gain
    from gold.user_recommendations
    inner join held_out using (user_id, track_id)
    where rank <= $depth
    group by user_id
),

served as (
    select distinct user_id from gold.user_recommendations
)

select
    count(*), count(served.user_id), avg(coalesce(gain, 0) / ideal_gain), avg(coalesce(hits, 0) / held_out),
    avg(case when hits > 0 then 1 else 0 end)
from asked
left join found using (user_id)
left join served using (user_id)
"""


@dataclass(frozen=True)
class Evaluation:
    """Means over the listeners of the held-out file. A listener without recommendations counts as zero."""

    listeners: int
    listeners_with_recommendations: int
    ndcg: float
    recall: float
    hit_rate: float


def evaluate_recommendations(snapshot: duckdb.DuckDBPyConnection, held_out: Path) -> Evaluation:
    """NDCG, recall and hit rate of each listener's first ten, with binary relevance; the ideal list has min(10, held out) tracks.

    `held_out` is a Parquet or CSV file whose first two columns are the listener and the track. NDCG as in Järvelin and Kekäläinen,
    "Cumulated gain-based evaluation of IR techniques", ACM TOIS 2002. Raises UsageError if the file cannot be read or has no row.
    """
    reader = "read_parquet($file)" if held_out.suffix == ".parquet" else "read_csv($file, all_varchar = true)"
    try:
        row = snapshot.execute(_SCORES.format(reader=reader), {"file": str(held_out), "depth": DEPTH}).fetchone()
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.BinderException) as cause:
        raise UsageError(
            f"{held_out}: {cause}", next_step="give a Parquet or CSV file whose first two columns are user_id, track_id"
        ) from cause
    if row is None or row[0] == 0:
        raise UsageError(
            f"{held_out}: it has no pair of listener and track", next_step="give the pairs that were held out of the listening history"
        )
    return Evaluation(*row)

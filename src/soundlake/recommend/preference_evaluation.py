"""Score recommendations against the true preferences of generated listeners, which the generator wrote to files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from soundlake.errors import UsageError
from soundlake.recommend.held_out_evaluation import DEPTH

POPULARITY, SQL_MODEL = "popularity", "sql"

_PREPARE = """
create temp table known as
select distinct user_id, track_id
from read_parquet($events)
where event_type = 'play' and (ms_played >= 30000 or (duration_ms < 30000 and ms_played >= duration_ms));

create temp table wanted as
with newest as (
    select user_id, track_id, preference
    from read_parquet($preferences, filename = true)
    qualify filename = max(filename) over (partition by user_id)
)
select
    newest.*,
    row_number() over (partition by user_id order by preference desc, track_id) as place
from newest
anti join known using (user_id, track_id)
where user_id in (select user_id from known);

create temp table ideal as
select user_id, sum(preference / log2(place + 1)) as gain
from wanted
where place <= $depth
group by user_id;
"""

_POPULARITY = """
with popular as (
    select track_id, row_number() over (order by unique_listeners desc, track_id) as place
    from gold.track_popularity
),

known_counts as (
    select user_id, count(*) as tracks
    from known
    where user_id in (select user_id from ideal)
    group by user_id
),

unheard as (
    select user_id, track_id, row_number() over (partition by user_id order by place) as rank
    from known_counts
    inner join popular on popular.place <= known_counts.tracks + $depth
    anti join known using (user_id, track_id)
)

select user_id, track_id, rank from unheard where rank <= $depth
"""

_SCORES = """
with found as (
    select user_id, sum(preference / log2(rank + 1)) as gain
    from ({recommended})
    inner join wanted using (user_id, track_id)
    where rank <= $depth
    group by user_id
),

served as (
    select distinct user_id from ({recommended})
)

select count(*), count(served.user_id), avg(coalesce(found.gain, 0) / ideal.gain)
from ideal
left join found using (user_id)
left join served using (user_id)
"""


@dataclass(frozen=True)
class PreferenceScore:
    """Mean over the listeners whose preference is known. A listener without recommendations counts as zero."""

    listeners: int
    listeners_with_recommendations: int
    ndcg: float


def evaluate_preference(snapshot: duckdb.DuckDBPyConnection, truth: Path, others: Sequence[Path] = ()) -> dict[str, PreferenceScore]:
    """NDCG of each model's first ten against true preference, by model: popularity, the published SQL model, and each file of `others`.

    `truth` is a folder that `soundlake generate --truth` wrote. The gain of a track is the listener's true preference for it, and the ideal
    list has their ten best tracks. Tracks they have listened to are left out. Each of `others` is a Parquet or CSV file with the columns
    user_id, track_id, rank; its name without the suffix is the name of the model.
    Raises UsageError if the folder lacks the preferences or the events, or a file cannot be read.
    """
    events, preferences = ([str(path) for path in sorted(truth.glob(f"{kind}-*.parquet"))] for kind in ("events", "preferences"))
    if not events or not preferences:
        raise UsageError(
            f"--truth {truth}: no {'events' if not events else 'preferences'}-*.parquet in it",
            next_step="give the folder that `soundlake generate --truth` wrote",
        )
    parameters = {"events": events, "preferences": preferences, "depth": DEPTH}
    for statement in _PREPARE.split(";\n"):
        if statement.strip():
            snapshot.execute(statement, {name: value for name, value in parameters.items() if f"${name}" in statement})
    models = {POPULARITY: _POPULARITY, SQL_MODEL: "select user_id, track_id, rank from gold.user_recommendations"}
    models |= {path.stem: _read_model(path) for path in others}
    return {name: _score(snapshot, name, recommended) for name, recommended in models.items()}


def _read_model(path: Path) -> str:
    """The query that reads the recommendations of a model from its file."""
    reader = "read_parquet" if path.suffix == ".parquet" else "read_csv"
    address = str(path).replace("'", "''")
    return f"select cast(user_id as varchar) as user_id, cast(track_id as varchar) as track_id, rank from {reader}('{address}')"  # noqa: S608  # quoted above


def _score(snapshot: duckdb.DuckDBPyConnection, name: str, recommended: str) -> PreferenceScore:
    try:
        row = snapshot.execute(_SCORES.format(recommended=recommended), {"depth": DEPTH}).fetchone()
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.BinderException) as cause:
        raise UsageError(f"{name}: {cause}", next_step="give Parquet or CSV files with user_id, track_id, rank") from cause
    if row is None or row[0] == 0:
        raise UsageError(
            "--truth: no listener with a preference has listened to anything",
            next_step="give the truth folder of the events in the warehouse",
        )
    return PreferenceScore(*row)

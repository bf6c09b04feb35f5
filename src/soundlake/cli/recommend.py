"""`soundlake recommend evaluate`: how good the published recommendations are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundlake.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    import duckdb


def run_recommend_evaluate(
    held_out: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Held-out pairs, Parquet or CSV; the first two columns: listener, track.")
    ] = None,
    *,
    truth: Annotated[
        Path | None, typer.Option(help="The folder that `generate --truth` wrote, to score on true preferences instead.")
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option(help="With --truth: another model's Parquet or CSV file of user_id, track_id, rank (repeatable).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON object.")] = False,
) -> None:
    """Score the published recommendations of ten tracks.

    FILE: NDCG, recall and hit rate on listening that was held out of the history. --truth: NDCG on the true preferences of synthetic
    listeners, of the published table, of popularity, and of the models given by --also.
    """
    from soundlake.errors import UsageError
    from soundlake.settings import load_settings
    from soundlake.warehouse.snapshot import open_snapshot

    if (held_out is None) == (truth is None) or (also and truth is None):
        raise UsageError("recommend evaluate takes either FILE or --truth, and --also only with --truth", next_step="give one of the two")
    folder = load_settings().warehouse_address.path
    assert folder is not None
    with open_snapshot(folder) as snapshot:
        scores = _score(snapshot.connection, held_out, truth, also or [])
    if as_json:
        print_json(scores)
    else:
        for title, rows in scores.items() if truth is not None else {"Recommendations": scores}.items():
            print_table(title, {name: round(value, 4) for name, value in rows.items()})


def _score(connection: duckdb.DuckDBPyConnection, held_out: Path | None, truth: Path | None, also: list[Path]) -> dict[str, Any]:
    from soundlake.recommend import evaluate_preference, evaluate_recommendations

    if held_out is not None:
        return asdict(evaluate_recommendations(connection, held_out))
    assert truth is not None
    return {name: asdict(score) for name, score in evaluate_preference(connection, truth, also).items()}

"""`soundlake recommend evaluate`: how good the published recommendations are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from soundlake.cli.terminal import print_json, print_table


def run_recommend_evaluate(
    held_out: Annotated[
        Path, typer.Argument(metavar="FILE", help="Held-out pairs, Parquet or CSV; the first two columns: listener, track.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON object.")] = False,
) -> None:
    """Score the published recommendations against listening that was kept out of the history: NDCG, recall and hit rate of ten."""
    from soundlake.recommend import evaluate_recommendations
    from soundlake.settings import load_settings
    from soundlake.warehouse.snapshot import open_snapshot

    folder = load_settings().warehouse_address.path
    assert folder is not None
    with open_snapshot(folder) as snapshot:
        scores = asdict(evaluate_recommendations(snapshot.connection, held_out))
    if as_json:
        print_json(scores)
    else:
        print_table("Recommendations", {name: round(value, 4) for name, value in scores.items()})

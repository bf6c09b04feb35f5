"""`soundlake feed`: what the full stack listens to while no person's account is connected."""

from __future__ import annotations

from typing import Annotated

import typer


def run_feed(
    *,
    listeners: Annotated[int | None, typer.Option("--listeners", help="Synthetic listeners; kept from the first start on.")] = None,
    days: Annotated[int | None, typer.Option("--days", help="Days of their history, ending yesterday.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed is another world.")] = None,
) -> None:
    """Tell a made-up world into the event log: its history once, then live events, until stopped; a new start goes on."""
    from soundlake import wiring
    from soundlake.cli.stop_signals import leave_on_signal
    from soundlake.cli.terminal import show_progress
    from soundlake.logs import report
    from soundlake.operations.generator_state import GeneratorOptions
    from soundlake.settings import load_settings
    from soundlake.telemetry import open_telemetry

    options = GeneratorOptions(listeners=listeners, days=days, seed=seed)
    settings = load_settings()
    with (
        leave_on_signal(),
        open_telemetry(settings, "generator") as telemetry,
        wiring.open_feed(settings, options, telemetry) as feed,
    ):
        metrics = telemetry and telemetry.watch_feed()
        with show_progress() as reporter:
            feed.publish_history(reporter)
        feed.flow(report, lambda: metrics.record_progress(feed.state.live_until) if metrics else None)

"""`soundlake feed`: the event generator of the full stack."""

from __future__ import annotations

from typing import Annotated

import typer


def run_feed(
    *,
    listeners: Annotated[int | None, typer.Option("--listeners", help="Synthetic listeners; fixed at the first start.")] = None,
    days: Annotated[int | None, typer.Option("--days", help="Days of their history, ending yesterday.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the synthetic data.")] = None,
) -> None:
    """Publish synthetic events: the history once, then live events until stopped. The next start resumes."""
    from soundlake import wiring
    from soundlake.cli.stop_signals import leave_on_signal
    from soundlake.cli.terminal import show_progress
    from soundlake.logs import report
    from soundlake.operations.generator.state import GeneratorOptions
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
        feed.publish_live(report, lambda: metrics.record_progress(feed.state.live_until) if metrics else None)

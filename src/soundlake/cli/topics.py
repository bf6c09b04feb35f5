"""`soundlake topics`: create and check the topics of the event log."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundlake.broker.kafka import TopicCheck
    from soundlake.settings import Settings


def run_topics_create(
    partitions: Annotated[int | None, typer.Option(min=1, max=1024, help="Of each new topic; default: SOUNDLAKE_TOPIC_PARTITIONS.")] = None,
    retention: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long Kafka keeps records: 36h, 7d, forever; default: SOUNDLAKE_TOPIC_RETENTION_HOURS."),
    ] = None,
    replication: Annotated[int, typer.Option(min=-1, help="Copies of each record; -1 is the cluster's default.")] = -1,
    repair: Annotated[bool, typer.Option("--repair", help="Also correct the settings of existing topics.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Create the missing topics, and print where existing topics have other settings than requested (exit code 1)."""
    from soundlake.cli.terminal import print_json, print_table
    from soundlake.settings import load_settings

    requested = {"partitions": partitions, "retention_hours": None if retention is None else _parse_hours(retention)}
    settings = load_settings(topics={name: value for name, value in requested.items() if value is not None})
    checks = _ensure(settings, replication=replication, repair=repair)
    if as_json:
        print_json({"topics": [asdict(check) for check in checks]})
    else:
        print_table("Topics", {check.topic: _describe(check) for check in checks})
    if any(check.differences for check in checks):
        raise typer.Exit(1)


def compare_with_plan(settings: Settings) -> tuple[str, ...]:
    """Differences between the topics of a Kafka cluster and the settings, a line each. Raises SoundlakeError if they cannot be read."""
    from contextlib import closing

    from soundlake.operations.stack import compare_topics
    from soundlake.wiring import open_kafka

    if settings.broker_address.scheme != "kafka":
        return ()
    with closing(open_kafka(settings)) as broker:
        from soundlake.broker.kafka import TopicPlan

        return compare_topics(broker, TopicPlan(settings.topics.partitions, settings.topics.retention_ms))


def _ensure(settings: Settings, *, replication: int, repair: bool) -> list[TopicCheck]:
    from soundlake.contract import TOPICS
    from soundlake.contract.topics import DLQ
    from soundlake.errors import UsageError
    from soundlake.wiring import open_kafka

    if settings.broker_address.scheme != "kafka":
        raise UsageError(
            f"{settings.broker_address.url} is the embedded log, which creates its topics on first use",
            next_step="set SOUNDLAKE_BROKER=kafka://host:port to create topics in Kafka",
        )
    from soundlake.broker.kafka import TopicPlan

    broker = open_kafka(settings)
    try:
        plan = TopicPlan(settings.topics.partitions, settings.topics.retention_ms, replication)
        return broker.ensure_topics([*TOPICS, DLQ], plan, repair=repair)
    finally:
        broker.close()


def _describe(check: TopicCheck) -> str:
    state = "created" if check.created else "exists"
    parts = [f"{check.partitions} partitions, {state}"]
    parts += [f"{name} is {found}, expected {wanted}" for name, (found, wanted) in check.differences.items()]
    return "; ".join(parts)


def _parse_hours(text: str) -> int:
    """Whole hours, at least one; `forever` is a thousand years."""
    from soundlake.cli.durations import parse_duration

    return 24 * 365 * 1000 if text == "forever" else max(1, round(parse_duration(text) / 3600))

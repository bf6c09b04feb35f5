"""`soundlake topics`: the topics of the event log, made and looked after."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundlake.broker.kafka import TopicCheck
    from soundlake.settings import Settings


def run_topics_create(
    partitions: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Of each topic that is made; default: SOUNDLAKE_TOPIC_PARTITIONS.")
    ] = None,
    retention: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long Kafka keeps records: 36h, 7d, forever; default: SOUNDLAKE_TOPIC_RETENTION_HOURS."),
    ] = None,
    replication: Annotated[int, typer.Option(min=-1, help="Copies of each record; -1 is the cluster's default.")] = -1,
    repair: Annotated[bool, typer.Option("--repair", help="Also set the settings that differ, of topics that were there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make the topics that are missing, and say where those that are there differ from what is asked for (exit code 1)."""
    from soundlake.cli.terminal import print_json, print_table
    from soundlake.settings import load_settings

    asked = {"partitions": partitions, "retention_hours": None if retention is None else _parse_hours(retention)}
    settings = load_settings(topics={name: value for name, value in asked.items() if value is not None})
    checks = _ensure(settings, replication=replication, repair=repair)
    if as_json:
        print_json({"topics": [asdict(check) for check in checks]})
    else:
        print_table("Topics", {check.topic: _tell(check) for check in checks})
    if any(check.differences for check in checks):
        raise typer.Exit(1)


def compare_with_plan(settings: Settings) -> tuple[str, ...]:
    """Where the topics of a Kafka cluster differ from what the settings ask for, a line each. Raises SoundlakeError if it is not told."""
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
            f"{settings.broker_address.url} is the embedded log: it makes its topics by itself",
            next_step="set SOUNDLAKE_BROKER=kafka://host:port to make topics there",
        )
    from soundlake.broker.kafka import TopicPlan

    broker = open_kafka(settings)
    try:
        plan = TopicPlan(settings.topics.partitions, settings.topics.retention_ms, replication)
        return broker.ensure_topics([*TOPICS, DLQ], plan, repair=repair)
    finally:
        broker.close()


def _tell(check: TopicCheck) -> str:
    state = "made" if check.created else "was there"
    parts = [f"{check.partitions} partitions, {state}"]
    parts += [f"{name} is {found}, asked for {wanted}" for name, (found, wanted) in check.differences.items()]
    return "; ".join(parts)


def _parse_hours(text: str) -> int:
    """Whole hours, at least one; `forever` is a thousand years."""
    from soundlake.cli.durations import parse_duration

    return 24 * 365 * 1000 if text == "forever" else max(1, round(parse_duration(text) / 3600))

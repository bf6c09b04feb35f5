"""Topics of a cluster that were there before us: held against what the contract takes for granted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from soundlake.contract import TOPICS
from soundlake.contract.topics import DLQ
from soundlake.errors import TopicMissing

if TYPE_CHECKING:
    from soundlake.broker.kafka import KafkaBroker, TopicCheck, TopicPlan
    from soundlake.contract import Topic
    from soundlake.operations.stack.plan import Stack

_WHY = {
    "message.timestamp.type": "records are judged by the clock of the broker; by that of a producer a replay may judge otherwise",
    "cleanup.policy": "a compacted topic has holes, at which reading ends",
}


def compare_topics(broker: KafkaBroker, plan: TopicPlan) -> tuple[str, ...]:
    """Where the topics that are there differ from what is asked for, a line each; makes none. Raises SoundlakeError if it is not told.

    The number of partitions does not count: what is there can stay.
    """
    there = [topic for topic in (*TOPICS, DLQ) if _is_there(broker, topic)]
    checks = broker.ensure_topics(there, plan) if there else []
    return tuple(line for check in checks for line in _describe(check))


def name_repair(stack: Stack) -> str:
    """The command that sets what differs; the address of a local log stands in the file of the stack's home."""
    where = f"SOUNDLAKE_HOME='{stack.home}' " if "SOUNDLAKE_BROKER" in stack.local_settings else ""
    return f"{where}soundlake topics create --repair"


def _is_there(broker: KafkaBroker, topic: Topic) -> bool:
    try:
        broker.log_id(topic.name)
    except TopicMissing:
        return False
    return True


def _describe(check: TopicCheck) -> Sequence[str]:
    return [
        f"{check.topic}: {name} is {found}, asked for {wanted}" + (f" ({_WHY[name]})" if name in _WHY else "")
        for name, (found, wanted) in check.differences.items()
        if name != "partitions"
    ]

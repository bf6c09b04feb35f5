"""Compare the topics of a cluster with the settings that the contract relies on."""

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
    "message.timestamp.type": "records are validated by the broker's time; with a producer's time a replay may decide differently",
    "cleanup.policy": "a compacted topic has gaps in its offsets, at which the sink stops",
}


def compare_topics(broker: KafkaBroker, plan: TopicPlan) -> tuple[str, ...]:
    """Differences between the existing topics and the plan, a line each; creates nothing. Raises SoundlakeError if they cannot be read.

    A different number of partitions is not reported: it is harmless.
    """
    existing = [topic for topic in (*TOPICS, DLQ) if _exists(broker, topic)]
    checks = broker.ensure_topics(existing, plan) if existing else []
    return tuple(line for check in checks for line in _describe(check))


def name_repair(stack: Stack) -> str:
    """The command that corrects the topics; the address of a local broker comes from the settings file of the stack's home."""
    where = f"SOUNDLAKE_HOME='{stack.home}' " if "SOUNDLAKE_BROKER" in stack.local_settings else ""
    return f"{where}soundlake topics create --repair"


def _exists(broker: KafkaBroker, topic: Topic) -> bool:
    try:
        broker.log_id(topic.name)
    except TopicMissing:
        return False
    return True


def _describe(check: TopicCheck) -> Sequence[str]:
    return [
        f"{check.topic}: {name} is {found}, expected {wanted}" + (f" ({_WHY[name]})" if name in _WHY else "")
        for name, (found, wanted) in check.differences.items()
        if name != "partitions"
    ]

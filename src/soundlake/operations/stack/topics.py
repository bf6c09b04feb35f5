"""Compare the topics of a cluster with the settings that the contract relies on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from soundlake.contract import TOPICS
from soundlake.contract.topics import DLQ
from soundlake.errors import Permanent, TopicMissing

if TYPE_CHECKING:
    from soundlake.broker.kafka import KafkaBroker, TopicCheck, TopicPlan
    from soundlake.contract import Topic
    from soundlake.operations.stack.plan import Stack

log = logging.getLogger(__name__)

_CLOCK = "message.timestamp.type"
_WHY = {
    _CLOCK: "records are validated by the broker's time; with a producer's time a replay may decide differently",
    "cleanup.policy": "compaction deletes records that the sink may not have read, so it does not read such a topic",
}


def compare_topics(broker: KafkaBroker, plan: TopicPlan) -> tuple[str, ...]:
    """Differences between the existing topics and the plan, a line each; creates nothing. Raises SoundlakeError if they cannot be read.

    A different number of partitions is not reported: it is harmless.
    """
    existing = [topic for topic in (*TOPICS, DLQ) if _exists(broker, topic)]
    checks = broker.ensure_topics(existing, plan) if existing else []
    return tuple(line for check in checks for line in _describe(check))


def warn_of_producer_clocks(broker: KafkaBroker, plan: TopicPlan, servers: str) -> None:
    """Log a warning for each topic whose records carry their producer's time, with the setting and the command that changes it.

    `servers` is the address of the cluster for that command. A cluster that does not allow reading its settings is logged and accepted.
    Raises Retryable while it does not answer.
    """
    try:
        checks = broker.ensure_topics([topic for topic in TOPICS if _exists(broker, topic)], plan)
    except Permanent as error:
        log.info("the topics' %s could not be read: %s", _CLOCK, error.message)
        return
    for check in checks:
        if _CLOCK in check.differences:
            found, wanted = check.differences[_CLOCK]
            log.warning(
                "%s: %s is %s, expected %s: an event whose record carries a time more than a day before it is rejected as "
                "played_at_out_of_range; run `kafka-configs.sh --bootstrap-server %s --alter --topic %s --add-config %s=%s`, or "
                "`soundlake topics create --repair`, which also sets retention and record size",
                check.topic, _CLOCK, found, wanted, servers, check.topic, _CLOCK, wanted,
            )  # fmt: skip


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

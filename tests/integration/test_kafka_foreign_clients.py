"""The Java client and franz-go as producers: every codec, idempotent or not, in transactions, with headers, without keys or values.

Public reports: confluentinc/librdkafka issue 3020 (records of aborted transactions delivered), twmb/franz-go issue 729 (an aborted
transaction that was not), apache/pinot PR 19161 (markers taken for a loss), grepplabs/kafka-proxy issue 221 (clients older than Kafka 4).
"""

from __future__ import annotations

import pytest
from tests.integration.foreign_clients import make_groups
from tests.integration.kafka_cases import open_lake, read_ids, stored_ids, wait_until

from soundlake.contract.topics import PLAYS
from soundlake.reconciliation.log_vs_bronze import check_log, count_waiting
from soundlake.sink import Sink, SinkLimits


@pytest.fixture(params=["java", "franz-go"])
def client(request):
    return request.getfixturevalue({"java": "java_client", "franz-go": "go_client"}[request.param])


def test_whatever_they_send_is_stored_rejected_or_known_to_hold_no_record(client, access, broker, tmp_path, request):
    groups, lake = make_groups(request.node.name), open_lake(tmp_path)
    client.publish(access.servers, PLAYS.name, groups)
    wait_until(lambda: not broker.count_held_back(PLAYS.name))
    report = Sink(broker, lake, SinkLimits(), topics=[PLAYS]).run(until_drained=True, retry_seconds=20)
    visible = [sent for group in groups if group.mode != "abort" for sent in group.records]
    valid = [sent.value for sent in visible if sent.value is not None]
    assert sorted(stored_ids(lake)) == sorted(read_ids(valid))
    assert (report.events, report.rejected) == (len(valid), len(visible) - len(valid))
    assert set(lake.read("rejected", ["reason"])["reason"].to_pylist()) == {"null_value"}
    checks = {check.name: check for check in check_log(broker, lake)}
    assert all(check.ok for check in checks.values()), checks
    parts = checks["user_plays: log = bronze + rejected"].parts
    aborted = sum(len(group.records) for group in groups if group.mode == "abort")
    transactions = sum(group.mode in ("commit", "abort") for group in groups)
    assert parts["offsets without a record"] >= aborted + transactions  # and a marker in each partition of a transaction
    assert sum(parts.values()) == sum(held.end for held in broker.offsets(PLAYS.name).values())
    assert count_waiting(broker, lake) == 0

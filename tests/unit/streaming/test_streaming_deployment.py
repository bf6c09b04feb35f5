"""What the settings mean for Spark, what is left behind and removed; all without a session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from soundlake.settings import Settings
from soundlake.streaming.deployment import (
    SUBMITTED,
    find_limits,
    find_locations,
    make_kafka_options,
    make_store_properties,
    plan_cluster,
    to_delta_uri,
)
from soundlake.streaming.enrichment import list_zones
from soundlake.streaming.session import make_scratch


def make_settings(tmp_path: Path, **values: object) -> Settings:
    return Settings(home=tmp_path, broker="kafka://127.0.0.1:9092", **values)


def test_a_local_deployment_reads_kafka_and_writes_below_its_lake(tmp_path):
    locations = find_locations(make_settings(tmp_path), {})
    assert locations.kafka == {"kafka.bootstrap.servers": "127.0.0.1:9092", "kafka.security.protocol": "PLAINTEXT"}
    assert locations.table("plays") == f"file://{tmp_path}/lake/processed/plays"
    assert locations.checkpoint("live") == f"file://{tmp_path}/stream/checkpoints/live"


def test_confluent_cloud_is_asked_with_key_and_secret_whatever_letters_they_have(tmp_path):
    settings = make_settings(
        tmp_path, kafka={"security_protocol": "SASL_SSL", "username": "key", "password": SecretStr('a"b\\c'), "ca_file": "/ca.pem"}
    )
    options = make_kafka_options(settings.kafka_access)
    assert options["kafka.sasl.jaas.config"] == (
        'org.apache.kafka.common.security.plain.PlainLoginModule required username="key" password="a\\"b\\\\c";'
    )
    assert (options["kafka.ssl.truststore.type"], options["kafka.ssl.truststore.location"]) == ("PEM", "/ca.pem")


def test_a_bucket_is_named_as_hadoop_names_it(tmp_path):
    settings = make_settings(tmp_path, lake="s3://spotify-data-lake/")
    assert find_locations(settings, {}).table("skips") == "s3a://spotify-data-lake/processed/skips"
    beside = make_settings(tmp_path, stream={"checkpoints": "s3://spotify-data-lake/checkpoints"})
    assert find_locations(beside, {}).checkpoint("live") == "s3a://spotify-data-lake/checkpoints/live"
    assert make_store_properties("/lake", {}) == {}


@pytest.mark.parametrize(
    ("uri", "expected"),
    [("file:///my lake/a%20b", "/my lake/a%20b"), ("s3a://lake/s3a://", "s3://lake/s3a://"), ("gs://lake", "gs://lake")],
)
def test_a_table_of_spark_has_a_name_for_delta_rs(uri, expected):
    assert to_delta_uri(uri) == expected


def test_delta_rs_reaches_the_processed_tables_with_the_keys_of_the_lake_and_shows_none(tmp_path):
    locations = find_locations(
        make_settings(tmp_path, lake="s3://lake", s3={"AWS_SECRET_ACCESS_KEY": "hush", "AWS_ACCESS_KEY_ID": "me"}), {}
    )
    assert locations.storage_options["AWS_SECRET_ACCESS_KEY"] == "hush"
    assert "hush" not in repr(locations)


@pytest.mark.parametrize(("endpoint", "is_secure", "is_by_path"), [("http://127.0.0.1:8333", "false", "true"), ("", "true", "false")])
def test_a_store_of_ones_own_is_asked_by_path_and_amazon_by_name(endpoint, is_secure, is_by_path):
    properties = make_store_properties("s3://lake", {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": endpoint})
    assert properties["spark.hadoop.fs.s3a.connection.ssl.enabled"] == is_secure
    assert properties["spark.hadoop.fs.s3a.path.style.access"] == is_by_path
    assert ("spark.hadoop.fs.s3a.endpoint" in properties) == bool(endpoint)
    assert properties["spark.hadoop.fs.s3a.input.stream.type"] == "classic"


def test_hadoop_gets_the_endpoint_without_the_bucket(tmp_path):
    options = {"AWS_ENDPOINT_URL": "https://store.example:9000", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true", "AWS_SESSION_TOKEN": "passing"}
    cluster = plan_cluster(make_settings(tmp_path, lake="s3://lake", s3=options), tmp_path, tmp_path, ["processed"])
    assert cluster.properties["spark.hadoop.fs.s3a.endpoint"] == "https://store.example:9000"
    assert cluster.properties["spark.hadoop.fs.s3a.path.style.access"] == "false"
    assert cluster.keys["fs.s3a.session.token"] == "passing"


def test_the_keys_of_a_bucket_are_not_on_javas_command_line(tmp_path):
    settings = make_settings(tmp_path, lake="s3://lake", s3={"access_key": "AKEY", "secret_key": "hush"})
    cluster = plan_cluster(settings, tmp_path, tmp_path, ["processed"])
    assert cluster.keys == {"fs.s3a.access.key": "AKEY", "fs.s3a.secret.key": "hush"}
    assert not {"AKEY", "hush"} & set(cluster.properties.values())
    assert "hush" not in repr(cluster)


def test_a_query_in_real_time_mode_gets_a_slot_for_each_partition(tmp_path):
    settings = make_settings(tmp_path, topics={"partitions": 4})
    assert plan_cluster(settings, tmp_path, tmp_path, ["processed", "live"]).master == "local[2]"
    assert plan_cluster(settings, tmp_path, tmp_path, ["processed", "now_playing"]).master == "local[6]"


def test_a_submitted_job_leaves_master_and_tasks_to_whoever_submitted_it(tmp_path):
    settings = make_settings(tmp_path, stream={"master": SUBMITTED})
    assert plan_cluster(settings, tmp_path, tmp_path, ["processed"]).master == ""
    assert find_limits(settings).tasks == 0


def test_what_a_killed_process_left_behind_is_removed_and_what_runs_is_left_alone(tmp_path):
    over = subprocess.Popen([sys.executable, "-c", ""])
    over.wait()
    for name in (str(over.pid), str(os.getppid()), "notes"):
        (tmp_path / name / "blockmgr").mkdir(parents=True)
    with make_scratch(tmp_path) as scratch:
        assert {path.name for path in tmp_path.iterdir()} == {str(os.getppid()), "notes", scratch.name}
        assert scratch.name == str(os.getpid())
    assert not scratch.exists()


def test_a_country_with_one_time_is_certain_and_one_with_several_is_not():
    zones = list_zones()
    assert zones["DE"] == ("Europe/Berlin", True)
    assert zones["US"] == ("America/New_York", False)
    assert len(zones) > 200

"""Settings: addresses become typed values, and what makes no sense is named."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from soundlake.errors import SettingsError
from soundlake.settings import apply_variables, load_settings, parse_address


def test_everything_lives_under_home_by_default(make_settings, tmp_path):
    settings = make_settings()
    assert settings.broker_address.path == tmp_path / "broker.db"
    assert settings.lake_address.path == tmp_path / "lake"
    assert settings.warehouse_address.path == tmp_path / "warehouse"
    assert settings.storage_options == {}


def test_a_bucket_with_an_endpoint_gives_what_delta_needs(make_settings):
    settings = make_settings(
        SOUNDLAKE_LAKE="s3://spotify-data-lake",
        AWS_ENDPOINT_URL="http://127.0.0.1:9000",
        AWS_ACCESS_KEY_ID="me",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_ALLOW_HTTP="true",
    )
    assert settings.lake_address.host == "spotify-data-lake"
    assert settings.storage_options["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9000"
    assert settings.storage_options["AWS_ALLOW_HTTP"] == "true"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://store.example:9000", "https://bucket.store.example:9000"),
        ("https://bucket.store.example", "https://bucket.store.example"),
        ("", None),
    ],
    ids=["endpoint", "bucket already there", "none"],
)
def test_virtual_hosted_requests_have_the_bucket_in_the_host(make_settings, endpoint, expected):
    settings = make_settings(SOUNDLAKE_LAKE="s3://bucket/prefix", AWS_ENDPOINT_URL=endpoint, AWS_VIRTUAL_HOSTED_STYLE_REQUEST="true")
    assert settings.storage_options.get("AWS_ENDPOINT_URL") == expected
    assert settings.storage_options["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] == "true"


def test_keys_for_a_session_come_with_their_token(make_settings):
    settings = make_settings(SOUNDLAKE_LAKE="s3://bucket", AWS_SESSION_TOKEN="a-token")
    assert settings.storage_options["AWS_SESSION_TOKEN"] == "a-token"
    assert "a-token" in settings.secrets


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
def test_secrets_do_not_show_when_settings_are_printed(make_settings, name):
    settings = make_settings(SOUNDLAKE_LAKE="s3://bucket", **{name: "do-not-show-me"})
    assert "do-not-show-me" not in repr(settings)


@pytest.mark.parametrize(
    ("setting", "url", "said"),
    [
        pytest.param("broker", "amqp://127.0.0.1", "sqlite://", id="an unknown scheme"),
        pytest.param("lake", "file://relative/path", "absolute", id="a relative path"),
        pytest.param("lake", "s3://", "bucket", id="no bucket"),
        pytest.param("broker", "kafka://127.0.0.1:port", "port", id="a port that is no number"),
    ],
)
def test_an_address_that_makes_no_sense_names_the_setting_and_the_correction(setting, url, said):
    schemes = {"broker": ("sqlite", "kafka"), "lake": ("file", "s3")}[setting]
    with pytest.raises(SettingsError) as caught:
        parse_address(setting, url, schemes)
    assert f"SOUNDLAKE_{setting.upper()}" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("setting", ["broker", "cache", "lake"])
@pytest.mark.parametrize(
    "url",
    [
        ":s3cretpw@host:6379",
        "user:s3cretpw@host:6379",
        "s3cretpw@host",
        "s3cretpw",
        "amqp://user:s3cretpw@host",
        "amqp://s3cretpw@host/0",
        "amqp:user:s3cretpw@host",
        "user:s3cretpw@kafka://host:9092",
        "kafka://user:s3cretpw@host:9092",
        "kafka://user:12/s3cretpw@host:9092",
        "kafka://host:9092,user:s3cretpw@other:9092",
        "redis://host:s3cretpw",
        "redis://:s3cretpw@host:port",
        "redis://:s3cretpw@",
        "redis://:s3cretpw@[::1",
        "redis://:s3cretpw℀@host",
        "redi://host?password=s3cretpw",
        "s3://user:s3cretpw@bucket",
        "gs://s3cretpw@bucket",
        "file://user:s3cretpw@host/path",
    ],
)
def test_a_password_in_an_invalid_address_is_not_repeated(setting, url):
    schemes = {"broker": ("sqlite", "kafka"), "cache": ("memory", "redis"), "lake": ("file", "s3", "gs")}[setting]
    with pytest.raises(SettingsError) as caught:
        parse_address(setting, url, schemes)
    assert f"SOUNDLAKE_{setting.upper()}" in str(caught.value)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_an_invalid_address_without_a_password_is_shown():
    with pytest.raises(SettingsError, match=r"SOUNDLAKE_BROKER=amqp://\*\*\*@host:5672/vhost: not"):
        parse_address("broker", "amqp://me:do-not-show-me@host:5672/vhost", ("sqlite",))
    with pytest.raises(SettingsError, match="SOUNDLAKE_LAKE=file://relative/path: a local"):
        parse_address("lake", "file://relative/path", ("file",))


def test_a_prefix_of_a_bucket_and_a_cache_may_hold_an_at_sign():
    assert parse_address("lake", "s3://bucket/team@home", ("s3",)).host == "bucket"
    assert parse_address("cache", "redis://:secret@host:6379/0", ("redis",)).host == "host"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOUNDLAKE_SINK_MAX_EVENTS", "0"),
        ("SOUNDLAKE_LOG_JSON", "perhaps"),
        ("AWS_ALLOW_HTTP", "perhaps"),
        ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "perhaps"),
    ],
)
def test_a_value_that_makes_no_sense_names_its_variable(make_settings, name, value):
    with pytest.raises(SettingsError, match=f"^{name}: "):
        make_settings(**{name: value})


def test_a_child_process_gets_the_same_home(make_settings, tmp_path):
    settings = make_settings().change(home=tmp_path / "other")
    assert Path(settings.child_environment["SOUNDLAKE_HOME"]) == tmp_path / "other"


def test_each_group_reads_its_own_variables(make_settings):
    settings = make_settings(SOUNDLAKE_SINK_MAX_EVENTS="7", SOUNDLAKE_TOPIC_RETENTION_HOURS="2", SOUNDLAKE_DUCKDB_MEMORY="1GB")
    assert (settings.sink.max_events, settings.topics.retention_ms, settings.transform.duckdb_memory) == (7, 7_200_000, "1GB")


def test_a_file_of_the_home_is_read_into_the_groups_below_the_environment(tmp_path, monkeypatch):
    (tmp_path / "settings.env").write_text("SOUNDLAKE_REDIS_PORT=7001\nSOUNDLAKE_KAFKA_PORT=7002\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("SOUNDLAKE_KAFKA_PORT", "7003")
    found = load_settings(home=tmp_path).servers
    assert (found.redis_port, found.kafka_port) == (7001, 7003)


def test_a_value_given_by_name_overrides_one_field_of_its_group(make_settings, monkeypatch):
    make_settings(SOUNDLAKE_TOPIC_RETENTION_HOURS="2")
    topics = load_settings(_env_file=None, topics={"partitions": 3}).topics
    assert (topics.partitions, topics.retention_hours) == (3, 2)


def test_a_name_that_no_field_has_is_an_error(make_settings):
    with pytest.raises(TypeError, match="topic_partitions"):
        load_settings(_env_file=None, topic_partitions=3)
    with pytest.raises(TypeError, match=r"partition$"):
        load_settings(_env_file=None, topics={"partition": 3})


def test_variables_are_applied_to_settings_that_were_loaded(make_settings):
    changed = apply_variables(
        make_settings(), {"AWS_ALLOW_HTTP": "true", "SOUNDLAKE_LAKE": "s3://bucket", "AWS_SECRET_ACCESS_KEY": "do-not-show", "X": "1"}
    )
    assert changed.storage_options["AWS_ALLOW_HTTP"] == "true"
    assert changed.storage_options["AWS_SECRET_ACCESS_KEY"] == "do-not-show"
    assert "do-not-show" not in repr(changed)

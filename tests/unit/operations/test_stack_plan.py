"""The plan of the full stack: local servers where no address is set, and settings that lead to them."""

from __future__ import annotations

import pytest

from soundlake.errors import SettingsError, UsageError
from soundlake.operations.demo.live import list_services
from soundlake.operations.stack import place_stack, plan_stack
from soundlake.settings import HOME_SETTINGS, Settings, load_settings

NO_ENV_FILE = {"_env_file": None}


@pytest.fixture
def make_settings(tmp_path):
    def make(**chosen: object) -> Settings:
        return Settings(**NO_ENV_FILE, **{"home": tmp_path, "broker": "", "lake": "", "cache": "", **chosen})

    return make


def names(things) -> list[str]:
    return [thing.name for thing in things]


def test_without_addresses_every_server_is_local_and_services_connect_to_it(make_settings):
    stack = plan_stack(make_settings(servers={"kafka_port": 19092}), ())
    assert names(stack.servers) == ["kafka", "object-store", "redis"]
    assert stack.settings.broker == "kafka://127.0.0.1:19092"
    assert stack.settings.lake_address.scheme == "s3"
    assert stack.settings.storage_options["AWS_ALLOW_HTTP"] == "true"
    assert stack.settings.cache_address.scheme == "redis"


@pytest.mark.parametrize(
    ("chosen", "server", "setting"),
    [
        ({"broker": "kafka://pkc-1.eu.confluent.cloud:9092"}, "kafka", "SOUNDLAKE_BROKER"),
        ({"lake": "s3://my-own-bucket"}, "object-store", "SOUNDLAKE_LAKE"),
        ({"cache": "rediss://:secret@redis.example.com:6380/0"}, "redis", "SOUNDLAKE_CACHE"),
    ],
    ids=["Confluent Cloud", "S3", "Redis Cloud"],
)
def test_the_address_of_a_real_service_replaces_the_local_server(make_settings, chosen, server, setting):
    stack = plan_stack(make_settings(**chosen), ())
    assert server not in names(stack.servers)
    assert setting not in stack.local_settings


def test_a_lake_in_google_cloud_storage_is_an_error_for_services_that_cannot_read_it(make_settings):
    settings = make_settings(lake="gs://my-own-bucket")
    with pytest.raises(SettingsError, match=r"stream and transform cannot read .*\n→ .*--without stream --without transform'"):
        plan_stack(settings, ())
    with pytest.raises(SettingsError, match=r"transform cannot read .*\n→ leave them out: make up ARGS='--without transform'"):
        plan_stack(settings, (), ["stream"])
    stack = plan_stack(settings, (), ["stream", "transform"])
    assert "object-store" not in names(stack.servers)
    assert "AWS_ACCESS_KEY_ID" not in stack.local_settings


def test_the_stack_has_a_home_below_home_and_placing_it_is_idempotent(make_settings, tmp_path):
    placed = place_stack(make_settings())
    assert placed.home == tmp_path / "stack"
    assert place_stack(placed).home == placed.home


def test_settings_of_local_servers_reach_services_by_a_file_and_not_by_the_environment(make_settings, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-another-store")
    stack = plan_stack(make_settings(), ())
    assert not stack.local_settings.keys() & stack.environment.keys()
    (stack.home / HOME_SETTINGS).write_text("".join(f"{name}={value}\n" for name, value in stack.local_settings.items()))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    found = load_settings(home=stack.home)
    assert (found.broker, found.lake, found.storage_options) == (stack.settings.broker, stack.settings.lake, stack.settings.storage_options)
    assert found.cache_address == stack.settings.cache_address


def test_the_environment_overrides_the_file_of_a_home(tmp_path, monkeypatch):
    (tmp_path / HOME_SETTINGS).write_text("SOUNDLAKE_REDIS_PORT=7001\nSOUNDLAKE_DASHBOARD_PORT=7002\n")
    monkeypatch.setenv("SOUNDLAKE_REDIS_PORT", "7003")
    found = load_settings(home=tmp_path)
    assert (found.servers.redis_port, found.servers.dashboard_port) == (7003, 7002)
    assert load_settings(with_home=False, home=tmp_path).servers.dashboard_port == 8501


def test_a_service_can_be_left_out_and_a_misspelt_name_is_an_error(make_settings):
    assert "generator" not in names(plan_stack(make_settings(), (), ["generator"]).services)
    with pytest.raises(UsageError, match=r"--without genrator: no such service\n→ the services are sink, "):
        plan_stack(make_settings(), (), ["genrator"])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"broker": "localhost:9092"}, "SOUNDLAKE_BROKER: not an address"),
        ({"lake": "bucket"}, "SOUNDLAKE_LAKE: not an address"),
        ({"cache": "localhost:6379"}, "SOUNDLAKE_CACHE: not an address"),
    ],
    ids=["broker", "lake", "cache"],
)
def test_an_invalid_address_is_an_error_of_the_plan(make_settings, chosen, message):
    with pytest.raises(SettingsError, match=message):
        plan_stack(make_settings(**chosen), ())


def test_compaction_and_retention_run_as_a_service_beside_each_sink(make_settings):
    settings = make_settings()
    for services in (plan_stack(settings, ()).services, list_services(settings)):
        commands = {service.name: service.command for service in services}
        assert commands["upkeep"][-3:] == ("compact", "--every", "10m")
        assert commands["sink"][-3:] == ("sink", "--compact-every", "0")


@pytest.mark.parametrize(
    ("client_id", "expected"),
    [("", ["fake-spotify", "spotify-backfill", "spotify-poll"]), ("0123456789abcdef" * 2, ["spotify-backfill", "spotify-poll"])],
    ids=["no app: the fake", "an app"],
)
def test_spotify_is_collected_from_on_demand_and_from_a_fake_without_an_app(make_settings, client_id, expected):
    settings = make_settings(spotify={"client_id": client_id})
    plain, stack = plan_stack(settings, ()), plan_stack(settings, (), has_spotify=True)
    assert names(stack.services)[len(plain.services) :] == expected
    assert ("fake-spotify" in names(stack.port_uses)) == (not client_id)
    assert {"spotify-backfill", "spotify-poll"} <= stack.metrics_ports.keys()
    assert "spotify-poll" not in plain.metrics_ports
    assert names(plan_stack(settings, (), expected, has_spotify=True).services) == names(plain.services)

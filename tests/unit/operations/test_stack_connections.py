"""Where clients connect to a deployment: addresses without credentials, the place of the keys, variables for a shell."""

from __future__ import annotations

import subprocess

import pytest
from pydantic import SecretStr

from soundlake.operations.stack.connections import has_secrets, list_connection_variables, list_connections, write_exports
from soundlake.settings import HOME_SETTINGS, Settings

SECRETS = ("secret of redis", "SLKEY", "secret of s3", "secret of kafka")


@pytest.fixture
def make_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list_connection_variables(Settings(_env_file=None)):
        monkeypatch.delenv(name, raising=False)

    def make(**chosen: object) -> Settings:
        return Settings(_env_file=None, **{"home": tmp_path / "José's home", **chosen})

    return make


@pytest.fixture
def servers(make_settings) -> Settings:
    """A deployment on servers with credentials."""
    return make_settings(
        broker="kafka://a.example:9092,b.example:9092", lake="s3://my-bucket", cache="rediss://:secret%20of%20redis@redis.example:6380/1",
        kafka={"security_protocol": "SASL_SSL", "username": "ana", "password": SECRETS[3]},
        s3={"endpoint": "http://127.0.0.1:8333", "access_key": SECRETS[1], "secret_key": SECRETS[2], "allow_http": True},
    )  # fmt: skip


def test_an_embedded_home_has_paths_and_no_keys(make_settings):
    settings = make_settings()
    home = settings.home_folder
    connections = {one.name: one for one in list_connections(settings, {})}
    assert {name: one.address for name, one in connections.items()} == {
        "broker": f"{home / 'broker.db'} (embedded log)",
        "lake": f"{home / 'lake'} (Delta tables)",
        "cache": "the memory of each process",
        "warehouse": f"{home / 'warehouse' / 'snapshots' / 'current.duckdb'} (DuckDB, read-only)",
        "dashboard": "http://127.0.0.1:8501",
    }
    assert all(one.keys is None for one in connections.values())
    assert not has_secrets(list_connection_variables(settings))


def test_servers_have_addresses_without_credentials_and_the_file_of_their_keys(servers, tmp_path, monkeypatch):
    own, env = servers.home_folder / HOME_SETTINGS, tmp_path / ".env"
    own.parent.mkdir()
    own.write_text("AWS_SECRET_ACCESS_KEY=x\n")
    env.write_text("AWS_SECRET_ACCESS_KEY=y\nSOUNDLAKE_CACHE=z\n")
    monkeypatch.setenv("SOUNDLAKE_KAFKA_PASSWORD", "in the environment")
    connections = {one.name: one for one in list_connections(servers, {"sink": "127.0.0.1:9471"})}
    found = {name: (connections[name].address, connections[name].keys) for name in ("broker", "lake", "cache", "metrics of sink")}
    assert found == {
        "broker": ("a.example:9092,b.example:9092 (Kafka bootstrap servers, SASL_SSL)", "the environment"),
        "lake": ("s3://my-bucket (endpoint http://127.0.0.1:8333)", str(own)),
        "cache": ("rediss://redis.example:6380/1", str(env)),
        "metrics of sink": ("http://127.0.0.1:9471/metrics", None),
    }


def test_a_shell_reads_the_export_lines_back(servers):
    variables = list_connection_variables(servers)
    assert has_secrets(variables)
    assert {name for name, value in variables.items() if isinstance(value, SecretStr)} == {
        "SOUNDLAKE_CACHE", "SOUNDLAKE_KAFKA_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    }  # fmt: skip
    lines = write_exports(variables)
    names = ("SOUNDLAKE_HOME", "AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY", "SOUNDLAKE_BROKER", "SOUNDLAKE_KAFKA_PASSWORD")
    script = lines + 'printf "%s|" ' + " ".join(f'"${name}"' for name in names)
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown == f"{servers.home}|http://127.0.0.1:8333|secret of s3|kafka://a.example:9092,b.example:9092|secret of kafka|"
    assert "AWS_SESSION_TOKEN" not in lines, "an unset variable is left out"


def test_the_exported_variables_make_the_same_settings_again(servers, monkeypatch):
    for name, value in list_connection_variables(servers).items():
        monkeypatch.setenv(name, value if isinstance(value, str) else value.get_secret_value())
    again = Settings(_env_file=None)
    for name in ("home", "broker_address", "lake_address", "cache_address", "warehouse_address", "kafka_access", "storage_options"):
        assert getattr(again, name) == getattr(servers, name)

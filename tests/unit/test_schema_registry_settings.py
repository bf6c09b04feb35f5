"""Settings of the schema registry: the address holds no password, and a format that needs a registry is named."""

from __future__ import annotations

import sys

import pytest

from soundlake.broker.publisher import encode_plainly
from soundlake.contract import decode_records
from soundlake.errors import SettingsError
from soundlake.settings import PublishFormat
from soundlake.wiring.schema_registry import find_decoder, find_encoder


def test_without_a_registry_nothing_changes(make_settings):
    settings = make_settings()
    assert settings.registry.access is None
    assert (find_decoder(settings), find_encoder(settings)) == (decode_records, encode_plainly)


def test_the_registry_is_read_with_its_login(make_settings):
    settings = make_settings(
        SOUNDLAKE_SCHEMA_REGISTRY="https://registry.example/",
        SOUNDLAKE_SCHEMA_REGISTRY_USERNAME="ana",
        SOUNDLAKE_SCHEMA_REGISTRY_PASSWORD="s3cret",
        SOUNDLAKE_SCHEMA_REGISTRY_PUBLISH="confluent-avro",
    )
    access = settings.registry.access
    assert (access.url, access.username, access.password.get_secret_value()) == ("https://registry.example", "ana", "s3cret")
    assert settings.registry.publish is PublishFormat.CONFLUENT_AVRO
    assert "s3cret" not in f"{settings!r} {access!r}"
    assert "s3cret" in settings.secrets


WRONG = {
    "a password in the address": ("https://ana:s3cret@registry.example", "SOUNDLAKE_SCHEMA_REGISTRY_PASSWORD"),
    "no address": ("registry:8081", "write https://host:port"),
    "another protocol": ("ftp://registry", "write https://host:port"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_address_is_named_without_its_password(make_settings, name):
    url, named = WRONG[name]
    with pytest.raises(SettingsError, match=f"SOUNDLAKE_SCHEMA_REGISTRY: .*{named}") as wrong:
        make_settings(SOUNDLAKE_SCHEMA_REGISTRY=url)
    assert "s3cret" not in str(wrong.value)


def test_a_format_that_needs_a_registry_is_refused_without_one(make_settings):
    with pytest.raises(SettingsError, match="SOUNDLAKE_SCHEMA_REGISTRY_PUBLISH=confluent-json: no registry is set"):
        find_encoder(make_settings(SOUNDLAKE_SCHEMA_REGISTRY_PUBLISH="confluent-json"))


def test_a_missing_client_names_the_extra(make_settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka.schema_registry.avro", None)
    for adapter in ("event_framer", "registry_connection", "schema_registry"):
        monkeypatch.delitem(sys.modules, f"soundlake.broker.kafka.{adapter}", raising=False)
    settings = make_settings(SOUNDLAKE_SCHEMA_REGISTRY="http://127.0.0.1:1", SOUNDLAKE_SCHEMA_REGISTRY_PUBLISH="confluent-json")
    for find in (find_decoder, find_encoder):
        with pytest.raises(SettingsError, match=r"client is not installed") as missing:
            find(settings)
        assert "soundlake[kafka]" in str(missing.value)

"""Settings: addresses become typed values, and what makes no sense is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from soundlake.errors import SettingsError
from soundlake.settings import load_settings, parse_address


@pytest.fixture
def make_settings(monkeypatch, tmp_path):
    """Settings of an environment that holds just what the test names."""

    def make(**environment: str):
        for name, value in {"SOUNDLAKE_HOME": str(tmp_path), **environment}.items():
            monkeypatch.setenv(name, value)
        return load_settings(_env_file=None)

    return make


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


def test_secrets_do_not_show_when_settings_are_printed(make_settings):
    settings = make_settings(SOUNDLAKE_LAKE="s3://bucket", AWS_SECRET_ACCESS_KEY="do-not-show-me")
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
def test_an_address_that_makes_no_sense_names_the_setting_and_the_mend(setting, url, said):
    schemes = {"broker": ("sqlite", "kafka"), "lake": ("file", "s3")}[setting]
    with pytest.raises(SettingsError) as caught:
        parse_address(setting, url, schemes)
    assert f"SOUNDLAKE_{setting.upper()}" in str(caught.value)
    assert said in str(caught.value)


def test_a_password_in_a_refused_address_is_not_repeated():
    with pytest.raises(SettingsError) as caught:
        parse_address("broker", "amqp://me:do-not-show-me@127.0.0.1", ("sqlite",))
    assert "do-not-show-me" not in str(caught.value)


def test_a_number_out_of_range_names_its_setting(make_settings):
    with pytest.raises(SettingsError, match="SOUNDLAKE_SINK_MAX_EVENTS"):
        make_settings(SOUNDLAKE_SINK_MAX_EVENTS="0")


def test_a_child_process_gets_the_same_home(make_settings, tmp_path):
    settings = make_settings().model_copy(update={"home": tmp_path / "other"})
    assert Path(settings.child_environment["SOUNDLAKE_HOME"]) == tmp_path / "other"

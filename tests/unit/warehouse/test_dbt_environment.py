"""The environment variables that give dbt access to the store of bronze."""

from __future__ import annotations

import pytest

from soundlake.errors import SettingsError
from soundlake.warehouse.dbt_environment import describe_store

BRONZE = "s3://bucket/prefix/bronze"


@pytest.mark.parametrize(
    ("options", "endpoint", "style"),
    [
        ({}, None, None),
        ({"AWS_ENDPOINT_URL": "https://store.example:9000"}, "store.example:9000", "path"),
        (
            {"AWS_ENDPOINT_URL": "https://bucket.store.example:9000", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"},
            "store.example:9000",
            "vhost",
        ),
    ],
    ids=["Amazon's own", "path-style", "virtual-hosted"],
)
def test_an_endpoint_is_passed_without_the_bucket_and_with_its_style(options, endpoint, style):
    found = describe_store(BRONZE, options)
    assert (found.get("SOUNDLAKE_DBT_S3_ENDPOINT"), found.get("SOUNDLAKE_DBT_S3_STYLE")) == (endpoint, style)


def test_the_token_of_a_session_goes_with_the_keys():
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "a-token"}
    found = describe_store(BRONZE, keys)
    secrets = {name: value for name, value in found.items() if name.startswith("DBT_ENV_SECRET_")}
    assert sorted(secrets.values()) == ["a-token", "k", "s"]


def test_a_folder_needs_no_variables_and_google_storage_is_an_error():
    assert describe_store("/data/lake/bronze", {}) == {}
    with pytest.raises(SettingsError, match=r"SOUNDLAKE_LAKE=gs://bucket: .*folders and s3:// only"):
        describe_store("gs://bucket/bronze", {})

"""What is refused before Java begins, as far as no server is asked."""

from __future__ import annotations

import pytest

from soundlake.errors import SettingsError, Unavailable
from soundlake.settings import Settings
from soundlake.streaming.deployment import SUBMITTED
from soundlake.streaming.startup_checks import check_storage

GOOGLE = "gs://spotify-data-lake"


@pytest.mark.parametrize(
    ("changes", "queries", "setting"),
    [
        ({"lake": GOOGLE}, ["processed"], "SOUNDLAKE_LAKE"),
        ({"stream": {"checkpoints": f"{GOOGLE}/checkpoints"}}, ["now_playing"], "SOUNDLAKE_STREAM_CHECKPOINTS"),
    ],
    ids=["lake", "checkpoints"],
)
def test_googles_own_address_is_refused_and_the_other_one_named(tmp_path, changes, queries, setting):
    with pytest.raises(SettingsError, match=f"{setting}={GOOGLE}.*: Spark has no connector") as caught:
        check_storage(Settings(home=tmp_path, **changes), queries)
    assert "AWS_ENDPOINT_URL=https://" in caught.value.next_step


def test_whoever_submits_a_job_may_bring_a_connector_and_other_queries_need_no_lake(tmp_path):
    check_storage(Settings(home=tmp_path, lake=GOOGLE, stream={"master": SUBMITTED}), ["processed"])
    check_storage(Settings(home=tmp_path, lake=GOOGLE), ["live", "now_playing"])


def test_a_file_where_the_lake_should_be_is_named(tmp_path):
    (tmp_path / "lake").touch()
    with pytest.raises(Unavailable, match="there is a file where a folder is expected"):
        check_storage(Settings(home=tmp_path), ["processed"])
    check_storage(Settings(home=tmp_path), ["live"])

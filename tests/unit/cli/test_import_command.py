"""The command `soundlake import` without the name of a source."""

import pytest
from typer.testing import CliRunner

from soundlake.cli.app import app
from soundlake.errors import UsageError


@pytest.mark.parametrize("words", ["x", "--user anna x", "any x", "lastfm x", "listenbrainz --json x"])
def test_a_first_word_that_is_no_command_is_a_path(tmp_path, words):
    result = CliRunner().invoke(app, ["import", *words.split()], env={"SOUNDLAKE_HOME": str(tmp_path)})
    assert isinstance(result.exception, UsageError)
    assert "there is no such file" in str(result.exception)


def test_help_lists_the_sources():
    result = CliRunner().invoke(app, ["import", "--help"])
    assert all(word in result.stdout for word in ("spotify-export", "listenbrainz", "lastfm", "events"))

"""What dbt says by hand of the contract's fields follows the contract: a field that was added is named until each place knows it."""

import re
from pathlib import Path

import pytest
import yaml

from soundlake.contract import FIELD_NAMES

DBT = Path(__file__).parents[2] / "dbt"
OF_ONE_OBSERVATION = {
    "event_id", "event_type", "schema_version", "user_id", "played_at", "played_at_basis", "source", "source_ref", "produced_at", "extra",
}  # fmt: skip
"""What an observation says of itself (played_at has a rule of its own): it is not taken from another one of the same play."""
OF_OTHER_ACTS = {"position_ms", "action", "playlist_id", "playlist_name"}
WHOLE = ("silver/silver_skips", "silver/silver_likes", "silver/silver_playlists", "silver/steps/open_plays")
"""Models that show every field by event_columns()."""


def described_columns(model):
    (described,) = yaml.safe_load((DBT / "models" / f"{model}.yml").read_text())["models"]
    return {column["name"] for column in described["columns"]}


def test_every_field_of_a_play_is_taken_from_the_best_observation_that_knows_it():
    body = re.search(r"macro told_columns\(\)(.*?)endmacro", (DBT / "macros" / "plays.sql").read_text(), re.DOTALL)
    told = set(re.findall(r"'(\w+)'", body[1]))
    assert told == set(FIELD_NAMES) - OF_ONE_OBSERVATION - OF_OTHER_ACTS, "see told_columns() in dbt/macros/plays.sql"


@pytest.mark.parametrize("model", WHOLE)
def test_a_model_that_shows_every_field_describes_every_field(model):
    assert "event_columns()" in (DBT / "models" / f"{model}.sql").read_text()
    assert set(FIELD_NAMES) - described_columns(model) == set(), f"describe it in dbt/models/{model}.yml"


def test_every_model_has_a_description_with_its_grain_and_a_file_beside_it():
    models = sorted(DBT.glob("models/**/*.sql"))
    assert models
    for path in models:
        (described,) = yaml.safe_load(path.with_suffix(".yml").read_text())["models"]
        assert described["name"] == path.stem
        assert "Grain: " in described["description"], path

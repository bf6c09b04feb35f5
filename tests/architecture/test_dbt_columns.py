"""dbt's columns of the contract's fields follow the contract: lists and descriptions are generated, none is typed by hand."""

from pathlib import Path

import pytest
import yaml

from soundlake.contract import FIELD_NAMES, FIELDS
from soundlake.contract.dbt_files import update_columns

DBT = Path(__file__).parents[2] / "dbt"
EVENT_MODELS = ("silver/silver_skips", "silver/silver_likes", "silver/silver_playlists", "silver/steps/play_observations")
"""Models that have every field of an event."""
SILVER = sorted(path for path in DBT.glob("models/silver/**/*.yml") if path.stem != "silver_rejected")


def read_columns(model):
    (described,) = yaml.safe_load((DBT / "models" / f"{model}.yml").read_text())["models"]
    return [column["name"] for column in described["columns"]]


@pytest.mark.parametrize("model", EVENT_MODELS)
def test_a_model_of_events_selects_and_describes_every_field(model):
    assert "event_columns()" in (DBT / "models" / f"{model}.sql").read_text()
    assert set(FIELD_NAMES) - set(read_columns(model)) == set()


def test_silver_plays_selects_and_describes_every_field_that_is_not_left_out_of_it():
    assert "in play_columns()" in (DBT / "models" / "silver" / "silver_plays.sql").read_text()
    columns = read_columns("silver/silver_plays")
    assert [name for name in FIELD_NAMES if name in columns] == [field.name for field in FIELDS if field.play_value != "none"]


@pytest.mark.parametrize("path", SILVER, ids=lambda path: path.stem)
def test_fields_of_the_contract_are_described_by_their_doc_blocks(path):
    (described,) = yaml.safe_load(path.read_text())["models"]
    typed = [c["name"] for c in described["columns"] if c["name"] in FIELD_NAMES and f"doc('field_{c['name']}')" not in c["description"]]
    assert typed == []


def test_the_generated_list_has_the_fields_that_are_not_listed_by_hand_and_keeps_the_lines_around_it():
    text = (
        "    columns:\n      - {name: event_id, description: x, data_tests: [unique]}\n"
        "      # all other fields of plays, old note\n"
        """      - {name: removed, description: "{{ doc('field_removed') }}"}\n"""
        '      - {name: heard_ms, description: "by hand"}\n'
    )
    updated = update_columns(text)
    names = [line["name"] for line in yaml.safe_load(updated)["columns"]]
    assert names == ["event_id", *(f.name for f in FIELDS if f.play_value != "none" and f.name != "event_id"), "heard_ms"]
    assert update_columns(updated) == updated
    assert update_columns("columns: []\n") == "columns: []\n"


def test_every_model_has_a_description_with_its_grain_and_a_file_beside_it():
    models = sorted(DBT.glob("models/**/*.sql"))
    assert models
    for path in models:
        (described,) = yaml.safe_load(path.with_suffix(".yml").read_text())["models"]
        assert described["name"] == path.stem
        assert "Grain: " in described["description"], path

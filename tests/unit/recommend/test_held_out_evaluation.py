from math import log2

import duckdb
import pytest

from soundlake.errors import UsageError
from soundlake.recommend import evaluate_recommendations


@pytest.fixture
def snapshot():
    with duckdb.connect() as connection:
        connection.execute("create schema gold")
        connection.execute(
            "create table gold.user_recommendations as select * from (values ('ana', 't1', 1), ('ana', 't2', 2), ('ben', 't9', 1), "
            "('ana', 'late', 11)) as rows (user_id, track_id, rank)"
        )
        yield connection


@pytest.fixture
def write(tmp_path):
    def write_text(text, name="held_out.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write_text


def test_scores_equal_those_computed_by_hand(snapshot, write):
    found = evaluate_recommendations(snapshot, write("user_id,item_id\nana,t2\nana,late\nben,t1\ncleo,t1\n"))
    assert (found.listeners, found.listeners_with_recommendations) == (3, 2)
    assert found.ndcg == pytest.approx((1 / log2(3)) / (1 + 1 / log2(3)) / 3)
    assert found.recall == pytest.approx(0.5 / 3)
    assert found.hit_rate == pytest.approx(1 / 3)


def test_a_full_list_of_hits_scores_one(snapshot, write):
    found = evaluate_recommendations(snapshot, write("user_id,track_id\nana,t1\nana,t2\n"))
    assert (found.ndcg, found.recall, found.hit_rate) == (1, 1, 1)


def test_ids_that_look_like_numbers_are_compared_as_text(write):
    with duckdb.connect() as connection:
        connection.execute("create schema gold")
        connection.execute("create table gold.user_recommendations as select '007' as user_id, '1' as track_id, 1 as rank")
        assert evaluate_recommendations(connection, write("user_id,track_id\n007,1\n")).ndcg == 1


@pytest.mark.parametrize(
    ("text", "name"),
    [("user_id,track_id\n", "empty.csv"), ("user_id\nana\n", "one_column.csv"), ("no parquet", "broken.parquet")],
    ids=["no row", "one column", "not Parquet"],
)
def test_a_file_without_pairs_is_named(snapshot, write, text, name):
    with pytest.raises(UsageError, match=name):
        evaluate_recommendations(snapshot, write(text, name))


def test_a_missing_file_is_named(snapshot, tmp_path):
    with pytest.raises(UsageError, match="absent"):
        evaluate_recommendations(snapshot, tmp_path / "absent.csv")

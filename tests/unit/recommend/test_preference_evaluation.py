from math import log2

import duckdb
import polars as pl
import pytest

from soundlake.errors import UsageError
from soundlake.recommend import evaluate_preference


@pytest.fixture
def snapshot():
    with duckdb.connect() as connection:
        connection.execute("create schema gold")
        connection.execute(
            "create table gold.user_recommendations as select * from "
            "(values ('ana', 't2', 1), ('ana', 't9', 2), ('ana', 't1', 3), ('ben', 't9', 1)) as rows (user_id, track_id, rank)"
        )
        connection.execute(
            "create table gold.track_popularity as select * from "
            "(values ('t1', 5), ('t3', 4), ('t9', 3)) as rows (track_id, unique_listeners)"
        )
        yield connection


@pytest.fixture
def truth(tmp_path):
    plays = [("ana", "t1", "play", 200_000, 210_000), ("ana", "t2", "play", 2_000, 210_000), ("ben", "t8", "play", 9_000, 9_000)]
    columns = ["user_id", "track_id", "event_type", "ms_played", "duration_ms"]
    pl.DataFrame(plays, schema=columns, orient="row").write_parquet(tmp_path / "events-run-00001.parquet")
    preferences = [("ana", "t1", 0.5), ("ana", "t2", 0.3), ("ana", "t3", 0.1), ("ben", "t3", 0.4), ("silent", "t3", 0.9)]
    pl.DataFrame(preferences, schema=["user_id", "track_id", "preference"], orient="row").write_parquet(
        tmp_path / "preferences-run.parquet"
    )
    return tmp_path


def test_scores_equal_those_computed_by_hand(snapshot, truth):
    found = evaluate_preference(snapshot, truth)
    ideal_of_ana = 0.3 + 0.1 / log2(3)
    assert found["sql"].ndcg == pytest.approx(0.3 / ideal_of_ana / 2)
    popularity_of_ana, popularity_of_ben = 0.1 / ideal_of_ana, 1 / log2(3)
    assert found["popularity"].ndcg == pytest.approx((popularity_of_ana + popularity_of_ben) / 2)
    assert {score.listeners for score in found.values()} == {2}


def test_a_listener_without_recommendations_counts_as_zero(snapshot, truth):
    snapshot.execute("delete from gold.user_recommendations where user_id = 'ana'")
    found = evaluate_preference(snapshot, truth)["sql"]
    assert (found.listeners, found.listeners_with_recommendations, found.ndcg) == (2, 1, 0)


@pytest.mark.parametrize("name", ["oracle.csv", "oracle.parquet"])
def test_the_best_list_of_a_later_model_scores_one(snapshot, truth, tmp_path, name):
    best = pl.DataFrame({"user_id": ["ana", "ana", "ben"], "track_id": ["t2", "t3", "t3"], "rank": [1, 2, 1]})
    path = tmp_path / name
    best.write_csv(path) if name.endswith("csv") else best.write_parquet(path)
    assert evaluate_preference(snapshot, truth, [path])["oracle"].ndcg == pytest.approx(1)


def test_the_newest_run_decides_what_a_listener_prefers(snapshot, truth):
    newer = pl.DataFrame({"user_id": ["ana"], "track_id": ["t7"], "preference": [0.2]})
    newer.write_parquet(truth / "preferences-run2.parquet")
    assert evaluate_preference(snapshot, truth)["sql"].ndcg == 0


@pytest.mark.parametrize("kind", ["events", "preferences"])
def test_a_folder_without_truth_is_named(snapshot, truth, kind):
    for path in truth.glob(f"{kind}-*"):
        path.unlink()
    with pytest.raises(UsageError, match=f"no {kind}"):
        evaluate_preference(snapshot, truth)


def test_a_model_file_that_is_not_parquet_is_named(snapshot, truth, tmp_path):
    path = tmp_path / "broken.parquet"
    path.write_text("no parquet")
    with pytest.raises(UsageError, match="broken"):
        evaluate_preference(snapshot, truth, [path])


def test_truth_about_other_listeners_is_an_error(snapshot, truth):
    pl.DataFrame({"user_id": ["zoe"], "track_id": ["t7"], "preference": [0.2]}).write_parquet(truth / "preferences-run.parquet")
    with pytest.raises(UsageError, match="no listener"):
        evaluate_preference(snapshot, truth)

import io
import json
import zipfile
from contextlib import closing, contextmanager

import pytest
from history_rows import make_extended, make_short

from soundlake.errors import DataError, UsageError
from soundlake.history import READERS, find_history
from soundlake.history import source_files as limits

HISTORY = json.dumps([make_extended()])


@pytest.fixture
def lay(tmp_path):
    """Make files below a folder: names with HISTORY, or a mapping of names to contents."""

    def lay_files(*names, root="export", **contents):
        for name in names:
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(contents.get("content", HISTORY))
        return tmp_path / root

    return lay_files


@contextmanager
def find(*paths, user=None):
    with closing(find_history(paths, user, READERS)) as found:
        yield found


def find_names(*paths, user=None):
    with find(*paths, user=user) as found:
        return [(one.user_id, one.file.name) for one in found.files]


def make_zip(members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def write_zip(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(make_zip(members))
    return path


def read_all(found):
    return [b"".join(one.file.read_blocks()) for one in found.files]


@pytest.mark.parametrize(
    "name",
    [
        "endsong_0.json", "Endsong.JSON", "Streaming_History_Video_2019.json", "deep/er/StreamingHistory0.json", "Copy of endsong_0.json",
        "Streaming_History_Audio_2024_0 (1).json", "endsong_0.json.txt", "history", "my list.data",
    ],
)  # fmt: skip
def test_a_file_of_history_is_found_under_any_name(lay, name):
    assert find_names(lay(name), user="anna") == [("anna", f"export/{name}")]


@pytest.mark.parametrize("name", ["endsong_0.json", "Copy of StreamingHistory_podcast_0 (1).json", "Streaming_History_Audio_2024.json.txt"])
@pytest.mark.parametrize("content", ["", "[]", "[{", "not JSON", '[{"a": 1}]'], ids=["empty", "no rows", "cut", "no JSON", "unknown rows"])
def test_a_file_named_as_history_is_read_though_it_has_no_whole_row_of_it(lay, name, content):
    assert len(find_names(lay(name, content=content), user="anna")) == 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("Playlist1.json", '{"playlists": [{"name": "x", "items": []}]}', "playlists (Spotify), no history"),
        ("SearchQueries.json", '[{"searchTime": "2024-01-01T00:00:00Z", "searchQuery": "x"}]', "search queries (Spotify), no history"),
        ("Read_Me_First.pdf", "%PDF-1.4", "Spotify's explanation (Spotify), no history"),
        ("x.pdf", "%PDF-1.4", "a PDF document"),
        ("x.json", '[{"b": 1, "a": 2}]', "JSON with a, b"),
        ("my_endsong.json", "[]", "JSON without an object"),
        ("x.csv", "ts,ms_played\n2024-01-01,5\n", "CSV with ts, ms_played"),
        ("notes.txt", "hello", "text"),
        ("nothing.txt", "", "empty"),
        ("x.bin", "\0\1", "no text"),
        ("x.html", "<!doctype html>", "HTML or XML"),
    ],
)
def test_what_is_not_history_is_left_out_and_named_with_what_it_is(lay, name, content, reason):
    lay(name, content=content)
    with find(lay("endsong_0.json"), user="anna") as found:
        assert [(one.name, one.reason) for one in found.left_out] == [(f"export/{name}", reason)]
        assert len(found.files) == 1


def test_without_a_user_each_sub_folder_is_a_listener(lay):
    root = lay("ben/x/endsong_0.json", "anna/StreamingHistory0.json")
    assert find_names(root) == [("anna", "export/anna/StreamingHistory0.json"), ("ben", "export/ben/x/endsong_0.json")]


def test_without_a_user_a_folder_of_history_files_is_the_listener(lay):
    assert find_names(lay("endsong_0.json")) == [("export", "export/endsong_0.json")]


def test_folders_that_spotify_makes_are_not_listeners(lay):
    download = ["Spotify Extended Streaming History/endsong_0.json", "Spotify Account Data (1)/StreamingHistory_music_0.json"]
    assert {user for user, _ in find_names(lay(*download, root="anna"))} == {"anna"}
    assert {user for user, _ in find_names(lay(*download, root="anna") / "Spotify Account Data (1)")} == {"anna"}
    both = lay("anna/MyData/endsong_0.json", "MyData/ben/endsong_0.json", root="all")
    assert {user for user, _ in find_names(both)} == {"anna", "ben"}


def test_history_in_a_folder_and_in_its_sub_folders_needs_a_user(lay):
    root = lay("endsong_0.json", "anna/endsong_1.json")
    with pytest.raises(UsageError, match="--user"):
        find_history([root], None, READERS)
    assert len(find_names(root, user="anna")) == 2


@pytest.mark.parametrize("name", ["endsong_0.json", "my_spotify_data.zip"])
def test_a_file_or_zip_needs_a_user(lay, name):
    path = lay("endsong_0.json") / name
    if path.suffix == ".zip":
        write_zip(path, {"MyData/endsong_0.json": HISTORY})
    with pytest.raises(UsageError, match="--user"):
        find_history([path], None, READERS)
    assert [user for user, _ in find_names(path, user="anna")] == ["anna"]


def test_zips_in_a_folder_are_folders(tmp_path):
    write_zip(tmp_path / "all" / "anna.zip", {"MyData/endsong_0.json": HISTORY})
    write_zip(tmp_path / "all" / "ben" / "my_spotify_data (1).zip", {"MyData/endsong_0.json": HISTORY})
    assert [user for user, _ in find_names(tmp_path / "all")] == ["anna", "ben"]
    assert [user for user, _ in find_names(tmp_path / "all" / "ben")] == ["ben"]


def test_the_same_file_by_two_paths_is_read_once(lay):
    root = lay("anna/endsong_0.json")
    write_zip(root / "anna" / "x.zip", {"endsong_1.json": HISTORY})
    assert len(find_names(root / "anna", root / "anna", root / "anna" / ".." / "anna", user="anna")) == 2
    assert len(find_names(root, root / "anna" / "endsong_0.json", root / "anna" / "x.zip", user="anna")) == 2


def test_podcast_files_are_read_first_since_their_rows_say_that_they_are_episodes(lay):
    names = find_names(lay("StreamingHistory0.json", "StreamingHistory_podcast_0.json", "endsong.json"), user="anna")
    assert names[0][1].endswith("podcast_0.json")


def test_a_zip_is_read_without_unpacking_with_any_names_of_members(tmp_path):
    first, second = (json.dumps([make_short(msPlayed=ms)]) for ms in (1, 2))
    members = {
        "../../../endsong_0.json": first,
        "\ufeffMyData\\StreamingHistory0.json": second,
        "MyData\\": "",
        "/abs/Playlist1.json": "{}",
    }
    path = write_zip(tmp_path / "my data.bin", members)
    with find(path, user="anna") as found:
        assert sorted(read_all(found)) == [first.encode(), second.encode()]
        assert [one.file.name for one in found.files] == [
            "my data.bin/../../../endsong_0.json",
            "my data.bin/MyData/StreamingHistory0.json",
        ]
        assert [one.name for one in found.left_out] == ["my data.bin//abs/Playlist1.json"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["my data.bin"]


def test_a_zip_in_a_zip_is_read_and_the_fourth_is_named(tmp_path):
    packed = make_zip({"endsong_0.json": HISTORY})
    for number in range(2):
        packed = make_zip({f"{number}.zip": packed})
    (tmp_path / "x.zip").write_bytes(packed)
    assert find_names(tmp_path / "x.zip", user="anna") == [("anna", "x.zip/1.zip/0.zip/endsong_0.json")]
    write_zip(tmp_path / "x.zip", {"endsong_1.json": HISTORY, "y.zip": packed})
    with find(tmp_path / "x.zip", user="anna") as found:
        assert [one.name for one in found.left_out] == ["x.zip/y.zip/1.zip/0.zip"]


def test_a_zip_bomb_is_refused_by_its_unpacked_size_not_by_the_size_it_states(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "bomb.zip", {"endsong_0.json": b"[" + b" " * 3_000_000})
    with find(path, user="anna") as found:
        assert len(read_all(found)[0]) == 3_000_001
    monkeypatch.setattr(limits, "_SMALL_BYTES", 1_000_000)
    with find(path, user="anna") as found, pytest.raises(limits.BrokenFile, match="more than 300 times its size"):
        read_all(found)


def test_a_bomb_in_an_inner_zip_costs_only_that_zip(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_SMALL_BYTES", 1_000_000)
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("endsong_0.json", b" " * 20_000_000)
    with find(write_zip(tmp_path / "x.zip", {"a.zip": stored.getvalue(), "endsong_1.json": HISTORY}), user="anna") as found:
        assert [one.name for one in found.broken] == ["x.zip/a.zip"]
        assert len(found.files) == 1


def test_of_a_zip_with_a_damaged_member_the_other_members_are_read(tmp_path):
    path = tmp_path / "data.zip"
    rows = json.dumps([make_short(trackName="1111111111")])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("endsong_0.json", rows)
        archive.writestr("endsong_1.json", HISTORY)
    path.write_bytes(path.read_bytes().replace(b"1111111111", b"1111111112"))
    with find(path, user="anna") as found:
        assert [one.name for one in found.broken] == ["data.zip/endsong_0.json"]
        assert read_all(found) == [HISTORY.encode()]


def test_of_several_paths_a_truncated_zip_is_broken_and_the_others_are_read(lay, tmp_path):
    broken = tmp_path / "cut.zip"
    broken.write_bytes(b"PK\x03\x04 and then nothing")
    with find(broken, lay("endsong_0.json"), user="anna") as found:
        assert [one.name for one in found.broken] == ["cut.zip"]
        assert len(found.files) == 1


def test_utf_16_and_gzip_are_read(tmp_path):
    import gzip

    (tmp_path / "a.json").write_bytes(HISTORY.encode("utf-16"))
    (tmp_path / "a2.json").write_bytes(HISTORY.encode("utf-16-le"))
    (tmp_path / "a3.json").write_bytes(HISTORY.encode("utf-16-be"))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(HISTORY.encode()))
    with find(tmp_path, user="anna") as found:
        assert [json.loads(data) for data in read_all(found)] == [json.loads(HISTORY)] * 4


def test_a_path_that_does_not_exist_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        find_history([tmp_path / "nowhere"], "anna", READERS)


@pytest.mark.parametrize(
    ("name", "message"), [("", "no file"), ("Playlist1.json", r"export/Playlist1\.json \(playlists \(Spotify\), no history\)")]
)
def test_where_no_history_is_found_the_error_names_what_was_found_instead(lay, tmp_path, name, message):
    (tmp_path / "export").mkdir()
    root = lay(name, content="{}") if name else tmp_path / "export"
    with find(root, user="anna") as found, pytest.raises(DataError, match=f"no listening history found .*found instead: {message}"):
        found.check_found(READERS)
    with find(lay("endsong_0.json"), user="anna") as found:
        found.check_found(READERS)


@pytest.mark.parametrize(
    "content", ['{"event_id": "x", "event_type": "play"}', "event_id,played_at\nx,y", "PAR1"], ids=["JSON", "CSV", "Parquet"]
)
def test_files_of_events_are_named_with_their_paths(lay, content):
    root = lay("x", content=content)
    with find(root, user="anna") as found:
        assert found.event_files == (root / "x",)

import zipfile
from pathlib import Path

import pytest

from soundlake.errors import DataError, UsageError
from soundlake.history import BrokenFile, find_exports


@pytest.fixture
def lay(tmp_path):
    """Make files with this content below a folder."""

    def lay_files(*names, content="[]", root="export"):
        for name in names:
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path / root

    return lay_files


def names_of(exports):
    return [(file.user_id, file.name) for file in exports.files]


def test_history_files_of_all_generations_are_found_in_any_case_and_other_files_are_listed(lay):
    history = [
        "endsong_0.json", "Endsong.JSON", "Streaming_History_Audio_2024_4.json", "Streaming_History_Video_2019.json",
        "deep/er/StreamingHistory0.json", "deep/StreamingHistory_podcast_0.json", "StreamingHistory_music_1.json",
    ]  # fmt: skip
    rest = ["Playlist1.json", "SearchQueries.json", "Read_Me_First.pdf", "endsong_0.txt", "my_endsong.json"]
    exports = find_exports([lay(*history, *rest)], "anna")
    assert {name for _, name in names_of(exports)} == {f"export/{name}" for name in history}
    assert set(exports.left_out) == {f"export/{name}" for name in rest}
    assert exports.listeners == ("anna",)


def test_without_a_user_each_sub_folder_is_a_listener(lay):
    exports = find_exports([lay("ben/x/endsong_0.json", "anna/StreamingHistory0.json", "README.md")], None)
    assert names_of(exports) == [("anna", "export/anna/StreamingHistory0.json"), ("ben", "export/ben/x/endsong_0.json")]
    assert exports.left_out == ("export/README.md",)


def test_without_a_user_a_folder_of_history_files_is_the_listener(lay):
    assert find_exports([lay("endsong_0.json")], None).listeners == ("export",)


def test_folders_that_spotify_makes_are_not_listeners(lay):
    download = ["Spotify Extended Streaming History/endsong_0.json", "Spotify Account Data/StreamingHistory_music_0.json"]
    assert find_exports([lay(*download, root="anna")], None).listeners == ("anna",)
    assert find_exports([lay(*download, root="anna") / "Spotify Account Data"], None).listeners == ("anna",)
    both = lay("anna/MyData/endsong_0.json", "MyData/ben/endsong_0.json", root="all")
    assert find_exports([both], None).listeners == ("anna", "ben")


def test_history_in_a_folder_and_in_its_sub_folders_needs_a_user(lay):
    root = lay("endsong_0.json", "anna/endsong_1.json")
    with pytest.raises(UsageError, match="--user"):
        find_exports([root], None)
    assert len(find_exports([root], "anna").files) == 2


@pytest.mark.parametrize("name", ["endsong_0.json", "my_spotify_data.zip"])
def test_a_file_or_zip_needs_a_user(lay, name):
    path = lay("endsong_0.json") / name
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("MyData/endsong_0.json", "[]")
    with pytest.raises(UsageError, match="--user"):
        find_exports([path], None)
    assert find_exports([path], "anna").listeners == ("anna",)


def test_the_same_file_by_two_paths_is_read_once(lay):
    root = lay("anna/endsong_0.json")
    assert len(find_exports([root / "anna", root / "anna", root / "anna" / ".." / "anna"], "anna").files) == 1
    assert len(find_exports([root, root / "anna" / "endsong_0.json"], "anna").files) == 1


def test_podcast_files_are_read_first_since_their_rows_say_that_they_are_episodes(lay):
    exports = find_exports([lay("StreamingHistory0.json", "StreamingHistory_podcast_0.json", "endsong.json")], "anna")
    assert exports.files[0].name.endswith("podcast_0.json")


def test_a_zip_is_read_without_unpacking_with_any_names_of_members(tmp_path):
    path = tmp_path / "my data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../endsong_0.json", "[1]")
        archive.writestr("MyData/StreamingHistory0.json", "[2]")
        archive.writestr("MyData/Playlist1.json", "{}")
    exports = find_exports([path], "anna")
    assert sorted(file.read() for file in exports.files) == [b"[1]", b"[2]"]
    assert exports.left_out == ("my data.zip/MyData/Playlist1.json",)
    assert [found.name for found in tmp_path.iterdir()] == ["my data.zip"]


def test_a_zip_bomb_is_refused_by_its_unpacked_size_not_by_the_size_it_states(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("endsong_0.json", b" " * 3_000_000)
    (file,) = find_exports([path], "anna").files
    with pytest.raises(BrokenFile, match="larger than 1 MiB"):
        file.read(max_bytes=1024**2)
    assert len(file.read()) == 3_000_000


def test_of_a_zip_with_a_damaged_member_the_other_members_are_read(tmp_path):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("endsong_0.json", "[1111111111]")
        archive.writestr("endsong_1.json", "[2]")
    path.write_bytes(path.read_bytes().replace(b"1111111111", b"1111111112"))
    first, second = find_exports([path], "anna").files
    with pytest.raises(BrokenFile, match=r"endsong_0\.json: cannot be read"):
        first.read()
    assert second.read() == b"[2]"


def test_of_several_paths_a_truncated_zip_is_broken_and_the_others_are_read(lay, tmp_path):
    broken = tmp_path / "cut.zip"
    broken.write_bytes(b"PK\x03\x04 and then nothing")
    exports = find_exports([broken, lay("endsong_0.json")], "anna")
    assert [one.name for one in exports.broken] == ["cut.zip"]
    assert len(exports.files) == 1


def test_a_path_that_does_not_exist_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        find_exports([tmp_path / "nowhere"], "anna")


def test_a_folder_without_history_is_refused_with_the_next_step(lay, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no listening history"):
        find_exports([tmp_path / "empty"], "anna")
    with pytest.raises(DataError, match=r"give the zip itself: export/my_spotify_data\.zip"):
        find_exports([lay("my_spotify_data.zip", "Playlist1.json")], "anna")


def test_a_file_given_as_path_is_read_under_any_name(lay):
    root = lay("history (1).json")
    assert [file.path for file in find_exports([root / "history (1).json"], "anna").files] == [Path(root / "history (1).json")]

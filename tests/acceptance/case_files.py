"""The files that cases of the kind `file` describe, one writer for each form of `given`."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from soundlake.errors import DataError

T0 = datetime(2026, 1, 1, 20, tzinfo=UTC)
UTS_HEADER = "uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid"
_ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland")
_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5}


@dataclass(frozen=True)
class WrittenCase:
    """Files to import: their name in messages, which expectations they have (all if empty), and what else is to be compared."""

    name: str
    paths: list[Path]
    checks: frozenset[str] = frozenset()
    check: Callable[[Any], list[str]] = field(default=lambda _result: [])
    machine_zone: str | None = None
    left_out: Sequence[str] = ()
    refs: Sequence[str] = ()
    names: Sequence[str] = ()


def make_play(end: datetime, ms: int | None, **changes: Any) -> dict[str, Any]:
    """A row of the extended form."""
    return {
        "ts": end.strftime("%Y-%m-%dT%H:%M:%SZ"), "ms_played": ms, "master_metadata_track_name": "Song",
        "master_metadata_album_artist_name": "Artist", "reason_start": "trackdone", "reason_end": "trackdone", **changes,
    }  # fmt: skip


def make_listen(at: float, artist: str = "a", title: str = "t", **info: Any) -> dict[str, Any]:
    """A listen of ListenBrainz."""
    return {"listened_at": at, "track_metadata": {"artist_name": artist, "track_name": title, "additional_info": info}}


def write(path: Path, content: object) -> Path:
    """A file: bytes, text, or JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    path.write_bytes(content)
    return path


def write_spotify_files(case: Mapping[str, Any], folder: Path) -> Iterator[WrittenCase]:
    """file_1 and file_2 under the first names, empty lists and documents under the others."""
    given = case["given"]
    names = given.get("names", ["endsong_0.json", "endsong_1.json"])
    first = [
        make_play(T0 + timedelta(seconds=row["ts"]), row["ms_played"], spotify_track_uri=f"spotify:track:{row['track']}",
                  offline_timestamp=row.get("offline_timestamp"))
        for row in given["file_1"]
    ]  # fmt: skip
    count, new = re.match(r"the last (\w+) rows of file_1 again, and (\d+) new", given["file_2"]).groups()  # type: ignore[union-attr]
    second = first[-_NUMBERS[count] :] + [make_play(T0 + timedelta(hours=1 + number), 1) for number in range(int(new))]
    for name in names[2:]:
        write(folder / name, "[]" if name.endswith(".json") else b"%PDF-1.4")
    write(folder / names[0], first)
    write(folder / names[1], second)
    yield WrittenCase("files", [folder], left_out=[name for name in names if not name.endswith(".json")])


def write_many_rows(case: Mapping[str, Any], folder: Path) -> Iterator[WrittenCase]:
    """A number of plays."""
    rows = [make_play(T0 + timedelta(minutes=number), 30_000) for number in range(case["given"]["rows"])]
    yield WrittenCase("rows", [write(folder / "endsong_0.json", rows)])


def write_timed_rows(case: Mapping[str, Any], folder: Path) -> Iterator[WrittenCase]:
    """Rows with a time in words, under several zones of the machine; or rows with lengths, as events (an export has no durations)."""
    rows = case["given"]["rows"]
    if "ms" in rows[0]:
        lines = [
            {"event_id": f"00000000-0000-4000-8000-{number:012}", "event_type": "play", "user_id": "u", "track_id": f"t{number}",
             "track_name": f"Song {number}", "artist_name": "Artist", "played_at": (T0 - timedelta(hours=9 - number)).isoformat(),
             "duration_ms": row["duration"], "ms_played": row["ms"], "reason_end": row["reason_end"]}
            for number, row in enumerate(rows)
        ]  # fmt: skip
        yield WrittenCase("rows", [write(folder / "events.ndjson", "\n".join(map(json.dumps, lines)))])
        return
    ends = [{"endTime": row["endTime"], "artistName": "A", "trackName": "T", "msPlayed": 0} for row in rows if "endTime" in row]
    stamps = [make_play(T0, 0) | {"ts": row["ts"]} for row in rows if "ts" in row]
    texts = "".join(f"A,B,T,{row['lastfm_text']}\n" for row in rows if "lastfm_text" in row)
    write(folder / "x.json", [*ends, *stamps])
    if texts:
        write(folder / "x.csv", texts)
    for zone in (case["given"].get("machine_zone"), *_ZONES):
        yield WrittenCase(str(zone).replace("/", "-"), [folder], machine_zone=zone)


def write_listens(case: Mapping[str, Any], folder: Path) -> Iterator[WrittenCase]:
    """The archive in all its layouts, and one whose listens are missing."""
    given = case["given"]
    long = make_listen(1700000600, tags=["x" * 300_000])
    lines = [line if isinstance(line, dict) else long for line in given["lines"] if isinstance(line, dict) or "empty" not in line]
    texts = [json.dumps(line) for line in lines]
    listens = [name for name in given["zip"] if name.startswith("listens/")]
    contents = dict.fromkeys(given["zip"], '{"user_id": 1, "username": "u"}')
    contents |= {name: "\n".join(texts[:1] if name == listens[0] else texts[1:]) + "\n\n" for name in listens}
    contents |= {name: "\n".join(map(json.dumps, given.get("feedback", []))) for name in contents if "feedback" in name}
    left_out = [name for name in contents if "feedback" in name]
    for name, content in contents.items():
        write(folder / "unpacked" / name, content)
    for name in ("export.zip", "under another name"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            for member, content in contents.items():
                archive.writestr(member, content)
        yield WrittenCase(name, [folder / name], left_out=left_out)
    yield WrittenCase("folder", [folder / "unpacked"], left_out=left_out)
    yield WrittenCase("lines", [write(folder / "x.jsonl", "\n".join(texts) + "\n\n")])
    yield WrittenCase("array", [write(folder / "u_lb-2026-01-01.json", lines)])
    empty = write(folder / "empty" / "listens" / "2026" / "1.jsonl", "")
    yield WrittenCase("nothing", [empty.parents[2]], frozenset({"zero_rows"}), _check_refused)


def _check_refused(result: Any) -> list[str]:
    return [] if result.exit_code == DataError.exit_code else [f"exit code {result.exit_code}"]


def write_csv_lines(case: Mapping[str, Any], folder: Path) -> Iterator[WrittenCase]:
    """The lines, in all variants of bytes; and 200 lines of which a page comes twice."""
    text = "\n".join(case["given"]["lines"]) + "\n"
    variants = {"plain": text, "BOM": "\ufeff" + text, "CRLF": text.replace("\n", "\r\n"), "no last end": text.rstrip("\n")}
    for name, variant in variants.items():
        yield WrittenCase(name, [write(folder / f"{name}.csv", variant)])
    rows = [f"artist,album,title {number},23 Feb 2016 {number // 60:02}:{number % 60:02}\n" for number in range(200)]

    def check_doubled(result: Any) -> list[str]:
        counts = [result.report[name] for name in ("rows_read", "rows_stored", "rows_duplicate")]
        return [] if counts == [400, 200, 200] and result.report["notes"] else [f"{counts} without a note, right is [400, 200, 200]"]

    yield WrittenCase("200 lines twice", [write(folder / "twice.csv", "".join(rows * 2))], frozenset({"rule"}), check_doubled)


def write_csv_and_json(case: Mapping[str, Any], folder: Path) -> Iterator[WrittenCase]:
    """The file of each form, alone."""
    csv = write(folder / "x.csv", "\n".join(case["given"]["csv"]))
    yield WrittenCase("CSV", [csv], frozenset({"csv_report", "second_import"}))
    yield WrittenCase("JSON", [write(folder / "x.json", case["given"]["json"])], frozenset({"json_report", "second_import"}))


def write_stamps(case: Mapping[str, Any], folder: Path) -> Iterator[WrittenCase]:
    """A CSV with a row for each of `uts`."""
    stamps = case["given"]["uts"]
    lines = [f'"{uts}","","artist","","","","title {number}",""' for number, uts in enumerate(stamps)]
    times = [datetime.fromtimestamp(int(uts), UTC) if str(uts).lstrip("-").isdecimal() else None for uts in stamps]
    refs = [f"lastfm:{at:%Y-%m-%dT%H:%M:%SZ}" if at else "" for at in times]
    yield WrittenCase("stamps", [write(folder / "x.csv", "\n".join([UTS_HEADER, *lines]))], refs=refs)


def write_pages(case: Mapping[str, Any], folder: Path) -> Iterator[WrittenCase]:
    """Pages of the API, newest first, as a tool saves them; the errors that it met stay among them, and the last one ends the file."""
    given = case["given"]["pages"]
    errors = {error["page"]: error for error in case["given"].get("errors", [])}
    pages: list[dict[str, Any]] = []
    newest, place = int(T0.timestamp()), 0
    for page in range(1, given["count"] + 1):
        error = errors.get(page, {})
        if "body" in error:
            pages.append(error["body"])
        if error.get("then", "ok") != "ok":
            break
        place -= page == given.get("shift_at_page")
        rows: list[dict[str, Any]] = [
            {"name": f"t {number}", "artist": {"#text": "a"}, "date": {"uts": str(newest - 200 * number)}}
            for number in range(place, place + given["per_page"])
        ]
        place += given["per_page"]
        now = {"name": "now", "artist": {"#text": "a"}, "@attr": {"nowplaying": "true"}}
        pages.append({"track": [now, *rows] if given.get("nowplaying_on_each") else rows, "@attr": {"page": str(page)}})

    def check_hidden(result: Any) -> list[str]:
        hidden = any(error.get("body", {}).get("error") == 17 for error in errors.values())
        says = any("hides its listening" in file["problem"] for file in result.report["files_broken"])
        return [] if hidden == says else ["the hidden profile is not named"]

    yield WrittenCase("pages", [write(folder / "x.json", pages)], check=check_hidden)


def write_names(case: Mapping[str, Any], folder: Path) -> Iterator[WrittenCase]:
    """Each name as delivered by a scrobbler, and decoded in an export of the same play."""
    names, decoded = case["given"]["names"], case["expect"]["decoded_for_matching"]
    start = int(T0.timestamp()) - 86_400
    listens = [make_listen(start + 1000 * number, name, f"Song {number}") for number, name in enumerate(names)]
    plays = [
        make_play(datetime.fromtimestamp(start + 1000 * number + 200, UTC), 200_000, master_metadata_album_artist_name=name,
                  master_metadata_track_name=f"Song {number}")
        for number, name in enumerate(decoded)
    ]  # fmt: skip
    write(folder / "x.jsonl", "\n".join(map(json.dumps, listens)))
    write(folder / "endsong_0.json", plays)
    yield WrittenCase("names", [folder], names=names)


FORMS: tuple[tuple[frozenset[str], Callable[[Mapping[str, Any], Path], Iterator[WrittenCase]]], ...] = (
    (frozenset({"file_1", "file_2"}), write_spotify_files),
    (frozenset({"rows", "api"}), write_many_rows),
    (frozenset({"rows"}), write_timed_rows),
    (frozenset({"zip", "lines"}), write_listens),
    (frozenset({"lines"}), write_csv_lines),
    (frozenset({"csv", "json"}), write_csv_and_json),
    (frozenset({"uts"}), write_stamps),
    (frozenset({"pages"}), write_pages),
    (frozenset({"names"}), write_names),
)
"""The keys of `given` of each form; the first that fits is written."""

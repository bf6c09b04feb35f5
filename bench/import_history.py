"""The whole import (files → log → sink → Delta) compared with only reading the same files, in pairs A B A B.

Prints one JSON line; `ratio` is the time of the import over the time that Python's json (or pyarrow) takes to read the files and find
the duplicates: median of the pairs, with minimum and maximum. After each timed import bronze must hold every event id once.

    import_history.py listeners   50 listeners with 10,000 plays of one year each      (aim: under 60 s)
    import_history.py years       one listener with 200,000 plays of ten years         (aim: under 120 s)
    import_history.py listenbrainz  the zip of one listener with a million listens   (aim: under 60 s)
    import_history.py events      a Parquet file of a million events                   (aim: 100,000 a second)
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from soundlake import wiring
from soundlake.importing import ImportReport
from soundlake.progress import StepList
from soundlake.settings import Settings

ROWS_PER_FILE = 15_000  # as in real exports
SHAPES = {
    "listeners": (50, 10_000, 365), "years": (1, 200_000, 3650), "listenbrainz": (1, 1_000_000, 3650), "events": (16_000, 62, 90),
}  # fmt: skip
LISTENS = "listens.zip"


def write_exports(folder: Path, listeners: int, plays: int, days: int) -> None:
    """Folders of extended exports, one for each listener, with one repeated row in each."""
    for listener in range(listeners):
        rows = list(make_rows(listener, plays, days))
        rows.append(rows[0])
        target = folder / f"listener-{listener:03d}"
        target.mkdir(parents=True)
        for number, start in enumerate(range(0, len(rows), ROWS_PER_FILE)):
            (target / f"Streaming_History_Audio_{number}.json").write_text(json.dumps(rows[start : start + ROWS_PER_FILE], indent=2))


def make_rows(seed: int, plays: int, days: int) -> Iterator[dict[str, object]]:
    """Rows of the extended form of 2025."""
    chance = random.Random(seed)
    end = datetime(2025, 1, 1, tzinfo=UTC)
    for number in range(plays):
        track = int(chance.paretovariate(0.8)) % 40_000
        at = end - timedelta(seconds=int(number * days * 86_400 / plays) + chance.randrange(60))
        yield {
            "ts": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "platform": chance.choice(("android", "ios", "windows", "cast")),
            "ms_played": chance.randrange(400_000), "conn_country": "DE", "ip_addr": None,
            "master_metadata_track_name": f"Track {track}", "master_metadata_album_artist_name": f"Artist {track % 4_000}",
            "master_metadata_album_album_name": f"Album {track % 9_000}", "spotify_track_uri": f"spotify:track:{track:022d}",
            "episode_name": None, "episode_show_name": None, "spotify_episode_uri": None, "audiobook_title": None, "audiobook_uri": None,
            "audiobook_chapter_uri": None, "audiobook_chapter_title": None, "reason_start": "trackdone",
            "reason_end": chance.choice(("trackdone", "fwdbtn", "endplay")), "shuffle": bool(track % 2), "skipped": bool(track % 3),
            "offline": False, "offline_timestamp": int(at.timestamp()), "incognito_mode": False,
        }  # fmt: skip


def write_listens(folder: Path, listeners: int, plays: int, days: int) -> None:  # noqa: ARG001  # one listener
    """The zip that ListenBrainz exports: a file of lines a month, with one repeated listen."""
    chance = random.Random(1)
    start = int(datetime(2015, 1, 1, tzinfo=UTC).timestamp())
    lines: dict[str, list[str]] = {}
    for number in range(plays):
        track = int(chance.paretovariate(0.8)) % 40_000
        at = start + number * days * 86_400 // plays
        info = {
            "duration_ms": 180_000 + track, "media_player": "Spotify", "submission_client": "listenbrainz", "music_service": "spotify.com",
            "spotify_id": f"https://open.spotify.com/track/{track:022d}", "artist_names": [f"Artist {track % 4_000}"],
        }  # fmt: skip
        names = {"artist_name": f"Artist {track % 4_000}", "track_name": f"Track {track}", "release_name": f"Album {track % 9_000}"}
        mapping = {"recording_mbid": str(UUID(int=track)), "artist_mbids": [str(UUID(int=track % 4_000))]}
        metadata = {**names, "additional_info": info, "mbid_mapping": mapping}
        listen = {"listened_at": at, "inserted_at": at + 200.5, "track_metadata": metadata}
        month = datetime.fromtimestamp(at, UTC).strftime("listens/%Y/%-m.jsonl")
        lines.setdefault(month, []).append(json.dumps(listen))
    with zipfile.ZipFile(folder / LISTENS, "w", zipfile.ZIP_DEFLATED) as archive:
        for month, texts in lines.items():
            archive.writestr(month, "\n".join([*texts, texts[0]] if month == next(iter(lines)) else texts))
        archive.writestr("feedback.jsonl", '{"recording_msid": "x", "score": 1}')


def write_events(folder: Path, listeners: int, plays: int, days: int) -> None:
    """A Parquet file with ten fields of the contract, times as text."""
    count = listeners * plays + 8_000
    chance = random.Random(1)
    end = datetime(2025, 1, 1, tzinfo=UTC)
    times = [end - timedelta(seconds=int(number * days * 86_400 / count)) for number in range(count)]
    items = [f"item {int(chance.paretovariate(0.8)) % 25_000}" for _ in range(count)]
    columns = {
        "event_id": [str(UUID(int=chance.getrandbits(128))) for _ in range(count)],
        "user_id": [f"user-{chance.randrange(listeners)}" for _ in range(count)],
        "event_type": ["play"] * count, "track_id": items, "track_name": items, "artist_name": items, "album_name": items,
        "duration_ms": [180_000] * count, "played_at": [time.strftime("%Y-%m-%dT%H:%M:%SZ") for time in times],
        "device_type": ["desktop"] * count,
    }  # fmt: skip
    pq.write_table(pa.table(columns), folder / "events.parquet")


def read_exports(folder: Path) -> int:
    """The number of different plays in the files: the least work of any importer."""
    found = set()
    for path in folder.rglob("*.json"):
        for row in json.loads(path.read_text(encoding="utf-8")):
            found.add((path.parent.name, row["ts"], row["spotify_track_uri"], row["ms_played"], row["reason_start"], row["reason_end"]))
    return len(found)


def read_listens(folder: Path) -> int:
    """The number of different listens in the zip."""
    found = set()
    with zipfile.ZipFile(folder / LISTENS) as archive:
        for name in archive.namelist():
            for line in archive.read(name).splitlines() if name.startswith("listens/") else ():
                row = json.loads(line)
                found.add((row["listened_at"], row["track_metadata"]["artist_name"], row["track_metadata"]["track_name"]))
    return len(found)


def read_events(folder: Path) -> int:
    """The same for the file of events."""
    return len(set(pq.read_table(folder / "events.parquet", columns=None)["event_id"].to_pylist()))


WAYS = {"events": (write_events, read_events), "listenbrainz": (write_listens, read_listens)}


def run_import(folder: Path, shape: str, settings: Settings) -> ImportReport:
    """Import all files of the folder into a home."""
    with wiring.open_importer(settings, StepList()) as importer:
        if shape == "events":
            return importer.import_events([folder / "events.parquet"])
        return importer.import_history([folder], "anna" if shape == "listenbrainz" else None)


def check_bronze(settings: Settings, report: ImportReport, expected: int) -> None:
    """Bronze holds as many rows as the report and the other side counted, each id once."""
    ids = wiring.open_lake(settings).read("history", ["event_id"])["event_id"].to_pylist()
    assert len(set(ids)) == len(ids) == report.total.rows_stored == expected


def measure(folder: Path, shape: str, read: Callable[[Path], int]) -> tuple[float, float, float, int]:
    """Seconds of the import, of a second one and of reading alone, and the rows read."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        began = time.perf_counter()
        report = run_import(folder, shape, settings)
        imported = time.perf_counter()
        again = run_import(folder, shape, settings)
        repeated = time.perf_counter()
        assert again.total.rows_stored == 0
        expected = read(folder)
        ended = time.perf_counter()
        check_bronze(settings, report, expected)
    return imported - began, repeated - imported, ended - repeated, report.total.rows_read


def main() -> None:
    """Run one shape and print its line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write, read = WAYS.get(options.shape, (write_exports, read_exports))
        write(folder, *SHAPES[options.shape])
        runs = [measure(folder, options.shape, read) for _ in range(options.pairs)]
    ratios = [imported / alone for imported, _, alone, _ in runs]
    seconds = median(imported for imported, *_ in runs)
    line = {
        "benchmark": f"import_{options.shape}",
        "rows": runs[0][3],
        "seconds": seconds,
        "rows_per_second": runs[0][3] / seconds,
        "seconds_again": median(again for _, again, *_ in runs),
        "seconds_reading_alone": median(alone for _, _, alone, _ in runs),
        "ratio": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "pairs": options.pairs,
    }
    print(json.dumps({name: round(value, 2) if isinstance(value, float) else value for name, value in line.items()}))


if __name__ == "__main__":
    main()

"""A home with many listeners, some of whom are erased; and a search for their ids in everything that it holds."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from soundlake.broker.embedded import EmbeddedBroker
from soundlake.broker.publisher import Publisher
from soundlake.contract import HISTORY
from soundlake.settings import extend_environment

COMMAND = [sys.executable, "-m", "soundlake.cli.app"]
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def make_play(rng: random.Random, user_id: str, **fields: object) -> dict[str, object]:
    """A valid play of one of 30 songs."""
    song = rng.randrange(30)
    return {
        "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)), "event_type": "play", "user_id": user_id,
        "played_at": _EPOCH + timedelta(seconds=rng.randrange(14 * 86_400)), "track_id": f"track-{song}", "track_name": f"Song {song}",
        "artist_id": f"artist-{song % 7}", "artist_name": f"Artist {song % 7}", "duration_ms": 200_000, "ms_played": 190_000,
        "source": "generator", **fields,
    }  # fmt: skip


@dataclass
class ForgetHome:
    """A home with an embedded log. `erased` and `kept` are listeners; `stored` counts the valid plays of the kept ones."""

    folder: Path
    erased: list[str]
    kept: list[str]
    rng: random.Random = field(default_factory=lambda: random.Random(14))
    stored: int = 0

    @classmethod
    def make(cls, folder: Path, erased: int, kept: int) -> ForgetHome:
        """Listeners with ids of several forms."""
        forms = ("listener-{}-zq", "käthe {} öl", "{}@example.org", "spotify:user:{}xk")
        return cls(folder, [forms[n % 4].format(7_000_000 + n) for n in range(erased)], [f"kept-{n}" for n in range(kept)])

    def publish(self, listeners: list[str], plays: int) -> int:
        """Publish so many plays of each listener; returns how many."""
        rows = [make_play(self.rng, user_id) for user_id in listeners for _ in range(plays)]
        self.rng.shuffle(rows)
        with closing(self.open_log()) as log:
            report = Publisher(log).publish(pa.Table.from_pylist(rows))
        assert report.acknowledged == len(rows)
        self.stored += sum(row["user_id"] in self.kept for row in rows)
        return len(rows)

    def publish_broken(self) -> int:
        """Publish records that do not decode, with the ids in every form that is searched for; returns how many."""
        values = []
        for number, user_id in enumerate(self.erased):
            text = json.dumps({"who": user_id})
            values.append([
                json.dumps({"user_id": user_id, "event_type": "play"}).encode(),
                f"broken line of {user_id}!".encode(),
                json.dumps({"row": text}).encode(),
                b'{"payload": "' + base64.b64encode(text.encode()) + b'"}',
            ][number % 4])  # fmt: skip
        with closing(self.open_log()) as log:
            Publisher(log).publish_raw(HISTORY, [None] * len(values), values)
        return len(values)

    def open_log(self) -> EmbeddedBroker:
        """The log, whose topics exist once a command has run."""
        return EmbeddedBroker(self.folder / "broker.db")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the commands."""
        return extend_environment({"SOUNDLAKE_HOME": str(self.folder), "SOUNDLAKE_SINK_MAX_SECONDS": "0.2"})

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, which must be a good one."""
        done = subprocess.run([*COMMAND, *arguments], check=False, env=self.environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command; what it says goes into its log in the home, as a supervisor writes it."""
        log = self.folder / "logs" / f"{arguments[0]}.log"
        log.parent.mkdir(exist_ok=True, parents=True)
        with log.open("ab") as output:
            return subprocess.Popen([*COMMAND, *arguments], env=self.environment, stdout=output, stderr=output)

    @contextmanager
    def run_beside(self, *commands: tuple[str, ...]) -> Iterator[None]:
        """These services run for the block, and end well."""
        services = [self.start(*command) for command in commands]
        try:
            yield
            assert [service.poll() for service in services] == [None] * len(services), "a service ended"
        finally:
            for service in services:
                service.terminate()
            codes = [service.wait(60) for service in services]
        assert codes == [0] * len(services), [(self.folder / "logs" / f"{name}.log").read_text()[-2000:] for name, *_ in commands]

    def write_list(self) -> str:
        """A file, outside of the home, with one erased listener a line."""
        path = self.folder.with_name("listeners.txt")
        path.write_text("\n".join(self.erased), encoding="utf-8")
        return str(path)

    def find_bytes(self) -> list[str]:
        """The files of the home that hold an erased id, as it is or as JSON escapes it."""
        needles = {form.encode() for user_id in self.erased for form in (user_id, json.dumps(user_id)[1:-1])}
        found = []
        for path in self._list_files():
            content = path.read_bytes()
            found += [f"{path.name}: {needle!r}" for needle in needles if needle in content]
        return found

    def find_values(self) -> list[str]:
        """The columns of all tables that hold an erased id: a byte search sees nothing in compressed files."""
        erased = set(self.erased)
        found = []
        for path in self.folder.glob("warehouse/**/*.duckdb"):
            with duckdb.connect(str(path), read_only=True) as db:
                for schema, table in db.execute("select table_schema, table_name from information_schema.tables").fetchall():
                    found += _find_in(db.execute(f'select * from "{schema}"."{table}"').to_arrow_table(), f"{path.name} {table}", erased)
        for path in self.folder.glob("lake/**/*.parquet"):  # also files that no version names
            with duckdb.connect() as db:
                found += _find_in(db.execute("select * from read_parquet(?)", [str(path)]).to_arrow_table(), str(path), erased)
        return found

    def count_kept(self) -> int:
        """The rows of the kept listeners in bronze/plays."""
        rows = DeltaTable(str(self.folder / "lake" / "bronze" / "plays")).to_pyarrow_table(columns=["user_id", "event_id"])
        assert len(set(rows["event_id"].to_pylist())) == len(rows)
        return sum(user_id in set(self.kept) for user_id in rows["user_id"].to_pylist())

    def read_check(self) -> dict[str, dict[str, object]]:
        """The comparisons of `soundlake check`, which must hold, by name."""
        return {check["name"]: check for check in json.loads(self.run("check", "--json").stdout)["checks"]}

    def _list_files(self) -> list[Path]:
        """Every file but DuckDB's extensions, which are downloaded programs of 80 MB."""
        return [path for path in self.folder.rglob("*") if path.is_file() and "extensions" not in path.parts]


def _find_in(table: pa.Table, name: str, erased: set[str]) -> list[str]:
    words = {form.encode() for user_id in erased for form in (user_id, json.dumps(user_id)[1:-1], json.dumps(json.dumps(user_id))[2:-2])}
    found = []
    for column in table.column_names:
        if pa.types.is_string(table[column].type) or pa.types.is_binary(table[column].type):
            text = b"\n".join(value.encode() if isinstance(value, str) else value for value in table[column].to_pylist() if value)
            found += [f"{name}.{column}: {word!r}" for word in words if word in text]
    return found

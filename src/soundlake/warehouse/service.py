"""The warehouse: dbt builds it in a private file, then a snapshot is published in one step."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb

from soundlake.contract.topics import HISTORY, PLAYS
from soundlake.errors import DataError, Permanent, UsageError
from soundlake.warehouse.build_lock import hold_build_lock
from soundlake.warehouse.build_state import (
    BUILD,
    BronzeLake,
    Plan,
    begin_build,
    finish_build,
    open_build,
    plan_build,
    read_last_finished_build,
)
from soundlake.warehouse.dbt_environment import build_dbt_environment
from soundlake.warehouse.dbt_process import DbtProcess, DbtResult, Progress
from soundlake.warehouse.lake_copies import copy_to_lake
from soundlake.warehouse.observer import BuildObserver, NoOpObserver, TransformReport
from soundlake.warehouse.publish import publish_snapshot, translate_disk_errors
from soundlake.warehouse.snapshot import is_published, open_snapshot

PROJECT = Path(__file__).parents[3] / "dbt"


class Warehouse:
    """The warehouse in a folder: build.duckdb, which only builds open, and the snapshots, which readers open."""

    def __init__(
        self,
        folder: Path,
        lake: BronzeLake,
        *,
        memory_limit: str = "4GB",
        models_from_spotify_api: bool = False,
        project: Path = PROJECT,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        observer: BuildObserver | None = None,
    ) -> None:
        if not (project / "dbt_project.yml").is_file():
            raise UsageError(f"{project}: no dbt project here", next_step="run from a checkout of Soundlake")
        self.folder = folder
        self._lake, self._project, self._now, self._memory_limit = lake, project, now, memory_limit
        self._models_from_spotify_api = models_from_spotify_api
        self._observer = observer or NoOpObserver()
        self._dbt: DbtProcess | None = None

    @property
    def has_plays(self) -> bool:
        """Whether bronze has live plays or an imported history."""
        return any(self._lake.has_rows(topic.table) for topic in (PLAYS, HISTORY))

    def transform(
        self, *, full_refresh: bool = False, test: bool = False, on_progress: Progress | None = None, wait_seconds: float = 0.0
    ) -> TransformReport:
        """Build what is new and publish it; with `test`, publish only if the data tests pass.

        Raises Unavailable if another build does not end in that time, Permanent if a model fails, DataError if a data test fails.
        """
        begun = time.monotonic()
        try:
            with hold_build_lock(self.folder, wait_seconds):
                report = self._transform(full_refresh=full_refresh, test=test, on_progress=on_progress)
        except Exception:
            self._observer.record_failed_build(time.monotonic() - begun)
            raise
        self._observer.record_build(report)
        return report

    def _transform(self, *, full_refresh: bool, test: bool, on_progress: Progress | None) -> TransformReport:
        begun = time.monotonic()
        plan = self._plan(full_refresh=full_refresh)
        result = self._build(plan, on_progress) if plan.has_work else None
        if test:
            check_result(self.run_dbt("test", "--exclude", "test_type:unit", on_progress=on_progress))
        snapshot_id = self._publish()
        with duckdb.connect(str(self.folder / BUILD), read_only=True) as connection:
            rows = _count_rows(connection)
        return TransformReport(
            snapshot=snapshot_id,
            built=result is not None,
            full_refresh_reasons=plan.reasons,
            new_batches={w.table: w.high - w.low for w in plan.windows if w.high > w.low},
            rows=rows,
            seconds_by_model={n.name: round(n.seconds, 3) for n in result.nodes if n.kind == "model"} if result else {},
            seconds=round(time.monotonic() - begun, 3),
        )

    def run_dbt(self, *arguments: str, on_progress: Progress | None = None) -> DbtResult:
        """Run one dbt command on the build database in its present state."""
        if self._dbt is None:
            self._dbt = DbtProcess(self.environment())
        return self._dbt.run(arguments, on_progress)

    def environment(self) -> dict[str, str]:
        """The environment variables that dbt, profiles.yml and the sources read."""
        return build_dbt_environment(
            self._project, self.folder, self._lake, self._memory_limit, models_from_spotify_api=self._models_from_spotify_api
        )

    def close(self) -> None:
        """End the process in which dbt runs."""
        if self._dbt is not None:
            self._dbt.close()
            self._dbt = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _plan(self, *, full_refresh: bool) -> Plan:
        fingerprint = _fingerprint(self._project, models_from_spotify_api=self._models_from_spotify_api)
        with open_build(self.folder / BUILD) as connection:
            plan = plan_build(connection, self._lake, fingerprint, full_refresh=full_refresh)
            if plan.has_work:
                begin_build(connection, plan, fingerprint, self._now())
        return plan

    def _build(self, plan: Plan, on_progress: Progress | None) -> DbtResult:
        arguments = ["run", *(["--full-refresh"] if plan.is_full_refresh else [])]
        result = self.run_dbt(*arguments, on_progress=on_progress)
        check_result(result)
        with open_build(self.folder / BUILD) as connection:
            finish_build(connection, plan, self._now())
        return result

    def _publish(self) -> str:
        with translate_disk_errors(self.folder), open_build(self.folder / BUILD) as connection:
            connection.execute("checkpoint")
            build = read_last_finished_build(connection)
        snapshot_id = f"{build.finished_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{build.number:06d}"
        if not is_published(self.folder, snapshot_id):
            publish_snapshot(self.folder / BUILD, self.folder, snapshot_id)
        with open_snapshot(self.folder) as snapshot:
            copy_to_lake(snapshot.connection, self._lake, build.number, build.previous, whole=build.is_full_refresh)
        return snapshot_id


def check_result(result: DbtResult) -> None:
    """Raises DataError if only data tests failed, Permanent for any other failure of a dbt command."""
    if not result.success:
        raise _explain_failure(result)


def _explain_failure(result: DbtResult) -> Permanent:
    if not result.failures:
        return Permanent(f"dbt failed: {result.exception}", next_step="see dbt/logs/dbt.log in the warehouse's folder")
    failures = "; ".join(f"{node.kind} {node.name}: {(node.message or '').strip()}" for node in result.failures[:5])
    error = DataError if all(node.kind == "test" for node in result.failures) else Permanent
    return error(
        f"{len(result.failures)} of the warehouse's models or tests failed: {failures}",
        next_step="fix the cause and run it again; the previous snapshot stays current",
    )


def _count_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    names = connection.execute(
        "select table_schema, table_name from information_schema.tables where table_schema in ('silver', 'gold') order by all"
    ).fetchall()
    counts = {}
    for schema, name in names:
        row = connection.execute(f'select count(*) from "{schema}"."{name}"').fetchone()  # noqa: S608  # names come from the catalogue
        counts[name] = int(row[0]) if row else 0
    return counts


def _fingerprint(project: Path, *, models_from_spotify_api: bool) -> str:
    """A hash of everything that decides the rows of the models. If it changes, the next build is a full refresh."""
    digest = hashlib.sha256()
    for path in sorted([project / "dbt_project.yml", *project.glob("models/**/*.sql"), *project.glob("macros/**/*.sql")]):
        digest.update(path.relative_to(project).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(b"models from Spotify's API" if models_from_spotify_api else b"")
    return digest.hexdigest()

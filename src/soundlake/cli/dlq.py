"""`soundlake dlq …`: list rejected records, show one, publish them again after a fix."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundlake.operations.dead_letters import DeadLetter, DeadLetterFilter, Listing, RejectedRecord, ReplayReport

Reasons = Annotated[list[str] | None, typer.Option("--reason", metavar="REASON", help="Only this reason; may be repeated.")]
Topics = Annotated[list[str] | None, typer.Option("--topic", metavar="TOPIC", help="Only this topic; may be repeated.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only what was rejected since: 2h, 7d, 2026-11-22 or 2026-11-22T16:00Z (UTC).")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

EXIT_INCOMPLETE = 1
_OPTIONAL_COLUMNS = ("replayed", "bytes", "detail", "rejected at (UTC)")
"""What a narrow terminal leaves out, the first one first; `dlq show` and --json have everything."""
_CHARACTERS_SHOWN = 16 * 1024


def run_dlq_list(
    *,
    reason: Reasons = None,
    topic: Topics = None,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Show only the newest ones; all are counted.")] = 20,
    as_json: Json = False,
) -> None:
    """List rejected records: why each was rejected, and its topic, partition and offset. `dlq show` prints one with all its fields."""
    from soundlake.cli.terminal import print_json
    from soundlake.operations.dead_letters import list_dead_letters
    from soundlake.settings import load_settings
    from soundlake.wiring import open_lake

    listing = list_dead_letters(open_lake(load_settings()), _parse_filter(reason, topic, since), limit)
    if as_json:
        print_json(listing.as_json())
    else:
        _print_listing(listing)


def run_dlq_show(
    record: Annotated[str, typer.Argument(metavar="ID", help="TOPIC/PARTITION/OFFSET, as `dlq list` shows it.", show_default=False)],
    *,
    as_json: Json = False,
) -> None:
    """Show one rejected record: coordinates, reason, key and value. Exit code 2 if there is no such record."""
    from soundlake.cli.terminal import print_json
    from soundlake.operations.dead_letters import RecordId, find_dead_letter
    from soundlake.settings import load_settings
    from soundlake.wiring import open_lake

    found = find_dead_letter(open_lake(load_settings()), RecordId.parse(record))
    if as_json:
        print_json(found.as_json())
    else:
        _print_record(found)


def run_dlq_replay(
    *,
    reason: Reasons = None,
    topic: Topics = None,
    since: Since = None,
    to: Annotated[str | None, typer.Option("--to", metavar="TOPIC", help="Publish to this topic; default: where each came from.")] = None,
    repair_with: Annotated[
        str | None,
        typer.Option(
            "--repair-with",
            metavar="COMMAND",
            help="First pipe the values through this program, one line each, for example 'jq -c …'; an empty line leaves a record out.",
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also what was replayed before.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Look at this many records at most.")] = None,
    as_json: Json = False,
) -> None:
    """Publish rejected records again after a fix, each once: those that decode now. It can be run again at any time, also after a kill.

    Exit code 1 if the log did not acknowledge every record.
    """
    from soundlake.cli.terminal import print_json, show_progress
    from soundlake.operations.dead_letters.repair_program import keep_unchanged, repair_with_program
    from soundlake.settings import load_settings
    from soundlake.wiring import open_replayer

    wanted, target = _parse_filter(reason, topic, since), None if to is None else _check_topic("--to", to)
    repair = keep_unchanged if repair_with is None else repair_with_program(repair_with)
    with show_progress() as reporter, open_replayer(load_settings(), reporter) as replayer:
        report = replayer.replay(wanted, target=target, repair=repair, again=again, limit=limit)
    if as_json:
        print_json(report.as_json())
    else:
        _print_replay(report)
    if not report.is_complete:
        raise typer.Exit(EXIT_INCOMPLETE)


def _parse_filter(reasons: list[str] | None, topics: list[str] | None, since: str | None) -> DeadLetterFilter:
    from soundlake.operations.dead_letters import DeadLetterFilter

    names = tuple(_check_topic("--topic", name) for name in topics or ())
    return DeadLetterFilter(tuple(reasons or ()), names, None if since is None else _parse_since(since))


def _check_topic(option: str, name: str) -> str:
    from soundlake.contract import TOPIC_BY_NAME
    from soundlake.errors import UsageError

    if name not in TOPIC_BY_NAME:
        raise UsageError(f"{option} {name}: there is no such topic", next_step=f"the topics are {', '.join(TOPIC_BY_NAME)}")
    return name


def _parse_since(text: str) -> datetime:
    """A time (UTC unless it has a zone), or a duration before now."""
    from soundlake.cli.durations import parse_duration
    from soundlake.errors import UsageError

    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_duration(text))
    except (UsageError, OverflowError):
        raise UsageError(f"--since {text}: neither a time nor a duration", next_step="write 2h, 7d or 2026-11-22T16:00Z") from None


def _print_listing(listing: Listing) -> None:
    from soundlake.cli.terminal import print_rows, print_table

    print_table("Rejected", {"records": listing.total, "of these replayed": listing.replayed})
    print_table("By reason", listing.by_reason or {"none": ""})
    print_table("By topic", listing.by_topic or {"none": ""})
    if listing.records:
        rows = [_describe(record) for record in listing.records]
        print_rows(f"The newest {len(rows)} (`soundlake dlq show ID` prints one)", rows, optional=_OPTIONAL_COLUMNS)


def _describe(record: DeadLetter) -> dict[str, str]:
    return {
        "rejected at (UTC)": f"{record.rejected_at:%Y-%m-%d %H:%M:%S}",
        "id": str(record.id),
        "reason": record.reason,
        "bytes": f"{record.bytes:,}",
        "replayed": "" if record.replayed_at is None else f"{record.replay} {record.replayed_at:%m-%d %H:%M}",
        "detail": record.detail,
        "value": record.preview,
    }


def _print_record(record: RejectedRecord) -> None:
    from soundlake.cli.terminal import print_fields

    summary, value = record.summary, record.escaped_value
    rest = len(value) - _CHARACTERS_SHOWN
    print_fields({
        "id": str(summary.id),
        "log": summary.log,
        "topic": summary.topic,
        "partition": str(summary.partition),
        "offset": str(summary.offset),
        "rejected at (UTC)": f"{summary.rejected_at:%Y-%m-%d %H:%M:%S}",
        "reason": summary.reason,
        "detail": summary.detail,
        "event_id": summary.event_id or "(null)",
        "replay": "never" if summary.replayed_at is None else f"{summary.replay} at {summary.replayed_at:%Y-%m-%d %H:%M:%S} (UTC)",
        "bytes": f"{summary.bytes:,}",
        "key": summary.key,
        "value": value if rest <= 0 else f"{value[:_CHARACTERS_SHOWN]}… ({rest:,} characters more: --json prints all)",
    })  # fmt: skip


def _print_replay(report: ReplayReport) -> None:
    from soundlake.cli.terminal import print_table

    counts = {
        "replayed": report.replayed,
        "replayed before": report.replayed_before,
        "rows of imports (import their files again)": report.import_rows,
        "left out by --repair-with": report.left_out,
        "may be in the log (run it again)": report.unsure,
        "interrupted run: found in the log": report.interrupted_published,
        "interrupted run: not in the log": report.interrupted_lost,
        "interrupted run: unknown (--again replays them)": report.interrupted_unknown,
        **{f"not taken by the log: {reason}": count for reason, count in report.failed.items()},
        **{f"still rejected: {reason}": count for reason, count in report.still_rejected.items()},
    }
    print_table("Replay", {name: count for name, count in counts.items() if count or name == "replayed"})

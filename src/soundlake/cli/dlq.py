"""`soundlake dlq …`: what was rejected, why and from where; and published anew, once, after a fix."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundlake.operations.dead_letters import DeadLetter, DeadLetterFilter, Listing, ReplayReport

Reasons = Annotated[list[str] | None, typer.Option("--reason", metavar="REASON", help="Only this reason; may be given several times.")]
Topics = Annotated[list[str] | None, typer.Option("--topic", metavar="TOPIC", help="Only from this topic; may be given several times.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only what was rejected since: 2h, 7d, 2026-11-22 or 2026-11-22T16:00Z (UTC).")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def run_dlq_list(
    *,
    reason: Reasons = None,
    topic: Topics = None,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Show the newest so many; all are counted.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what was rejected: why, and from which topic, partition and offset, with the beginning of its bytes."""
    from soundlake.cli.terminal import print_json
    from soundlake.operations.dead_letters import list_dead_letters
    from soundlake.settings import load_settings
    from soundlake.wiring import open_lake

    listing = list_dead_letters(open_lake(load_settings()), _parse_wanted(reason, topic, since), limit)
    if as_json:
        print_json(listing.as_json())
    else:
        _print_listing(listing)


def run_dlq_replay(
    *,
    reason: Reasons = None,
    topic: Topics = None,
    since: Since = None,
    to: Annotated[str | None, typer.Option("--to", metavar="TOPIC", help="Publish there; default: each to the topic it came from.")] = None,
    mend: Annotated[
        str | None,
        typer.Option("--mend", metavar="COMMAND", help="Send the values, a line each, through this program first, for example 'jq -c …'."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also what was replayed before.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Look at so many records at most.")] = None,
    as_json: Json = False,
) -> None:
    """Publish rejected records anew after a fix, each once: those that decode now. Running it again, also after a kill, is safe."""
    from soundlake.cli.terminal import print_json, show_progress
    from soundlake.operations.dead_letters.repair_program import keep_unchanged, repair_with_program
    from soundlake.settings import load_settings
    from soundlake.wiring import open_replayer

    wanted, target = _parse_wanted(reason, topic, since), None if to is None else _check_topic("--to", to)
    step = keep_unchanged if mend is None else repair_with_program(mend)
    with show_progress() as reporter, open_replayer(load_settings(), reporter) as replayer:
        report = replayer.replay(wanted, target=target, mend=step, again=again, limit=limit)
    if as_json:
        print_json(report.as_json())
    else:
        _print_replay(report)
    if not report.is_whole:
        raise typer.Exit(1)


def _parse_wanted(reasons: list[str] | None, topics: list[str] | None, since: str | None) -> DeadLetterFilter:
    from soundlake.operations.dead_letters import DeadLetterFilter

    named = tuple(_check_topic("--topic", name) for name in topics or ())
    return DeadLetterFilter(tuple(reasons or ()), named, None if since is None else _parse_since(since))


def _check_topic(option: str, name: str) -> str:
    from soundlake.contract import TOPIC_BY_NAME
    from soundlake.errors import UsageError

    if name not in TOPIC_BY_NAME:
        raise UsageError(f"{option} {name}: there is no such topic", next_step=f"the topics are {', '.join(TOPIC_BY_NAME)}")
    return name


def _parse_since(text: str) -> datetime:
    """A moment (UTC unless it says otherwise), or a length of time before now."""
    from soundlake.cli.durations import parse_duration
    from soundlake.errors import UsageError

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_duration(text))
    except (UsageError, OverflowError):
        raise UsageError(f"--since {text}: neither a moment nor a length of time", next_step="write 2h, 7d or 2026-11-22T16:00Z") from None


def _print_listing(listing: Listing) -> None:
    from soundlake.cli.terminal import print_rows, print_table

    print_table("Rejected", {"records": listing.total, "of these replayed": listing.replayed})
    print_table("By reason", listing.by_reason or {"none": ""})
    print_table("By topic", listing.by_topic or {"none": ""})
    if listing.records:
        columns = ("rejected at (UTC)", "from", "reason", "detail", "bytes", "replayed", "value")
        print_rows(f"The newest {len(listing.records)}", columns, [_describe(record) for record in listing.records])


def _describe(record: DeadLetter) -> tuple[str, ...]:
    place = f"{record.topic}[{record.partition}]@{record.offset}"
    replayed = "" if record.replayed_at is None else f"{record.replay} {record.replayed_at:%m-%d %H:%M}"
    return f"{record.rejected_at:%Y-%m-%d %H:%M:%S}", place, record.reason, record.detail, str(record.bytes), replayed, record.preview


def _print_replay(report: ReplayReport) -> None:
    from soundlake.cli.terminal import print_table

    told = {
        "replayed": report.replayed,
        "replayed before": report.replayed_before,
        "rows of imports (import their files again)": report.rows_of_imports,
        "left out by --mend": report.left_out,
        "may be in the log (run it again)": report.unsure,
        "of a run cut short: found in the log": report.found_of_an_earlier_run,
        "of a run cut short: not in the log": report.lost_of_an_earlier_run,
        "of a run cut short: not known (--again replays them)": report.unknown_of_an_earlier_run,
        **{f"refused by the log: {reason}": count for reason, count in report.failed.items()},
        **{f"still no event: {reason}": count for reason, count in report.still_refused.items()},
    }
    print_table("Replay", {name: count for name, count in told.items() if count or name == "replayed"})

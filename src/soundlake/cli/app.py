"""The command `soundlake`: registers the commands, and prints an error as a few lines with an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from soundlake.cli import (
    check,
    compact,
    demo,
    dlq,
    doctor,
    feed,
    forget,
    generate,
    imports,
    recommend,
    serve,
    sink,
    spotify,
    spotify_poll,
    status,
    stream,
    topics,
    transform,
    up,
)
from soundlake.errors import SoundlakeError
from soundlake.logs import configure_logs, is_json, report

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="soundlake",
    help="Listening events to a lake, a warehouse, recommendations and a dashboard.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong use, 3 the data is wrong (a check or a test failed, a file is broken), 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
debugging = False


@app.callback()
def configure(
    context: typer.Context,
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log JSON, one object a line, on standard error.")] = False,
) -> None:
    """Apply the options that come before the command."""
    if log_json:
        from soundlake.settings import set_variable

        set_variable("SOUNDLAKE_LOG_JSON", "true")
        configure_logs(context.invoked_subcommand or "soundlake", as_json=True)
    global debugging  # noqa: PLW0603  # read after the command has ended, when its error is reported
    debugging = debug


app.command("demo")(demo.run_demo)
app.command("up")(up.run_up)
app.command("down")(up.run_down)
app.command("restart")(up.run_restart)
app.command("status")(status.run_status)
app.command("doctor")(doctor.run_doctor)
app.command("generate")(generate.run_generate)
app.command("feed")(feed.run_feed)
app.command("sink")(sink.run_sink)
app.command("stream")(stream.run_stream)
app.command("compact")(compact.run_compact)
app.command("transform")(transform.run_transform)
app.command("dbt", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(transform.run_dbt)
app.command("check")(check.run_check)
app.command("forget")(forget.run_forget)

topics_app = typer.Typer(help="The topics of the event log.", no_args_is_help=True)
topics_app.command("create")(topics.run_topics_create)
app.add_typer(topics_app, name="topics")

dlq_app = typer.Typer(help="Rejected records: list them, show one, publish them again after a fix.", no_args_is_help=True)
dlq_app.command("list")(dlq.run_dlq_list)
dlq_app.command("show")(dlq.run_dlq_show)
dlq_app.command("replay")(dlq.run_dlq_replay)
app.add_typer(dlq_app, name="dlq")

imports_app = typer.Typer(
    cls=imports.ImportGroup, help="Import listening history from files: `soundlake import PATH…` recognises them.", no_args_is_help=True
)
imports_app.command(imports.ANY)(imports.run_import_any)
imports_app.command("spotify-export")(imports.run_import_spotify_export)
imports_app.command("listenbrainz")(imports.run_import_listenbrainz)
imports_app.command("lastfm")(imports.run_import_lastfm)
imports_app.command("events")(imports.run_import_events)
app.add_typer(imports_app, name="import")

recommend_app = typer.Typer(help="Recommendations and their evaluation.", no_args_is_help=True)
recommend_app.command("evaluate")(recommend.run_recommend_evaluate)
app.add_typer(recommend_app, name="recommend")

spotify_app = typer.Typer(help="Accounts of Spotify: connect them, see how they are.", no_args_is_help=True)
spotify_app.command("login")(spotify.run_spotify_login)
spotify_app.command("backfill")(spotify.run_spotify_backfill)
spotify_app.command("poll")(spotify_poll.run_spotify_poll)
spotify_app.command("status")(spotify.run_spotify_status)
spotify_app.command("disconnect")(forget.run_spotify_disconnect)
app.add_typer(spotify_app, name="spotify")

serve_app = typer.Typer(help="Programs with a user interface.", no_args_is_help=True)
serve_app.command("dashboard")(serve.serve_dashboard)
serve_app.command("fake-spotify")(serve.serve_fake_spotify)
app.add_typer(serve_app, name="serve")


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong use, 3 the data is wrong, 130 interrupted."""
    try:
        app()
    except SoundlakeError as error:
        sys.exit(_report(error, str(error), error.exit_code))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:  # noqa: BLE001  # the outermost handler: any error becomes two lines and an exit code
        text = f"unexpected {type(error).__name__}: {error}\n→ run `soundlake --debug …` and report what it shows"
        sys.exit(_report(error, text, EXIT_FAILED))


def _report(error: Exception, text: str, exit_code: int) -> int:
    if debugging:
        sys.excepthook(type(error), error, error.__traceback__)
    report(text if is_json() else f"error: {text}", error=error)
    return exit_code


if __name__ == "__main__":
    main()

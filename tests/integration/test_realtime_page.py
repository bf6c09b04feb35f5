"""The Real-time page in a browser, on Redis and on bronze: on the same half hour of events, both show what SQL counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import redis
from playwright.sync_api import Browser
from tests.browser import StartDashboard, Visit, open_visit
from tests.server_process import ServerProcess

from soundlake import wiring
from soundlake.cache import LIVE_SCHEMA
from soundlake.cache.redis_store import open_redis_store
from soundlake.contract import LIVE_TOPIC_OF_TYPE
from soundlake.generator import GeneratorConfig, make_world
from soundlake.settings import Settings

AHEAD_MINUTES, LONG_MINUTES = 12, 28
"""The events end that long after they are stored: every minute that the tests read is already complete."""
FIGURES = ("Active listeners", "Plays", "Started", "Skips", "Likes")
READ_PAGE = """() => {
    const read = (within, name) => within.querySelector(name).innerText.trim();
    const each = (name, read_one) => [...document.querySelectorAll(name)].map(read_one);
    return {
        busy: document.querySelector('[data-stale=true], [data-testid=stSkeleton]') !== null,
        figures: Object.fromEntries(each('[data-testid=stMetric]', metric =>
            [read(metric, '[data-testid=stMetricLabel]'), read(metric, '[data-testid=stMetricValue]')])),
        lists: each('ol.ranking', list => [...list.querySelectorAll('li')].map(item => [read(item, '.name'), read(item, '.amount')])),
        text: read(document, '[data-testid=stMain]'),
    };
}"""


@dataclass(frozen=True)
class Reading:
    """What a page showed at one moment: the minute of its figures, when it was read, and its three lists."""

    minute: str
    read_at: str
    figures: dict[str, str]
    tracks: list[list[str]]
    devices: list[list[str]]
    countries: list[list[str]]


def make_events_around_now() -> pa.Table:
    """Half an hour of generated events, moved to around now; some of them twice, as after a retry of the producer."""
    world = make_world(GeneratorConfig(listeners=800, days=1, seed=5, tracks=200).end_before(date(2026, 11, 21)))
    events = pa.concat_tables([world.make_events(chunk) for chunk in world.list_chunks()])
    moment = pa.timestamp("us", "UTC")
    begins = datetime(2026, 11, 20, 19, tzinfo=UTC)
    shift = datetime.now(UTC) - timedelta(minutes=LONG_MINUTES - AHEAD_MINUTES) - begins
    chosen = events.filter(
        pc.and_(
            pc.greater_equal(events["played_at"], pa.scalar(begins, moment)),
            pc.less(events["played_at"], pa.scalar(begins + timedelta(minutes=LONG_MINUTES), moment)),
        )
    )
    for name in ("played_at", "produced_at"):
        index = chosen.schema.get_field_index(name)
        chosen = chosen.set_column(index, chosen.schema.field(name), pc.add(chosen[name], pa.scalar(shift, pa.duration("us"))))
    return pa.concat_tables([chosen, chosen.slice(len(chosen) // 2, 500)])


@pytest.fixture(scope="module")
def home_with_events(redis_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the events in bronze, and Redis with the same events, written as Spark does: in overlapping parts."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(_env_file=None, home=home, broker="", lake="")
    with closing(wiring.open_broker(settings)) as broker:
        account = wiring.open_publisher(settings, broker).publish(make_events_around_now())
        assert account.acknowledged == account.sent
        wiring.build_sink(settings, broker, wiring.open_lake(settings)).run(until_drained=True)
    columns = ", ".join(LIVE_SCHEMA.names)
    countable = ask(home, f"select {columns} from happened").to_arrow_table().cast(LIVE_SCHEMA)
    redis.Redis.from_url(redis_server.server.url).flushdb()  # another test's events of the last minutes
    for part in (countable.slice(0, 300), countable.slice(200)):
        open_redis_store(redis_server.server.url).record(part, datetime.now(UTC))
    return home


@pytest.fixture(scope="module")
def visits(home_with_events: Path, redis_server: ServerProcess, browser: Browser, start_dashboard: StartDashboard) -> Iterator[list[Visit]]:
    """The page on Redis, and the page on bronze."""
    bases = [start_dashboard(home_with_events, SOUNDLAKE_CACHE=cache) for cache in (redis_server.server.url, "")]
    with open_visit(browser, bases[0]) as first, open_visit(browser, bases[1]) as second:
        for visit in (first, second):
            visit.open("real-time")
        yield [first, second]


def read_page(visit: Visit) -> Reading | None:
    """The figures and lists of the page; None while it is being drawn."""
    shown = visit.page.evaluate(READ_PAGE)
    words = [line.split() for line in shown["text"].splitlines()]
    minute = next((line[3] for line in words if line[:3] == ["The", "minute", "from"]), None)
    read_at = next((line[2] for line in words if line[:2] == ["Read", "at"]), None)
    if shown["busy"] or minute is None or read_at is None or len(shown["lists"]) != 3:
        return None
    return Reading(minute, read_at, shown["figures"], *shown["lists"])


def read_both(visits: list[Visit]) -> list[Reading]:
    """Both pages at the same minute; each is read twice with equal results, so that neither is half drawn."""
    for _ in range(400):
        before = [read_page(visit) for visit in visits]
        visits[0].page.wait_for_timeout(250)
        after = [read_page(visit) for visit in visits]
        equal = [reading for reading, again in zip(before, after, strict=True) if reading is not None and reading == again]
        if len(equal) == len(visits) and len({(reading.minute, reading.read_at[:5]) for reading in equal}) == 1:
            return equal
    raise AssertionError("the pages never showed the same minute")


def ask(home: Path, question: str, *terms: object) -> duckdb.DuckDBPyConnection:
    """SQL on bronze, independent of the page's code: each event once, a play at the time of its end."""
    lake = wiring.open_lake(Settings(_env_file=None, home=home, lake=""))
    stored = pa.concat_tables([lake.read(topic.table) for topic in LIVE_TOPIC_OF_TYPE.values() if topic.table != "now_playing"])
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    connection.register("stored", stored)
    connection.execute(
        """
        create view happened as
        select distinct on (event_id)
            *, played_at + coalesce(ms_played, 0) * interval 1 millisecond as ended_at, epoch_ms(ended_at) as ended_ms,
            event_type = 'play' and content_type = 'track' and (ms_played >= 30000 or ms_played >= duration_ms) as is_listen
        from stored
        """
    )
    return connection.execute(question, terms)


def test_both_pages_show_what_sql_counts_in_the_minute_that_is_over(home_with_events, visits):
    for reading in read_both(visits):
        begin = find_moment(reading.minute)
        ((listeners, plays, started, skips, likes),) = ask(
            home_with_events,
            """
            select
                count(distinct user_id), count(*) filter (is_listen), count(*) filter (event_type = 'play'),
                count(*) filter (event_type = 'skip'), count(*) filter (event_type = 'like')
            from happened where ended_at >= $1 and ended_at < $1 + interval 1 minute
            """,
            begin,
        ).fetchall()
        assert reading.figures == dict(zip(FIGURES, (f"{figure:,}" for figure in (listeners, plays, started, skips, likes)), strict=True))
        assert plays > 0


def test_both_pages_rank_what_sql_ranks_in_ten_minutes(home_with_events, visits):
    first, second = read_both(visits)
    assert (first.tracks, first.devices, first.countries) == (second.tracks, second.devices, second.countries)
    open_minute = find_moment(first.read_at[:5])
    bounds = (open_minute - timedelta(minutes=9), open_minute + timedelta(minutes=1))
    within = "from happened where is_listen and ended_at >= $1 and ended_at < $2"
    tracks = ask(
        home_with_events, f"select any_value(track_name), count(*) {within} group by track_id order by 2 desc, track_id limit 10", *bounds
    ).fetchall()
    assert first.tracks == [[name, f"{plays:,}"] for name, plays in tracks]
    devices = ask(home_with_events, f"select coalesce(device_type, 'unknown'), count(*) {within} group by 1", *bounds).fetchall()
    assert {name.lower(): plays for name, plays in first.devices} == {name: f"{plays:,}" for name, plays in devices}
    countries = ask(home_with_events, f"select country, count(*) {within} group by 1 order by 2 desc, 1 limit 8", *bounds).fetchall()
    assert first.countries == [[name, f"{plays:,}"] for name, plays in countries]


def test_the_page_updates_automatically(visits):
    before = read_both(visits)
    visits[0].page.wait_for_timeout(4_000)
    after = read_both(visits)
    assert all(later.read_at > earlier.read_at for earlier, later in zip(before, after, strict=True))


def find_moment(clock: str) -> datetime:
    """That time of the day (HH:MM), today or yesterday in UTC, whichever was last."""
    now = datetime.now(UTC)
    moment = datetime.combine(now.date(), datetime.strptime(clock, "%H:%M").replace(tzinfo=UTC).timetz())
    return moment if moment <= now else moment - timedelta(days=1)

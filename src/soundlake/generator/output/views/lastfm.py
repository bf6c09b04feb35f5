"""Last.fm scrobbles, as the CSV of the two usual web tools: whole minutes without a header, or `uts` with one."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from soundlake.generator.output.views.source_faults import SourceFault
from soundlake.generator.output.views.view import ListenerFilesView
from soundlake.local_files import write_file

_HEADER = "uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid"
_PLAYING_NOW = "Pale Radio,Rooms,Tin Roof,"

_ROWS = """
with heard as (
    select *, started_ms + cast(2000 * delay_draw as bigint) as seen_ms from plays
    where not lost and not is_private and not (is_offline and offline_lost)
        and duration_ms >= 30000 and ms_played >= least(duration_ms / 2, 240000)
),
sent as (
    select * from heard
    union all by name
    select * replace (ended_ms - ms_played + pause_begin_ms - started_ms as seen_ms)
    from heard where sent_again and pause_begin_ms > started_ms
),
stamped as (
    select
        *, (seen_ms + case when clock_off then cast(40000 * clock_off_draw as bigint) - 20000 else 0 end) // 1000 as sent_at,
        case when in_minutes then sent_at // 60 * 60 else sent_at end as uts
    from sent
),
listed as (
    select * from stamped
    union all by name
    select * from stamped where shifted and not in_minutes
),
named as (
    select
        * exclude (artist_name, track_name, album_name),
        case when corrected then 'Formerly ' || substr(artist_id, -5) else artist_name end as corrected_name,
        case when entities then replace(corrected_name, '&', '&amp;') else corrected_name end as sent_name,
        case when in_minutes then regexp_replace(sent_name, '[",]', '', 'g') else sent_name end as artist_name,
        case when in_minutes then regexp_replace(track_name, '[",]', '', 'g') else track_name end as track_name,
        case when without_album then '' else regexp_replace(album_name, '[",]', '', 'g') end as album_name
    from listed
)
select
    play_id, user_id, cast(null as varchar) as event_id, 'lastfm' as source,
    case when not of_1970 then epoch_ms(uts * 1000) end as stamp, artist_name, track_name, cast(null as varchar) as track_id,
    cast(null as bigint) as ms_played, -uts as place, in_minutes,
    case when of_1970 then 0 else uts end as shown_uts,
    epoch_ms(shown_uts * 1000) as shown_time,
    case
        when in_minutes
            then artist_name || ',' || album_name || ',' || track_name || ',' || strftime(shown_time, '%d %b %Y %H:%M')
        else
            '"' || shown_uts || '","' || strftime(shown_time, '%d %b %Y, %H:%M') || '","'
            || replace(artist_name, '"', '""') || '","","' || album_name || '","","' || replace(track_name, '"', '""') || '",""'
    end as line
from named
"""


class LastFm(ListenerFilesView):
    """`<listener>/<listener>.csv`, newest first; which tool wrote it depends on the listener."""

    faults = (
        SourceFault("in_minutes", 0.5, "the tool writes minutes, and drops commas and quotes", "benfoxall/lastfm-to-csv", "user_id"),
        SourceFault("lost", 0.02, "a page that failed is left out", "benfoxall/lastfm-to-csv#13", "user_day"),
        SourceFault("offline_lost", 0.3, "scrobbles of an offline device are lost", "FoxxMD/multi-scrobbler#495", "session_id"),
        SourceFault("clock_off", 0.03, "the clock of the device is up to 20 s wrong", "metabrainz/listenbrainz-server#201", "user_id"),
        SourceFault("of_1970", 0.0005, "the scrobble has no time: 1970", "krateng/maloja#339"),
        SourceFault("shifted", 0.002, "a page repeats the last row of the page before", "iiiypuk/lastfm-backup#1"),
        SourceFault("sent_again", 0.1, "a resumed track is scrobbled once more, at its resumption", "FoxxMD/multi-scrobbler#254"),
        SourceFault("corrected", 0.003, "the artist's name is corrected to another one", "krateng/maloja#382", "artist_id"),
        SourceFault("entities", 0.05, "names with HTML entities", "web-scrobbler/web-scrobbler#85", "user_id"),
        SourceFault("without_album", 0.1, "the album is unknown", "cases/listening F07", "track_id"),
        SourceFault("delay", 1.0, "the player reports the start up to 2 s late", "metabrainz/listenbrainz-server#201"),
    )  # fmt: skip

    def select(self) -> str:
        """One row a scrobble: half the track or four minutes were heard; more for repeated ones."""
        return _ROWS

    def write_listener(self, folder: Path, user_id: str, rows: pa.Table) -> None:
        """Write one CSV; the tool for minutes begins with the track that plays now, which has no date."""
        first = _PLAYING_NOW if rows["in_minutes"][0].as_py() else _HEADER
        write_file(folder / f"{user_id}.csv", "".join(f"{line}\n" for line in (first, *rows["line"].to_pylist())))

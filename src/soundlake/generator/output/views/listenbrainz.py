"""ListenBrainz exports: listens of a player's plugin, or of the service's own connection to Spotify."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.generator.output.views.source_faults import SourceFault
from soundlake.generator.output.views.view import ListenerFilesView
from soundlake.local_files import replace_file

_ROWS = """
with heard as (
    select
        *, started_ms + cast(2000 * delay_draw as bigint) as seen_ms,
        cast(least(duration_ms / 2, 240000) as bigint) as enough_ms
    from plays where not lost and duration_ms >= 30000 and ms_played >= least(duration_ms / 2, 240000)
),
stamped as (
    select
        *,
        case
            when connected then ended_ms + cast(999 * delay_draw as bigint)
            when sent_later then ended_ms + cast(3600000 * (1 + 40 * sent_later_draw) as bigint)
            when stamped_late and stamped_late_draw < 0.5 then seen_ms + enough_ms
            when stamped_late then ended_ms
            else seen_ms
        end + case when clock_off and not connected then cast(40000 * clock_off_draw as bigint) - 20000 else 0 end as stamp_ms
    from heard where not connected or (not is_private and reason_end = 'trackdone')
),
shown as (
    select
        * exclude (artist_name, track_name),
        case when decomposed and not connected then artist_name_nfd else artist_name end
        || case when with_guest and not connected then ' feat. Ira Stone' else '' end as artist_name,
        case when decomposed and not connected then track_name_nfd else track_name end as track_name,
        case when connected then track_id end as shown_track_id, stamp_ms // 1000 as listened_at
    from stamped
)
select
    play_id, user_id, cast(null as varchar) as event_id, 'listenbrainz' as source, epoch_ms(listened_at * 1000) as stamp,
    artist_name, track_name, shown_track_id as track_id, cast(null as bigint) as ms_played, listened_at as place,
    'listens/' || strftime(epoch_ms(listened_at * 1000), '%Y/%-m') || '.jsonl' as file,
    to_json({
        'listened_at': listened_at,
        'inserted_at': (listened_at + 300) + 0.319137,
        'track_metadata': {
            'artist_name': artist_name,
            'track_name': track_name,
            'release_name': case when not without_album then album_name end,
            'recording_msid': md5(artist_name || '/' || track_name)::uuid::varchar,
            'mbid_mapping': null,
            'additional_info': {
                'duration_ms': case when connected or not in_seconds then duration_ms end,
                'duration': case when not connected and in_seconds then duration_ms // 1000 end,
                'spotify_id': 'https://open.spotify.com/track/' || shown_track_id,
                'submission_client': case when connected then 'listenbrainz' else 'a player' end
            }
        }
    })::varchar as line
from shown
"""


class ListenBrainz(ListenerFilesView):
    """`<listener>/listenbrainz_<listener>.zip`: a file of JSON lines for each month."""

    faults = (
        SourceFault("connected", 0.4, "listens of recently-played: stamped at the end, with id", "listenbrainz/spotify_updater", "user_id"),
        SourceFault("stamped_late", 0.15, "a plugin stamps the middle or the end", "metabrainz/listenbrainz-server#2607", "user_id"),
        SourceFault("clock_off", 0.03, "the clock of the device is up to 20 s wrong", "metabrainz/listenbrainz-server#201", "user_id"),
        SourceFault("decomposed", 0.1, "a listener's names are in NFD", "cases/imports 18", "user_id"),
        SourceFault("lost", 0.02, "a day is missing", "FoxxMD/multi-scrobbler#65", "user_day"),
        SourceFault("sent_later", 0.0005, "the stamp is when the stored listens were sent", "lyarenei/jellyfin-plugin-listenbrainz#112"),
        SourceFault("with_guest", 0.01, "the artist is credited with a guest", "cases/imports 07", "track_id"),
        SourceFault("without_album", 0.1, "the album is unknown", "cases/listening F04", "track_id"),
        SourceFault("in_seconds", 0.5, "the length is in whole seconds", "cases/listening F04", "user_id"),
        SourceFault("delay", 1.0, "the player reports the start up to 2 s late", "metabrainz/listenbrainz-server#201"),
    )  # fmt: skip

    def select(self) -> str:
        """One row a listen: half the track or four minutes were heard, or the list of recently played tracks has it."""
        return _ROWS

    def write_listener(self, folder: Path, user_id: str, rows: pa.Table) -> None:
        """Write one zip, as ListenBrainz does."""
        with replace_file(folder / f"listenbrainz_{user_id}.zip") as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("user.json"), json.dumps({"user_id": 1, "username": user_id}))
            for file in rows["file"].unique().to_pylist():
                lines = rows["line"].filter(pc.equal(rows["file"], file)).to_pylist()
                archive.writestr(zipfile.ZipInfo(file), "".join(f"{line}\n" for line in lines), zipfile.ZIP_DEFLATED)

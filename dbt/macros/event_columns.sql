{# The fields of an event, in the contract's order; a test compares them with it. #}
{% macro event_columns() %}
    {{ return([
        'event_id', 'event_type', 'schema_version',
        'user_id', 'played_at', 'played_at_basis', 'session_id',
        'content_type', 'track_id', 'track_name', 'artist_id', 'artist_name', 'album_id', 'album_name', 'duration_ms',
        'ms_played', 'position_ms', 'action', 'playlist_id', 'playlist_name', 'reason_start', 'reason_end',
        'is_skipped', 'is_shuffle', 'is_offline', 'is_private', 'context_uri',
        'device_type', 'platform', 'country',
        'source', 'source_ref', 'produced_at',
        'extra',
    ]) }}
{% endmacro %}

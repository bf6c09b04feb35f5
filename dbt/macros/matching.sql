{#
  Which observations are one play: docs/decisions/0019-which-observations-are-one-play.md. Everything here is a pure function of the set of
  observations, so the order of arrival does not matter.
#}

{# Two observations of one play end less than this apart. #}
{% macro island_gap_hours() %}{{ return(12) }}{% endmacro %}

{# The kinds of sources whose plays are matched, the one with the most exact times first. #}
{% macro hub_classes() %}
    {{ return(['live', 'extended', 'short', 'short_second', 'recent', 'listenbrainz', 'api', 'lastfm', 'lastfm_minute']) }}
{% endmacro %}

{# Those of the classes that have a record: a class without any costs a build nothing. #}
{% macro present_classes(records) %}
    {%- if not execute -%}{{ return(hub_classes()) }}{%- endif -%}
    {%- set found = run_query('select distinct source_class from ' ~ records ~ ' where source_class is not null').columns[0].values() -%}
    {{ return(hub_classes() | select('in', found) | list) }}
{% endmacro %}

{# The kind of source of an observation; null if it is never matched. #}
{% macro source_class() -%}
    case
        when source = 'spotify_live' then 'live'
        when source = 'spotify_export' and source_ref like 'extended:%' then 'extended'
        when source = 'spotify_export' and source_ref like 'short:%' then case when ms_played is null then 'short_second' else 'short' end
        when source = 'spotify_recent' then 'recent'
        when source = 'lastfm' and source_ref like 'lastfm_minute:%' then 'lastfm_minute'
        when source in ('listenbrainz', 'lastfm', 'api') then source
    end
{%- endmacro %}

{# Rank of source_class for the values of a play, the best first. #}
{% macro class_priority() -%}
    case source_class
    {%- for name in ['extended', 'live', 'recent', 'short', 'short_second', 'listenbrainz', 'api', 'lastfm', 'lastfm_minute'] %}
        when '{{ name }}' then {{ loop.index }}
    {%- endfor %}
    end
{%- endmacro %}

{# Whether the rows of several downloads of this kind are compared: they state the same moment. #}
{% macro has_copies() -%}
    source_class in ('extended', 'short', 'short_second', 'listenbrainz', 'lastfm', 'lastfm_minute')
{%- endmacro %}

{# Whether the rows of this kind are in two forms of an export. #}
{% macro has_two_forms() -%}
    source_class in ('extended', 'short')
{%- endmacro %}

{% macro isrc() -%}
    case
        when extra like '%"isrc"%'
            then upper(coalesce({{ json_text('extra', ['isrc']) }}, {{ json_text('extra', ['external_ids', 'isrc']) }}))
    end
{%- endmacro %}

{# In a record: the row that knows most comes first. #}
{% macro best_row_first() -%}
    case when track_id is null then 1 else 0 end, case when artist_key is null or title_key is null then 1 else 0 end,
    case when reason_start is null then 1 else 0 end, case when reason_end is null then 1 else 0 end, event_id
{%- endmacro %}

{% macro of_one_record() -%}
    partition by user_id, source_class, stated_at, ms_played, title, artist, twin
{%- endmacro %}

{% macro first_known(column) -%}
    first_value({{ column }} ignore nulls) over ({{ of_one_record() }} order by {{ best_row_first() }} {{ whole_partition() }})
{%- endmacro %}

{% macro best_time_first() -%}
    {{ of_one_record() }} order by {{ basis_rank() }}, {{ best_row_first() }} {{ whole_partition() }}
{%- endmacro %}

{#
  The times that a source allows for start and end of a play. A stamp of recently-played is either; a scrobble is a start; the short form has
  the minute of the end. Between the end of what was heard and the moment that an extended row states, the play was paused: an hour of that
  counts.
#}
{% macro time_windows() -%}
    {%- set windows = {
        'starts_from': [
            ("source_class in ('live', 'extended', 'listenbrainz', 'lastfm', 'api')", 'started_at', -2), ("source_class = 'recent'", 'ended_at', -3),
            ("source_class in ('short', 'lastfm_minute')", 'started_at', 0)],
        'starts_until': [
            ("source_class in ('live', 'extended', 'listenbrainz', 'lastfm', 'api')", 'started_at', 2), ("source_class = 'recent'", 'ended_at', 3),
            ("source_class in ('short', 'lastfm_minute')", 'started_at', 59)],
        'ends_from': [
            ("source_class in ('live', 'extended', 'short_second')", 'ended_at', -2), ("source_class = 'recent'", 'ended_at', -3),
            ("source_class = 'short'", 'ended_at', 0)],
        'ends_until': [
            ("source_class in ('live', 'short_second')", 'ended_at', 2), ("source_class = 'recent'", 'ended_at', 3),
            ("source_class = 'short'", 'ended_at', 59),
            ("source_class = 'extended'", 'greatest(ended_at, least(stated_at, ' ~ dbt.dateadd('hour', 1, 'ended_at') ~ '))', 2)],
    } -%}
    {%- for name, cases in windows.items() %}
    case
        {%- for condition, moment, seconds in cases %}
        when {{ condition }} then {{ dbt.dateadd('second', seconds, moment) }}
        {%- endfor %}
    end as {{ name }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}

{#
  The song of each record, as one text in an island: its title, where records with the same id or recording code have one title. Three passes
  join what is linked by way of another record.
#}
{% macro label_songs(records, name) -%}
{%- set sets = [('isrc', records, 'title_key'), ('track_id', 'songs_1', 'song_1'), ('song_1', 'songs_2', 'song_2'), ('track_id', 'songs_3', 'song_3')] -%}
{%- for key, before, song in sets %}
{% if loop.last %}{{ name }}{% else %}songs_{{ loop.index }}{% endif %} as (
    select
        *,
        coalesce(
            case when {{ key }} is not null then min({{ song }}) over (partition by user_id, island, {{ key }}) end,
            {{ song }}{% if loop.last %}, track_id, event_id{% endif %}
        ) as {% if loop.last %}song{% else %}song_{{ loop.index }}{% endif %}
    from {{ before }}
){% if not loop.last %},{% endif %}
{%- endfor %}
{%- endmacro %}

{#
  Live plays of one song that overlap by more than half of the shorter one, or by 15 s, are one: `live_id` is its first, and its interval spans all.
#}
{% macro join_live_plays(records, name) -%}
live_plays as (
    select
        *, max(ended_at) over (partition by user_id, island, song order by started_at, event_id rows between unbounded preceding and 1 preceding)
            as ended_before
    from {{ records }}
    where source_class = 'live'
),

live_joints as (
    select
        *,
        case
            when
                {{ dbt.datediff('started_at', 'ended_before', 'second') }}
                > least(15, {{ dbt.datediff('started_at', 'ended_at', 'second') }} / 2.0)
                then 0
            else 1
        end as begins
    from live_plays
),

live_numbers as (
    select
        *, sum(begins) over (partition by user_id, island, song order by started_at, event_id rows between unbounded preceding and current row)
            as live_number
    from live_joints
),

live_intervals as (
    select
        event_id,
        first_value(event_id) over (partition by user_id, island, song, live_number order by started_at, event_id {{ whole_partition() }}) as live_id,
        max(ended_at) over (partition by user_id, island, song, live_number) as live_ended_at,
        max(ends_until) over (partition by user_id, island, song, live_number) as live_ends_until
    from live_numbers
),

{{ name }} as (
    select
        records.event_id, records.user_id, records.island, records.song, records.source_class, records.track_id, records.isrc,
        records.artist_key, records.ms_played, records.duration_ms, records.started_at, records.stated_at, records.starts_from,
        records.starts_until, records.ends_from, live_intervals.live_id,
        coalesce(live_intervals.live_ended_at, records.ended_at) as ended_at,
        coalesce(live_intervals.live_ends_until, records.ends_until) as ends_until
    from {{ records }} as records
    left join live_intervals on records.event_id = live_intervals.event_id
)
{%- endmacro %}

{# The CTEs to `matches` (sought_id, hub_id): each class in turn takes the records of the classes after it that none before it has taken. #}
{% macro match_records(records, classes) -%}
{%- set done = [] -%}
{%- for hub_class in classes[:-1] %}
{{ match_one_to_one(records, hub_class, classes[loop.index:], done) }},
    {%- do done.append(hub_class) -%}
    {%- if 'live' in done and (hub_class == 'extended' or 'extended' not in classes[1:-1] and hub_class == 'live') %}

{{ absorb_in_live_plays(done) }},
        {%- do done.append('several') -%}
    {%- endif -%}
{%- endfor %}

matches as (
    {%- for name in done %}
    select sought_id, hub_id from {{ name }}_matches
    {%- if not loop.last %} union all{% endif %}
    {%- else %}
    select cast(null as varchar) as sought_id, cast(null as varchar) as hub_id where false
    {%- endfor %}
)
{%- endmacro %}

{#
  `<hub_class>_matches`, one to one for each class of the sought records. A pair whose times agree exactly is preferred to one that is near.
#}
{% macro match_one_to_one(records, hub_class, sought_classes, done) -%}
{%- set name = hub_class -%}
{{ name }}_fits as (
    select
        sought.event_id as sought_id, hub.event_id as hub_id, sought.source_class as sought_class, sought.user_id, sought.island, sought.song,
        coalesce(sought.starts_from, sought.ends_from) as sought_at, coalesce(hub.starts_from, hub.ends_from) as hub_at,
        hub.started_at as hub_started_at, hub.ended_at as hub_ended_at, hub.ms_played as hub_ms_played, sought.started_at, sought.ended_at,
        sought.ends_from, sought.ends_until, sought.ms_played,
        case when {{ is_exact('sought', 'hub') }} and {{ lengths_agree('sought', 'hub') }} then 1 else 0 end as is_exact
    from {{ records }} as sought
    inner join {{ records }} as hub on sought.user_id = hub.user_id and sought.island = hub.island and sought.song = hub.song
    {%- for before in done %}
    left join {{ before }}_matches as sought_{{ before }} on sought.event_id = sought_{{ before }}.sought_id
    left join {{ before }}_matches as hub_{{ before }} on hub.event_id = hub_{{ before }}.sought_id
    {%- endfor %}
    where
        hub.source_class = '{{ hub_class }}' and sought.source_class in ({{ quote_all(sought_classes) }})
        {%- if hub_class == 'live' %} and hub.event_id = hub.live_id{% endif %}
        {%- if hub_class == 'extended' %} and sought.source_class <> 'short'{% endif %}
        {%- for before in done %}
        and sought_{{ before }}.sought_id is null and hub_{{ before }}.sought_id is null
        {%- endfor %}
        and {{ names_agree('sought', 'hub') }}
        and abs({{ dbt.datediff('hub.ended_at', 'sought.ended_at', 'second') }}) < {{ island_gap_hours() * 3600 }}
        and ({{ is_exact('sought', 'hub') }} or {{ is_near('sought', 'hub', hub_class) }})
),

{{ choose_one_to_one(name, ['user_id', 'island', 'song', 'sought_class']) }}
{%- endmacro %}

{#
  From `<name>_fits`, the pairs (sought_id, hub_id) that fit, to `<name>_matches`, where each is at most once. Where a record has several
  partners, a greedy merge of the two lists of a group in order of time decides: each sought record takes the first hub that fits and lies after
  the last one taken, which leaves as few as possible alone.
#}
{% macro choose_one_to_one(name, group_columns) -%}
{%- set by_hub = 'hub_id, sought_class' if 'sought_class' in group_columns else 'hub_id' -%}
{%- set group_by = group_columns | join(', ') -%}
{{ name }}_preferred as (
    select
        *, max(is_exact) over (partition by sought_id) as is_sought_exact, max(is_exact) over (partition by {{ by_hub }}) as is_hub_exact
    from {{ name }}_fits
),

{{ name }}_counted as (
    select
        *, count(*) over (partition by sought_id) as hubs, count(*) over (partition by {{ by_hub }}) as rivals
    from {{ name }}_preferred
    where is_exact = 1 or (is_sought_exact = 0 and is_hub_exact = 0)
),

{{ name }}_places as (
    select
        sought_id, hub_id,
        min(sought_id) over (partition by {{ group_by }}) as walk_id,
        dense_rank() over (partition by {{ group_by }} order by sought_at, sought_id) as sought_place,
        dense_rank() over (partition by {{ group_by }} order by hub_at, hub_id) as hub_place
    from {{ name }}_counted
    where hubs > 1 or rivals > 1
),

{{ name }}_steps as (
    select *, row_number() over (partition by walk_id order by sought_place, hub_place) as step
    from {{ name }}_places
),

{{ name }}_walk as (
    select walk_id, step, sought_id, hub_id, sought_place as last_sought, hub_place as last_hub, 1 as is_taken
    from {{ name }}_steps
    where step = 1
    union all
    select
        pairs.walk_id, pairs.step, pairs.sought_id, pairs.hub_id,
        case when {{ is_after_both() }} then pairs.sought_place else walk.last_sought end as last_sought,
        case when {{ is_after_both() }} then pairs.hub_place else walk.last_hub end as last_hub,
        case when {{ is_after_both() }} then 1 else 0 end as is_taken
    from {{ name }}_walk as walk
    inner join {{ name }}_steps as pairs on walk.walk_id = pairs.walk_id and walk.step + 1 = pairs.step
),

{{ name }}_matches as (
    select sought_id, hub_id from {{ name }}_walk where is_taken = 1
    union all
    select sought_id, hub_id from {{ name }}_counted where hubs = 1 and rivals = 1
)
{%- endmacro %}

{% macro is_after_both() -%}
    pairs.sought_place > walk.last_sought and pairs.hub_place > walk.last_hub
{%- endmacro %}

{#
  The service lists a resumed song again: a stamp that is left and lies in a live play of its song belongs to it, however many there are. A row
  with a length does if it is the rest of what was heard live.
#}
{% macro absorb_in_live_plays(done) -%}
several_fits as (
    select
        fits.sought_id, fits.hub_id,
        row_number() over (
            partition by fits.sought_id
            order by fits.is_exact desc, abs({{ dbt.datediff('fits.ended_at', 'fits.hub_ended_at', 'second') }}), fits.hub_id
        ) as choice
    from live_fits as fits
    left join (
        select hub_id, sought_class, max(ms_played) as ms_played
        from (
            select live_fits.*
            from live_fits
            inner join live_matches on live_fits.sought_id = live_matches.sought_id and live_fits.hub_id = live_matches.hub_id
        ) as taken
        group by hub_id, sought_class
    ) as parts on fits.hub_id = parts.hub_id and fits.sought_class = parts.sought_class
    {%- for before in done %}
    left join {{ before }}_matches as sought_{{ before }} on fits.sought_id = sought_{{ before }}.sought_id
    {%- endfor %}
    where
        case
            when fits.sought_class in ('extended', 'short')
                then coalesce(fits.ms_played >= 5000 and fits.ms_played + parts.ms_played <= fits.hub_ms_played + 5000, false)
            when fits.sought_class in ('recent', 'short_second')
                then fits.ends_from >= {{ dbt.dateadd('second', 2, 'fits.hub_started_at') }}
            else fits.started_at >= {{ dbt.dateadd('second', -5, 'fits.hub_started_at') }}
        end
        and coalesce(fits.ends_from, fits.started_at) <= {{ dbt.dateadd('second', 15, 'fits.hub_ended_at') }}
        {%- for before in done %}
        and sought_{{ before }}.sought_id is null
        {%- endfor %}
),

several_matches as (
    select sought_id, hub_id from several_fits where choice = 1
)
{%- endmacro %}

{#
  Whether the names contradict each other: the song is the same, so only artists can. Sources name one or several artists, and an equal id,
  recording code or length to the millisecond outweighs a name.
#}
{% macro names_agree(a, b) -%}
    (
        {{ a }}.artist_key is null or {{ b }}.artist_key is null
        or substr({{ a }}.artist_key, 1, length({{ b }}.artist_key)) = {{ b }}.artist_key
        or substr({{ b }}.artist_key, 1, length({{ a }}.artist_key)) = {{ a }}.artist_key
        or coalesce({{ a }}.track_id = {{ b }}.track_id, false)
        or coalesce({{ a }}.isrc = {{ b }}.isrc, false)
        or coalesce({{ a }}.ms_played = {{ b }}.ms_played and {{ a }}.ms_played > 0, false)
    )
{%- endmacro %}

{# Whether start or end are the same, as exactly as the sources know them. #}
{% macro is_exact(a, b) -%}
    coalesce(
        {{ a }}.starts_from <= {{ b }}.starts_until and {{ b }}.starts_from <= {{ a }}.starts_until
        or {{ a }}.ends_from <= {{ b }}.ends_until and {{ b }}.ends_from <= {{ a }}.ends_until,
        false
    )
{%- endmacro %}

{# Whether both have heard as long, to 6 s (a live play is measured by polls); null agrees. #}
{% macro lengths_agree(a, b) -%}
    coalesce(abs({{ a }}.ms_played - {{ b }}.ms_played) <= 6000, true)
{%- endmacro %}

{# Whether the times are near, or most of the shorter one lies in the other. #}
{% macro is_near(a, b, hub_class) -%}
    {%- set tolerance = tolerance_seconds(a, b) -%}
    coalesce(
        (
            {{ a }}.starts_from <= {{ dbt.dateadd('second', tolerance, b ~ '.starts_until') }}
            and {{ b }}.starts_from <= {{ dbt.dateadd('second', tolerance, a ~ '.starts_until') }}
        )
        or (
            {{ a }}.ends_from <= {{ dbt.dateadd('second', tolerance, b ~ '.ends_until') }}
            and {{ b }}.ends_from <= {{ dbt.dateadd('second', tolerance, a ~ '.ends_until') }}
        ),
        false
    )
    {%- if hub_class == 'live' %}
    or (
        {{ has_two_forms() | replace('source_class', a ~ '.source_class') }}
        and 2 * {{ dbt.datediff('greatest(' ~ a ~ '.started_at, ' ~ b ~ '.started_at)', 'least(' ~ a ~ '.ended_at, ' ~ b ~ '.ended_at)', 'second') }}
        > {{ shorter_seconds(a, b) }}
    )
    or (
        not {{ has_two_forms() | replace('source_class', a ~ '.source_class') }}
        and coalesce({{ a }}.ends_until, {{ a }}.starts_until) >= {{ dbt.dateadd('second', -5, b ~ '.started_at') }}
        and coalesce({{ a }}.ends_from, {{ a }}.starts_from) <= {{ dbt.dateadd('second', 15, b ~ '.ended_at') }}
    )
    {%- elif hub_class == 'extended' %}
    or (
        coalesce({{ a }}.ends_until, {{ a }}.starts_until) >= {{ b }}.started_at
        and coalesce({{ a }}.ends_from, {{ a }}.starts_from) <= {{ b }}.ends_until
    )
    {%- elif hub_class == 'recent' %}
    or (
        {{ a }}.starts_until >= {{ dbt.dateadd('millisecond', '-coalesce(' ~ b ~ '.duration_ms, 300000) - 30000', b ~ '.ended_at') }}
        and {{ a }}.starts_from <= {{ dbt.dateadd('second', 30, b ~ '.ended_at') }}
    )
    {%- endif %}
{%- endmacro %}

{# How far the times of one play can differ between sources: half of its length, from 5 s to a minute; half a minute where no length is known. #}
{% macro tolerance_seconds(a, b) -%}
    coalesce(least(60, greatest(5, cast({{ shorter_seconds(a, b) }} / 2 as integer))), 30)
{%- endmacro %}

{% macro shorter_seconds(a, b) -%}
    least(
        coalesce({{ length_seconds(a) }}, {{ length_seconds(b) }}),
        coalesce({{ length_seconds(b) }}, {{ length_seconds(a) }})
    )
{%- endmacro %}

{% macro length_seconds(record) -%}
    case
        when {{ record }}.source_class in ('live', 'extended', 'short') then {{ dbt.datediff(record ~ '.started_at', record ~ '.ended_at', 'second') }}
    end
{%- endmacro %}

{% macro prefix_all(prefix, columns) -%}
    {%- for column in columns %}{{ prefix }}.{{ column }}{% if not loop.last %}, {% endif %}{% endfor -%}
{%- endmacro %}

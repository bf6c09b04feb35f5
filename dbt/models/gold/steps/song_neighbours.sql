{{ config(schema='silver', tags=['recommendations']) }}

with baskets as (
    select * from {{ ref('baskets') }}
),

song_baskets as (
    select
        song,
        min(source) as source,
        count(*) as baskets
    from baskets
    group by song
),

pairs as (
    select
        one.song as one,
        other.song as other,
        cast(count(*) as integer) as together
    from baskets as one
    inner join baskets as other on one.basket = other.basket and one.song < other.song
    group by one.song, other.song
),

scored_pairs as (
    select
        pairs.one,
        pairs.other,
        pairs.together,
        cast(
            round(1000000.0 * pairs.together / (sqrt(one_baskets.baskets * other_baskets.baskets) + {{ var('shrinkage') }}), 0) as integer
        ) as score_millionths
    from pairs
    inner join song_baskets as one_baskets on pairs.one = one_baskets.song
    inner join song_baskets as other_baskets on pairs.other = other_baskets.song
),

both_ways as (
    select
        one as song,
        other as neighbour,
        together,
        score_millionths
    from scored_pairs
    union all
    select
        other as song,
        one as neighbour,
        together,
        score_millionths
    from scored_pairs
),

-- One number orders by score, then by id: sorting 56 million rows by it takes half the time of two columns.
neighbours_in_order as (
    select
        *,
        row_number() over (
            partition by song order by cast(score_millionths as bigint) * 4294967296 - neighbour desc
        ) as place
    from both_ways
)

select
    neighbours_in_order.song,
    neighbours_in_order.neighbour,
    neighbours_in_order.together,
    neighbours_in_order.score_millionths,
    song_baskets.source,
    neighbours_in_order.place
from neighbours_in_order
inner join song_baskets on neighbours_in_order.song = song_baskets.song
where neighbours_in_order.place <= 10

with user_recommendations as (
    select * from {{ ref('user_recommendations') }}
),

track_similarity as (
    select * from {{ ref('track_similarity') }}
),

steps as (
    select
        user_id as subject_id,
        rank,
        recommendation_score as score,
        lag(recommendation_score) over (partition by user_id order by rank) as score_before
    from user_recommendations
    union all
    select
        track_id as subject_id,
        rank,
        score,
        lag(score) over (partition by track_id order by rank) as score_before
    from track_similarity
)

select *
from steps
where score > score_before

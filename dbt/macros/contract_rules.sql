{% macro contract_rules() %}
    {{ return([
        {'name': 'user_known', 'severity': 'reject', 'event_types': ['play', 'skip', 'like', 'playlist'],
         'expression': "user_id is not null"},
        {'name': 'duration_positive', 'severity': 'reject', 'event_types': ['play', 'skip', 'like', 'playlist'],
         'expression': "coalesce(duration_ms > 0, true)"},
    ]) }}
{% endmacro %}

{# The contract's rules as SQL; contract_rules() is generated from soundlake.contract.rules. #}

{# The name of the first reject rule that a row breaks; null if it breaks none. #}
{% macro broken_reject_rule() -%}
    case
    {%- for rule in contract_rules() if rule.severity == 'reject' %}
        when event_type in ({{ quote_all(rule.event_types) }}) and not ({{ rule.expression }}) then '{{ rule.name }}'
    {%- endfor %}
    end
{%- endmacro %}

{# The flag rules of a type that a row breaks, comma-separated in the contract's order; '' if none. #}
{% macro broken_flag_rules(event_type) -%}
    ltrim(
        ''
    {%- for rule in contract_rules() if rule.severity == 'flag' and event_type in rule.event_types %}
        || case when not ({{ rule.expression }}) then ',{{ rule.name }}' else '' end
    {%- endfor %},
        ','
    )
{%- endmacro %}

{% macro quote_all(names) -%}
    {%- for name in names %}'{{ name }}'{% if not loop.last %}, {% endif %}{% endfor -%}
{%- endmacro %}

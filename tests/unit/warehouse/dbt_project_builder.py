"""A dbt project of four models, for tests of the warehouse that need a running dbt.

Its model `totals` is the last batch of bronze/plays. It fails for batch 66, and its data test fails for batch 77.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from soundlake.warehouse.build_state import BRONZE_TABLES

FILES = {
    "dbt_project.yml": """
name: tiny
version: "1.0"
config-version: 2
profile: tiny
flags: {send_anonymous_usage_stats: false}
models:
  tiny:
    +materialized: table
    gold: {+schema: gold}
""",
    "profiles.yml": """
tiny:
  target: duckdb
  outputs:
    duckdb: {type: duckdb, path: "{{ env_var('SOUNDLAKE_DBT_DATABASE') }}", schema: silver, threads: 1}
""",
    "macros/schemas.sql": "{% macro generate_schema_name(name, node) %}{{ name or target.schema }}{% endmacro %}",
    "models/replaced_plays.sql": "select 'a' as event_id",
    "models/replaced_observations.sql": "select 'a' as event_id",
    "models/replaced_records.sql": "select 'a' as event_id",
    "models/silver_first.sql": """
        select 1 as number
        from {{ ref('replaced_plays') }} cross join {{ ref('replaced_observations') }} cross join {{ ref('replaced_records') }}
    """,
    "models/gold/totals.sql": """
        select case high_batch when 66 then error('no total') when 77 then null else high_batch end as total
        from raw.bronze_windows cross join {{ ref('silver_first') }} where table_name = 'plays'
    """,
    "models/gold/totals.yml": "models: [{name: totals, columns: [{name: total, data_tests: [not_null]}]}]",
}


def write_project(folder: Path) -> Path:
    """Write the project; returns its folder."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@dataclass
class FakeLake:
    """A lake of batch numbers; copies go into a folder."""

    folder: Path = Path("/lake")
    batches: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BRONZE_TABLES, 0))
    filled: set[str] = field(default_factory=set)
    ids: dict[str, str] = field(default_factory=lambda: dict.fromkeys(BRONZE_TABLES, "first"))
    storage_options: dict[str, str] = field(default_factory=dict)

    def find_uri(self, name: str, layer: str = "bronze") -> str:
        return f"{self.folder}/{layer}/{name}"

    def read_last_batch(self, name: str) -> int:
        return self.batches[name]

    def has_rows(self, name: str) -> bool:
        return name in self.filled

    def read_table_id(self, name: str) -> str:
        return self.ids[name]

"""A stub of dbt's target for sqlfluff."""

database = "build"
schema = "silver"

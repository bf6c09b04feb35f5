"""A stub of dbt's adapter for sqlfluff, which renders the models for DuckDB."""


def dispatch(name):
    """A macro that renders to its name with one argument."""
    return lambda *_: "" if name == "regexp_all" else f"{name}(1)"

"""A stub of dbt's api object for sqlfluff."""


class Relation:
    """A relation by its name."""

    @staticmethod
    def create(database=None, schema=None, identifier=None):
        """Returns schema and name."""
        return f"{schema}.{identifier}"

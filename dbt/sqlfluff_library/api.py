"""Stands for dbt's api object while sqlfluff renders the models."""


class Relation:
    """A relation by its name."""

    @staticmethod
    def create(database=None, schema=None, identifier=None):
        """The name, with its schema."""
        return f"{schema}.{identifier}"

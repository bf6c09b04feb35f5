"""Stands for dbt's target while sqlfluff renders the models."""

database = "build"
schema = "silver"

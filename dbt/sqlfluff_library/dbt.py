"""Stands for dbt's cross-database macros while sqlfluff renders the models: any expression of the right shape."""


def dateadd(datepart, interval, from_date_or_timestamp):
    """A moment."""
    return f"date_add({from_date_or_timestamp}, {interval}, '{datepart}')"


def datediff(first_date, second_date, datepart):
    """A number."""
    return f"date_diff('{datepart}', {first_date}, {second_date})"


def listagg(measure, delimiter_text="','", order_by_clause=None, limit_num=None):
    """A text."""
    return f"string_agg({measure}, {delimiter_text})"


def type_string():
    """The type of texts."""
    return "varchar"


def type_timestamp():
    """The type of moments."""
    return "timestamp"

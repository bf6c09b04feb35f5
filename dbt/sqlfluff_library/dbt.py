"""Stubs of dbt's cross-database macros for sqlfluff: each returns an expression of the right kind."""


def dateadd(datepart, interval, from_date_or_timestamp):
    """A timestamp expression."""
    return f"date_add({from_date_or_timestamp}, {interval}, '{datepart}')"


def datediff(first_date, second_date, datepart):
    """A number expression."""
    return f"date_diff('{datepart}', {first_date}, {second_date})"


def listagg(measure, delimiter_text="','", order_by_clause=None, limit_num=None):
    """A text expression."""
    return f"string_agg({measure}, {delimiter_text})"


def type_string():
    """The type of text."""
    return "varchar"


def type_timestamp():
    """The type of timestamps."""
    return "timestamp"

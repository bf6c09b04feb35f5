"""Tables on standard output: numbers, text that is not markup, and columns that fit the terminal."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from soundlake.cli.terminal import format_value, print_fields, print_rows, print_table

ROWS = [{"id": "a/0/1", "size": "12,345", "note": "夜に駆ける", "value": "x" * 300}, {"id": "b", "size": "", "note": "", "value": "[red]y"}]


@pytest.fixture
def show(monkeypatch, capsys):
    """Calls a function in a terminal of that width; returns the lines printed."""

    def call(columns, function, *arguments, **options):
        monkeypatch.setenv("COLUMNS", str(columns))
        function(*arguments, **options)
        return capsys.readouterr().out.splitlines()

    return call


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999, "999"), (1_234_567, "1,234,567"), (-1_000, "-1,000"), (0.25, "0.25"), (1_234.5, "1,234.5"), (True, "yes"),
     (False, "no"), ("1234", "1234"), (None, "None"), ("[bold]", "[bold]")],
)  # fmt: skip
def test_a_value_is_written_for_people(value, text):
    assert format_value(value) == text


def test_a_table_has_a_title_names_and_values(show):
    assert [line.rstrip() for line in show(80, print_table, "Rows", {"plays": 1234, "all of them": "[red]x"})] == [
        "", "Rows", "plays        1,234", "all of them  [red]x",
    ]  # fmt: skip


def test_a_long_value_continues_on_the_next_line_and_a_name_does_not(show):
    lines = show(40, print_fields, {"a name of thirty characters, no": "word " * 10})
    assert max(map(len, lines)) <= 40
    assert lines[0].startswith("a name of thirty characters, no")
    assert "".join(line[31:] for line in lines).count("word") == 10


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_each_row_is_one_line_that_fits(show, columns):
    lines = show(columns, print_rows, "Things", ROWS, optional=("note", "size"))
    assert len(lines) == 5
    assert all(cell_len(line) <= columns for line in lines)
    assert lines[3].startswith("a/0/1")
    assert "[red]y" in lines[4]


@pytest.mark.parametrize(
    ("columns", "header"),
    [
        (200, ["id", "size", "note", "value"]),
        (51, ["id", "size", "note", "value"]),
        (50, ["id", "size", "value"]),
        (39, ["id", "size", "value"]),
        (38, ["id", "value"]),
    ],
)
def test_optional_columns_are_left_out_one_after_the_other(show, columns, header):
    lines = show(columns, print_rows, "Things", ROWS, optional=("note", "size"))
    assert lines[2].split() == header


def test_a_file_gets_every_column(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.__stdout__", None)
    print_rows("Things", ROWS, optional=("note", "size"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["id", "size", "note", "value"]
    assert cell_len(lines[3]) == 200

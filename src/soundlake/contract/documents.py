"""Generate the documents and dbt files that are derived from the contract: `python -m soundlake.contract.documents` writes them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from soundlake.contract.dbt_files import NOTE, build_dbt_files
from soundlake.contract.expressions import DEVICE_OF_WORD, TITLE_FIELDS
from soundlake.contract.framed_records import FRAMED_REJECTION_REASONS
from soundlake.contract.record import BRONZE_FIELDS, FIELDS, Field
from soundlake.contract.reference_decoder import REJECTION_REASONS
from soundlake.contract.rules import DEVICE_TYPES, RULES
from soundlake.contract.schemas import build_avro_schema, build_json_schema, describe_default
from soundlake.contract.topics import TOPICS

_DICTIONARY = """# Data dictionary

<!-- {note} -->

All event types share one flat list of fields; fields that a type does not use are null. A missing value is null, timestamps are in UTC,
and units are in the names. On the wire an event is one JSON object without nulls, with timestamps in RFC 3339
([JSON Schema](event.schema.json)). With a schema registry it may be Avro too ([Avro schema](event.avsc)), where a timestamp is
`timestamp-micros` and `extra` is a field.

## Fields of an event

Several events can be observations of one play. The last column says where `silver_plays` takes the value of a field from then: the `best`
observation that knows it, the observation with the best basis of `played_at` (`best_time`), or the observation that is `kept`; `none` means
that `silver_plays` does not have the field.

{fields}

## Fields that bronze adds

{bronze}

## Topics and their tables

{topics}

## Why a record is rejected

A record that cannot be decoded is stored in `bronze/rejected` with one of these reasons, or with the reason of the import that refused the
row: {reasons}. With a schema registry also: {framed_reasons}.

## Rules

A row that breaks a `reject` rule goes to `silver_rejected`; the names of broken `flag` rules are listed in `quality_flags`.

{rules}

## Normal forms

Silver and the processed tables hold these fields in one form. The rules check an event as it was received, and `silver_rejected` shows it
in that form.

{forms}
"""


def build_documents(root: Path) -> dict[str, str]:
    """Build the text of every derived file, by its path from the project's root.

    Files that are derived only in part (column lists in the YAML files of dbt's models) are read from `root`.
    """
    return {
        "docs/data-dictionary.md": _write_dictionary(),
        "docs/event.schema.json": json.dumps(build_json_schema(), indent=2, ensure_ascii=False) + "\n",
        "docs/event.avsc": json.dumps(build_avro_schema(), indent=2, ensure_ascii=False) + "\n",
        **build_dbt_files(root),
    }


def write_documents(root: Path) -> None:
    """Write every derived file below the project's root."""
    for name, text in build_documents(root).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _write_dictionary() -> str:
    topics = [[f"`{t.name}`", f"`bronze/{t.table}`", ", ".join(t.event_types), ", ".join(t.partition_by)] for t in TOPICS]
    rules = [[f"`{r.name}`", r.severity, ", ".join(r.event_types), f"`{_escape(r.expression)}`", r.description] for r in RULES]
    fields = _table(["field", "kind", "group", "meaning", "in silver_plays"], ([*_field_row(f), f.play_value] for f in FIELDS))
    bronze = _table(["field", "kind", "group", "meaning"], map(_field_row, BRONZE_FIELDS))
    return _DICTIONARY.format(
        note=NOTE,
        fields=fields,
        bronze=bronze,
        topics=_table(["topic", "table", "event types", "partitioned by"], topics),
        reasons=", ".join(f"`{reason}`" for reason in REJECTION_REASONS),
        framed_reasons=", ".join(f"`{reason}`" for reason in FRAMED_REJECTION_REASONS),
        rules=_table(["rule", "severity", "event types", "true for a valid row", "meaning"], rules),
        forms=_table(["field", "normal form"], _form_rows()),
    )


def _form_rows() -> list[list[str]]:
    words = ", ".join(f"`{word}` is {device or 'null'}" for word, device in DEVICE_OF_WORD.items())
    other = "other values without white space at their ends, A to Z in lower case"
    return [
        [
            ", ".join(f"`{name}`" for name in TITLE_FIELDS),
            "stripped of white space (Unicode's White_Space) at both ends; null if empty",
        ],
        ["`device_type`", f"{', '.join(DEVICE_TYPES)}; {words}; {other}"],
    ]


def _escape(expression: str) -> str:
    """Write invisible characters as escapes."""
    return expression.encode("unicode_escape").decode()


def _field_row(field: Field) -> list[str]:
    required = " **required**" if field.required and not field.set_by_topic else ""
    return [f"`{field.name}`", field.kind, field.group, field.description + describe_default(field) + required]


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    write_documents(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())

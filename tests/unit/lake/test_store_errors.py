"""Errors of stores become messages with a next step; a place whose name contains the text of an error is no error."""

from __future__ import annotations

import pytest
from deltalake.exceptions import CommitFailedError, DeltaError
from obstore.exceptions import BaseError

from soundlake.errors import SettingsError, Unavailable
from soundlake.lake import CommitConflict
from soundlake.lake.store_errors import _PERMANENT, _TEMPORARY, describe_store_error, translate_store_errors

SIGNS = [sign for sign, *_ in (*_PERMANENT, *_TEMPORARY)]
OTHER_ERRORS = (
    "Generic S3 error\n \x1b[31m↳\x1b[0m Error performing GET https://{name}.store.example/{name}/p/_delta_log/ in 6.1ms - Server returned",
    "Object at location {name}/p/x not found: Error performing PUT http://127.0.0.1:9000/{name}/p/x in 1.8ms",
    "<Error><Code>InternalError</Code><Resource>/{name}/p</Resource><BucketName>{name}</BucketName><Key>{name}</Key></Error>",
    "When reading information for key '{name}/x' in bucket '{name}': AWS Error INTERNAL_FAILURE during HeadObject operation",
    "Unable to open /data/{name}/lake/bronze/plays: Input/output error (os error 5)",
)


def write_response(code: str, bucket: str = "lake") -> str:
    return (
        f"Generic S3 error: Error performing PUT http://127.0.0.1:9000/{bucket}/p in 2ms - Server returned 403 Forbidden: "
        f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>No.</Message><BucketName>{bucket}</BucketName></Error>'
    )


@pytest.mark.parametrize("sign", [*SIGNS, "quota", "forbidden", "timeout", "169.254.169.254"])
@pytest.mark.parametrize("text", OTHER_ERRORS, ids=["host", "key", "xml", "arrow", "folder"])
def test_the_name_of_a_place_is_not_searched_for_errors(sign, text):
    name = sign.replace(" ", "-")
    error = describe_store_error(f"s3://{name}/p", OSError(text.format(name=name)))
    assert isinstance(error, Unavailable)
    assert "the lake cannot be used" in error.message


def test_a_folder_named_like_an_error_is_no_error():
    folder = "/data/disk quota exceeded/lake"
    assert "cannot be used" in describe_store_error(folder, OSError(f"Unable to open {folder}/x: Input/output error")).message


@pytest.mark.parametrize(
    ("text", "kind", "meaning"),
    [
        ("LocalFileSystem error: Disk quota exceeded (os error 122)", Unavailable, "the quota is used up"),
        ("IO Error: No space left on device (os error 28)", Unavailable, "the disk is full"),
        (write_response("QuotaExceeded"), Unavailable, "the quota is used up"),
        (write_response("SlowDown"), Unavailable, "the store asks to slow down"),
        (write_response("RequestTimeTooSkewed"), Unavailable, "this machine's clock differs from the store's"),
        (write_response("AccessDenied", "slowdown"), SettingsError, "these keys lack a permission there"),
        (write_response("SlowDown", "accessdenied"), Unavailable, "the store asks to slow down"),
        (write_response("ExpiredToken"), SettingsError, "these keys have expired"),
        ("Error performing PUT http://169.254.169.254/latest/api/token in 3s", SettingsError, "there are no keys"),
        ("builder error for url (http://h:1/b): URL scheme is not allowed", SettingsError, "its endpoint is http://"),
        ("Unable to create /data/x: Permission denied (os error 13)", Unavailable, "writing there is not allowed"),
    ],
)
def test_a_known_error_is_described_with_a_next_step(text, kind, meaning):
    error = describe_store_error("s3://lake/p", OSError(text))
    assert isinstance(error, kind)
    assert error.message == f"s3://lake/p: {meaning}" or error.message.startswith(f"s3://lake/p: {meaning},")
    assert error.next_step


def test_an_unknown_error_is_quoted_by_its_first_and_last_line():
    chain = "Generic S3 error\n \x1b[31m↳\x1b[0m in between\n \x1b[31m↳\x1b[0m connection reset by peer\n"
    assert describe_store_error("s3://lake/p", OSError(chain)).message == (
        "s3://lake/p: the lake cannot be used (Generic S3 error: connection reset by peer)"
    )
    assert describe_store_error("s3://lake/p", TimeoutError()).message == "s3://lake/p: the lake cannot be used (TimeoutError)"
    assert len(describe_store_error("s3://lake/p", OSError("x" * 1_000)).message) == len("s3://lake/p: the lake cannot be used ()") + 300


@pytest.mark.parametrize(
    "cause",
    [
        CommitFailedError("Transaction failed: version 3 already exists"),
        DeltaError("Invalid table version: 2"),
        DeltaError("Kernel error: File not found: /lake/p/_delta_log/00000000000000000002.json"),
        OSError("Not found:\n/lake/p/_delta_log/00000000000000000100.checkpoint.parquet"),
    ],
    ids=["lost race", "deleted version", "deleted commit", "deleted checkpoint"],
)
def test_a_lost_race_and_a_deleted_log_file_are_commit_conflicts(cause):
    with pytest.raises(CommitConflict, match=r"^s3://lake/p: ") as conflict, translate_store_errors("s3://lake/p"):
        raise cause
    assert conflict.value.__cause__ is cause


@pytest.mark.parametrize("cause", [OSError("away"), DeltaError("away"), BaseError("away")], ids=lambda cause: type(cause).__name__)
def test_errors_of_stores_and_of_delta_rs_are_translated(cause):
    with pytest.raises(Unavailable, match="away") as error, translate_store_errors("s3://lake/p"):
        raise cause
    assert error.value.__cause__ is cause


def test_other_errors_pass_unchanged():
    with pytest.raises(ZeroDivisionError), translate_store_errors("s3://lake/p"):
        raise ZeroDivisionError

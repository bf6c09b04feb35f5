"""What a store says becomes words; the name of a place is not one of them."""

from __future__ import annotations

import pytest

from soundlake.errors import SettingsError, Unavailable
from soundlake.lake.store_errors import _LASTING, _PASSING, describe_store_error

SIGNS = [sign for sign, *_ in (*_LASTING, *_PASSING)]
ELSEWHERE = (
    "Generic S3 error\n \x1b[31m↳\x1b[0m Error performing GET https://{name}.store.example/{name}/p/_delta_log/ in 6.1ms - Server returned",
    "Object at location {name}/p/x not found: Error performing PUT http://127.0.0.1:9000/{name}/p/x in 1.8ms",
    "<Error><Code>InternalError</Code><Resource>/{name}/p</Resource><BucketName>{name}</BucketName><Key>{name}</Key></Error>",
    "When reading information for key '{name}/x' in bucket '{name}': AWS Error INTERNAL_FAILURE during HeadObject operation",
    "Unable to open /data/{name}/lake/bronze/plays: Input/output error (os error 5)",
)


def write_answer(code: str, bucket: str = "lake") -> str:
    return (
        f"Generic S3 error: Error performing PUT http://127.0.0.1:9000/{bucket}/p in 2ms - Server returned 403 Forbidden: "
        f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>No.</Message><BucketName>{bucket}</BucketName></Error>'
    )


@pytest.mark.parametrize("sign", [*SIGNS, "quota", "forbidden", "timeout", "169.254.169.254"])
@pytest.mark.parametrize("said", ELSEWHERE, ids=["host", "key", "xml", "arrow", "folder"])
def test_the_name_of_a_place_is_no_fault(sign, said):
    name = sign.replace(" ", "-")
    error = describe_store_error(f"s3://{name}/p", OSError(said.format(name=name)))
    assert isinstance(error, Unavailable)
    assert "the lake cannot be used" in error.message


def test_a_folder_whose_name_has_the_words_of_a_fault_is_no_fault():
    folder = "/data/disk quota exceeded/lake"
    assert "cannot be used" in describe_store_error(folder, OSError(f"Unable to open {folder}/x: Input/output error")).message


@pytest.mark.parametrize(
    ("said", "kind", "meaning"),
    [
        ("LocalFileSystem error: Disk quota exceeded (os error 122)", Unavailable, "the quota is used up"),
        (write_answer("QuotaExceeded"), Unavailable, "the quota is used up"),
        (write_answer("SlowDown"), Unavailable, "the store asks to slow down"),
        (write_answer("RequestTimeTooSkewed"), Unavailable, "this machine's clock is not the store's"),
        (write_answer("AccessDenied", "slowdown"), SettingsError, "these keys may not do that there"),
        (write_answer("SlowDown", "accessdenied"), Unavailable, "the store asks to slow down"),
        (write_answer("ExpiredToken"), SettingsError, "the store says that these keys have run out"),
        ("Error performing PUT http://169.254.169.254/latest/api/token in 3s", SettingsError, "there are no keys"),
        ("builder error for url (http://h:1/b): URL scheme is not allowed", SettingsError, "its endpoint is http://"),
        ("Unable to create /data/x: Permission denied (os error 13)", Unavailable, "writing there is not allowed"),
    ],
)
def test_what_a_store_says_is_told_in_words(said, kind, meaning):
    error = describe_store_error("s3://lake/p", OSError(said))
    assert isinstance(error, kind)
    assert meaning in error.message

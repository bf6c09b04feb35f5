"""The object store behind a table, for its data files. delta-rs opens its own for the log, with the same options."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import obstore
import pyarrow.fs as pa_fs
from obstore.exceptions import AlreadyExistsError
from obstore.store import GCSStore, LocalStore, ObjectStore, S3Store

from soundlake.errors import SettingsError


def open_store(uri: str, storage_options: Mapping[str, str]) -> ObjectStore:
    """The store whose root is `uri`: a path, s3://… or gs://…, opened with delta-rs's storage options."""
    if "://" not in uri:
        return LocalStore(uri)
    options = {name.lower(): value for name, value in storage_options.items()}
    allow_http = options.pop("aws_allow_http", "false") == "true"
    kind = S3Store if uri.startswith("s3://") else GCSStore
    return cast("ObjectStore", cast("Any", kind).from_url(uri, config=options, client_options={"allow_http": allow_http}))


def open_filesystem(uri: str, storage_options: Mapping[str, str]) -> pa_fs.FileSystem | None:
    """Arrow's own file system for the same place, for reading; None for gs://, where deltalake's is used.

    deltalake's passes Python buffers to Arrow's threads; a thread that releases one while the interpreter exits aborts the
    process (SIGABRT, pyarrow 26 with deltalake 1.6.6: 3 of 8 short runs).
    """
    if "://" not in uri:
        return pa_fs.SubTreeFileSystem(uri, pa_fs.LocalFileSystem())
    if not uri.startswith("s3://"):
        return None
    endpoint = find_endpoint(uri, storage_options)
    store = pa_fs.S3FileSystem(
        access_key=storage_options.get("AWS_ACCESS_KEY_ID"),
        secret_key=storage_options.get("AWS_SECRET_ACCESS_KEY"),
        session_token=storage_options.get("AWS_SESSION_TOKEN"),
        region=storage_options.get("AWS_REGION"),
        endpoint_override=endpoint.netloc or None,
        scheme=endpoint.scheme or "https",
        force_virtual_addressing=storage_options.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST") == "true",
    )
    return pa_fs.SubTreeFileSystem(uri.removeprefix("s3://"), store)


def find_endpoint(uri: str, storage_options: Mapping[str, str]) -> SplitResult:
    """The endpoint of the store behind `uri`, without the bucket that delta-rs expects in the host name of virtual-hosted requests."""
    endpoint = urlsplit(storage_options.get("AWS_ENDPOINT_URL", ""))
    if storage_options.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST") != "true":
        return endpoint
    return endpoint._replace(netloc=endpoint.netloc.removeprefix(f"{urlsplit(uri).netloc}."))


def check_create_only(uri: str, storage_options: Mapping[str, str]) -> None:
    """Check that the store honours `If-None-Match: *`: create a small object twice, and delete it. The second must fail.

    Raises SettingsError if both succeed: commits of two writers would then overwrite each other unnoticed.
    """
    store, name = open_store(uri, storage_options), f"_create_only_{uuid.uuid4().hex}"
    is_overwritten = False
    with suppress(AlreadyExistsError):  # also from the first, if its response was lost and the client tried again
        obstore.put(store, name, b"first", mode="create", use_multipart=False)
        obstore.put(store, name, b"second", mode="create", use_multipart=False)
        is_overwritten = True
    obstore.delete(store, name)
    if is_overwritten:
        endpoint = find_endpoint(uri, storage_options).geturl() or "Amazon S3"
        raise SettingsError(
            f"{uri}: the store ({endpoint}) overwrites objects that it must create only (If-None-Match: *): commits would be lost",
            next_step="use a store that honours it: docs/object-storage.md lists some; nothing was stored",
        )

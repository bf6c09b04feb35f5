"""The store behind a table, for its data files; delta-rs opens its own for the log, by the same options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from obstore.store import GCSStore, LocalStore, ObjectStore, S3Store


def open_store(uri: str, storage_options: Mapping[str, str]) -> ObjectStore:
    """The store whose root is `uri`: a path, s3://… or gs://…, reached by delta-rs's storage options."""
    if "://" not in uri:
        return LocalStore(uri)
    options = {name.lower(): value for name, value in storage_options.items()}
    allow_http = options.pop("aws_allow_http", "false") == "true"
    kind = S3Store if uri.startswith("s3://") else GCSStore
    return cast("ObjectStore", cast("Any", kind).from_url(uri, config=options, client_options={"allow_http": allow_http}))

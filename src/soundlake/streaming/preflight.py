"""What is looked at before Java begins: what is wrong there is a clear message here, and a stack trace later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from soundlake.errors import SettingsError
from soundlake.lake.store_errors import translate_store_errors
from soundlake.lake.object_store import open_store
from soundlake.settings import Settings
from soundlake.streaming import processed
from soundlake.streaming.deployment import SUBMITTED

_GCS_ENDPOINT = "https://storage.googleapis.com"


def check_storage(settings: Settings, queries: Sequence[str]) -> None:
    """Look once at each place that these queries write to.

    Raises SettingsError for an address or keys with which no run can go well, Unavailable for a store that does not answer.
    """
    if processed.NAME in queries and settings.lake_address.path is not None:
        with translate_store_errors(str(settings.lake_address.path)):
            (settings.lake_address.path / "processed").mkdir(parents=True, exist_ok=True)
    for setting, url in _list_stores(settings, queries):
        if url.startswith("gs://"):
            if settings.stream.master == SUBMITTED:
                continue  # whoever submits it brings the connector, and its keys
            raise SettingsError(
                f"{setting}={url}: Spark has no connector for gs:// here",
                next_step=f"for `soundlake stream` alone write s3:// and set AWS_ENDPOINT_URL={_GCS_ENDPOINT} and HMAC keys of the bucket",
            )
        with translate_store_errors(url):
            next(iter(open_store(url, settings.storage_options).list(chunk_size=1)), None)


def _list_stores(settings: Settings, queries: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The buckets among these places, by the setting that names them."""
    if processed.NAME in queries and settings.lake_address.path is None:
        yield "SOUNDLAKE_LAKE", settings.lake_address.url
    checkpoints = settings.stream.checkpoints.replace("s3a://", "s3://", 1)
    if checkpoints.startswith("gs://") or (checkpoints.startswith("s3://") and settings.storage_options):
        yield "SOUNDLAKE_STREAM_CHECKPOINTS", checkpoints

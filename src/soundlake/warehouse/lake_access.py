"""How DuckDB reaches a lake in a bucket, told to dbt in its environment; names with SECRET in them dbt keeps out of its logs."""

from __future__ import annotations

from collections.abc import Mapping

from soundlake.errors import SettingsError
from soundlake.lake.store import find_service


def describe_store(uri: str, storage_options: Mapping[str, str]) -> dict[str, str]:
    """What profiles.yml reads for tables at this address; nothing for a folder. Raises SettingsError for another store."""
    if uri.startswith("gs://"):
        raise SettingsError(
            f"SOUNDLAKE_LAKE={uri.split('/bronze', maxsplit=1)[0]}: the warehouse builds from folders and s3:// only",
            next_step="keep the lake in a folder or in a bucket that takes S3's verbs",
        )
    if not uri.startswith("s3://"):
        return {}
    endpoint = find_service(uri, storage_options)
    found = {
        "SOUNDLAKE_DBT_TARGET": "duckdb_s3",
        "DBT_ENV_SECRET_S3_KEY_ID": storage_options.get("AWS_ACCESS_KEY_ID", ""),
        "DBT_ENV_SECRET_S3_KEY": storage_options.get("AWS_SECRET_ACCESS_KEY", ""),
        "DBT_ENV_SECRET_S3_TOKEN": storage_options.get("AWS_SESSION_TOKEN", ""),
        "SOUNDLAKE_DBT_S3_REGION": storage_options.get("AWS_REGION", "us-east-1"),
    }
    if not endpoint.netloc:
        return found
    return {
        **found,
        "SOUNDLAKE_DBT_S3_ENDPOINT": endpoint.netloc,
        "SOUNDLAKE_DBT_S3_STYLE": "vhost" if storage_options.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST") == "true" else "path",
        "SOUNDLAKE_DBT_S3_TLS": str(endpoint.scheme == "https").lower(),
    }

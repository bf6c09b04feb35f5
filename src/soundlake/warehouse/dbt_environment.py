"""The environment variables that dbt, profiles.yml and the sources read. dbt keeps values of names with SECRET in them out of its logs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from soundlake.errors import SettingsError
from soundlake.lake.object_store import find_endpoint
from soundlake.warehouse.build_state import BUILD, BronzeLake
from soundlake.warehouse.extensions import provide_extensions


def build_dbt_environment(
    project: Path, folder: Path, lake: BronzeLake, memory_limit: str, *, models_from_spotify_api: bool = False
) -> dict[str, str]:
    """The variables for a build of `project` from `lake` into `folder`. Provides DuckDB's extensions in that folder."""
    bronze = lake.find_uri("plays")
    return {
        "DBT_PROJECT_DIR": str(project),
        "DBT_PROFILES_DIR": str(project),
        "DBT_TARGET_PATH": str(folder / "dbt" / "target"),
        "DBT_LOG_PATH": str(folder / "dbt" / "logs"),
        "DO_NOT_TRACK": "1",
        "SOUNDLAKE_DBT_DATABASE": str(folder / BUILD),
        "SOUNDLAKE_DBT_EXTENSIONS": str(provide_extensions(folder / "extensions")),
        "SOUNDLAKE_DBT_LAKE": bronze.removesuffix("/bronze/plays"),
        "SOUNDLAKE_DBT_MEMORY": memory_limit,
        "SOUNDLAKE_DBT_MODELS_FROM_SPOTIFY_API": str(models_from_spotify_api).lower(),
        "SOUNDLAKE_DBT_TEMP": str(folder / "temp"),
        **describe_store(bronze, lake.storage_options),
    }


def describe_store(uri: str, storage_options: Mapping[str, str]) -> dict[str, str]:
    """The variables that profiles.yml needs for tables at this address; none for a folder. Raises SettingsError for gs://."""
    if uri.startswith("gs://"):
        raise SettingsError(
            f"SOUNDLAKE_LAKE={uri.split('/bronze', maxsplit=1)[0]}: the warehouse builds from folders and s3:// only",
            next_step="keep the lake in a folder or in a bucket with an S3 interface",
        )
    if not uri.startswith("s3://"):
        return {}
    endpoint = find_endpoint(uri, storage_options)
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

"""DuckDB's extensions, copied out of installed packages into a folder. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import duckdb
from duckdb_extensions import import_extension

NAMES = ("delta", "httpfs")


def provide_extensions(folder: Path) -> Path:
    """The folder, filled with every extension that a build loads, for the installed version of DuckDB."""
    if not all(any(folder.glob(f"v{duckdb.__version__}/*/{name}.duckdb_extension")) for name in NAMES):
        folder.mkdir(parents=True, exist_ok=True)
        config: dict[str, str | bool | int | float | list[str]] = {
            "extension_directory": str(folder),
            "autoinstall_known_extensions": "false",
        }
        with duckdb.connect(config=config) as connection:
            for name in NAMES:
                import_extension(name, con=connection)
    return folder

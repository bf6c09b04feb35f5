"""Where a campaign stores: the same tests on a folder and in a bucket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture(params=["folder", "bucket"])
def campaign(request, tmp_path) -> Path:
    """The folder of one; `sink_driver.open_lake` finds there where its lake is."""
    if request.param == "bucket":
        options = request.getfixturevalue("object_store").server.storage_options
        found = {"uri": f"s3://spotify-data-lake/{tmp_path.name}", "storage_options": options}
        (tmp_path / "bucket.json").write_text(json.dumps(found))
    return tmp_path

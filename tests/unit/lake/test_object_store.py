"""Opening the store behind an address, and the check that it creates objects only once."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.fs as pa_fs
import pytest
from obstore.store import GCSStore, LocalStore, S3Store

from soundlake.errors import SettingsError
from soundlake.lake.object_store import check_create_only, find_endpoint, open_filesystem, open_store

OPTIONS = {
    "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "AWS_ALLOW_HTTP": "true",
}  # fmt: skip


def test_each_kind_of_address_opens_its_store(tmp_path):
    assert isinstance(open_store(str(tmp_path), {}), LocalStore)
    s3 = open_store("s3://lake/prefix", OPTIONS)
    assert isinstance(s3, S3Store)
    assert (s3.prefix, s3.client_options) == ("prefix", {"allow_http": "true"})
    assert "aws_allow_http" not in s3.config
    assert open_store("s3://lake", {"AWS_REGION": "eu-west-1"}).client_options == {"allow_http": "false"}
    assert isinstance(open_store("gs://lake/prefix", {}), GCSStore)


def test_files_are_read_by_arrow_except_on_google(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    local = open_filesystem(str(tmp_path), {})
    assert local.open_input_file("file").read() == b"content"
    s3 = open_filesystem("s3://lake/prefix", OPTIONS)
    assert isinstance(s3, pa_fs.SubTreeFileSystem)
    assert (s3.base_path, s3.base_fs.region) == ("lake/prefix/", "eu-west-1")
    assert open_filesystem("gs://lake", {}) is None


@pytest.mark.parametrize(
    ("endpoint", "virtual_hosted", "expected"),
    [
        ("https://store.example:9000", "false", "https://store.example:9000"),
        ("https://lake.store.example", "true", "https://store.example"),
        ("https://store.example", "true", "https://store.example"),
        ("https://lake.store.example", "false", "https://lake.store.example"),
        ("", "true", ""),
    ],
    ids=["path-style", "bucket in the host", "virtual-hosted without bucket", "path-style with a host like the bucket", "none"],
)
def test_the_endpoint_of_virtual_hosted_requests_is_found_without_the_bucket(endpoint, virtual_hosted, expected):
    options = {"AWS_ENDPOINT_URL": endpoint, "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": virtual_hosted}
    assert find_endpoint("s3://lake/prefix", options).geturl() == expected


class OverwritingStore(BaseHTTPRequestHandler):
    """A store that takes every object, whatever `If-None-Match` says."""

    def do_PUT(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:  # deletes
        self._answer(b"<DeleteResult><Deleted><Key>any</Key></Deleted></DeleteResult>")

    def _answer(self, body: bytes) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_store_that_overwrites_objects_is_refused():
    with ThreadingHTTPServer(("127.0.0.1", 0), OverwritingStore) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(SettingsError, match="overwrites objects") as error:
            check_create_only("s3://lake/prefix", OPTIONS | {"AWS_ENDPOINT_URL": address})
        server.shutdown()
    assert address in error.value.message


def test_a_store_that_creates_objects_once_passes_and_keeps_nothing(tmp_path):
    check_create_only(str(tmp_path), {})
    assert list(Path(tmp_path).iterdir()) == []

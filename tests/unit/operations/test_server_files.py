"""Files and ports of local servers: jars with the right hash, private secrets, free ports."""

from __future__ import annotations

import hashlib
import socket
import stat

import pytest

from soundlake.errors import SettingsError, Unavailable
from soundlake.operations.servers import KAFKA_JARS, KafkaServer, ObjectStore, RedisServer, find_free_block
from soundlake.operations.servers.jars import SPARK_JARS, find_missing, read_jars
from soundlake.operations.servers.ports import check_free
from soundlake.operations.servers.private_files import read_or_make_key, write_private


@pytest.mark.parametrize("listing", [KAFKA_JARS, SPARK_JARS], ids=["kafka", "spark"])
def test_a_committed_list_names_each_jar_once_with_a_hash(listing):
    jars = read_jars(listing)
    assert len({jar.file_name for jar in jars}) == len(jars) > 40
    assert all(len(bytes.fromhex(jar.sha256)) == 32 and jar.organisation and jar.version for jar in jars)


def test_a_jar_with_another_hash_counts_as_missing(tmp_path):
    right, wrong = b"what was meant", b"something else"
    listing = tmp_path / "jars.txt"
    digest = hashlib.sha256(right).hexdigest()
    listing.write_text(f"# comment\n{digest} org.example:one:1.0\n{digest} org.example:two:2.0\n{digest} org.example:three:3\n")
    (tmp_path / "one-1.0.jar").write_bytes(right)
    (tmp_path / "two-2.0.jar").write_bytes(wrong)
    assert [jar.file_name for jar in find_missing(read_jars(listing), tmp_path)] == ["two-2.0.jar", "three-3.jar"]


def test_a_secret_is_generated_once_and_readable_by_its_owner_only(tmp_path):
    path = tmp_path / "redis" / "password"
    first = read_or_make_key(path)
    assert read_or_make_key(path) == first
    assert len(first) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_can_read_is_replaced_by_a_private_one(tmp_path):
    path = tmp_path / "settings.env"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)


def test_a_home_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "home").write_text("a file in the place of the folder")
    with pytest.raises(Unavailable, match=r"home/stack/keys\.json cannot be written: Not a directory\n→ .* SOUNDLAKE_HOME"):
        write_private(tmp_path / "home" / "stack" / "keys.json", "secret")


def test_the_keys_of_a_store_are_stored_and_differ_between_stores(tmp_path):
    keys = ObjectStore(tmp_path / "one", 20_000).keys
    assert ObjectStore(tmp_path / "one", 21_000).keys == keys
    assert ObjectStore(tmp_path / "two", 20_000).keys != keys


def test_the_repr_of_a_server_has_no_password(tmp_path):
    redis, kafka = RedisServer(tmp_path, 20_000), KafkaServer(tmp_path, 20_000, tmp_path, properties={"password": "correct-horse"})
    assert redis.password not in repr(redis)
    assert "correct-horse" not in repr(kafka)


@pytest.mark.parametrize(
    "make", [lambda home: KafkaServer(home, 20_000, home), lambda home: ObjectStore(home, 20_000)], ids=["kafka", "store"]
)
def test_a_home_with_a_comma_is_an_error(tmp_path, make):
    with pytest.raises(SettingsError, match=r"a, b: Kafka and the object store read a comma .*\n→ set SOUNDLAKE_HOME"):
        make(tmp_path / "a, b").prepare()


def test_kafka_gets_its_folder_in_the_syntax_of_java_properties(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    folder = tmp_path / "José's \\ 🎧 home"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "meta.properties").touch()
    KafkaServer(folder, 20_000, tmp_path).prepare()
    assert r"/Jos\u00e9's \\ \ud83c\udfa7 home/data" in (folder / "server.properties").read_text("ascii")


def test_a_free_block_is_free_and_a_taken_port_is_named():
    first = find_free_block()
    check_free("redis", {"clients": first}, "SOUNDLAKE_REDIS_PORT")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        with pytest.raises(Unavailable, match=rf"redis: port {first} \(clients\) on 127.0.0.1 is taken"):
            check_free("redis", {"clients": first}, "SOUNDLAKE_REDIS_PORT")

"""Addresses and secrets of this project as Spark, Hadoop and Kafka's Java client write them."""

from __future__ import annotations

from collections.abc import Mapping

from soundlake.lake.object_store import find_endpoint
from soundlake.settings import Address, KafkaAccess

_LOGIN_MODULE = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


def describe_kafka(access: KafkaAccess) -> dict[str, str]:
    """The `kafka.…` options of Spark's source and sink; a password may be among them."""
    options = {"bootstrap.servers": access.servers, "security.protocol": access.security_protocol}
    if access.security_protocol.startswith("SASL"):
        user, password = _quote(access.username), _quote(access.password.get_secret_value())
        options["sasl.mechanism"] = access.sasl_mechanism
        options["sasl.jaas.config"] = f"{_LOGIN_MODULE[access.sasl_mechanism]} required username={user} password={password};"
    if access.ca_file:
        options |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": access.ca_file}
    return {f"kafka.{name}": value for name, value in options.items()}


def describe_store(uri: str, storage_options: Mapping[str, str]) -> dict[str, str]:
    """Spark's properties for the S3 store behind `uri` that delta-rs reaches by these options, not its keys; none for a local folder."""
    if "AWS_REGION" not in storage_options:
        return {}
    is_by_name = storage_options.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST") == "true"
    endpoint = find_endpoint(uri, storage_options).geturl()  # Hadoop puts the bucket into the host's name itself
    found = {
        "endpoint": endpoint,
        "endpoint.region": storage_options["AWS_REGION"],
        "path.style.access": str(bool(endpoint) and not is_by_name).lower(),
        "connection.ssl.enabled": str(not endpoint.startswith("http://")).lower(),
        # The default of Hadoop 3.5 needs classes that its own jar left out, and fails with the first file that is read.
        "input.stream.type": "classic",
        "change.detection.mode": "none",  # stores other than Amazon's answer without the headers that it looks for
    }
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in found.items() if value}


def describe_keys(storage_options: Mapping[str, str]) -> dict[str, str]:
    """Hadoop's properties for the keys to that store, in clear: nothing that a command line or a log may show."""
    names = {"access.key": "AWS_ACCESS_KEY_ID", "secret.key": "AWS_SECRET_ACCESS_KEY", "session.token": "AWS_SESSION_TOKEN"}
    return {f"fs.s3a.{name}": storage_options[option] for name, option in names.items() if option in storage_options}


def write_folder(address: Address) -> str:
    """A lake's address as Spark writes it, without a slash at its end."""
    return address.url.replace("s3://", "s3a://", 1).rstrip("/")


def _quote(text: str) -> str:
    """A text of JAAS, whose quotes and backslashes are escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

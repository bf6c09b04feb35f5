"""The connection to a schema registry: confluent-kafka's client, and its errors as this project's."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry._sync.avro import _resolve_named_schema
from confluent_kafka.schema_registry.common._httpx_compat import httpx  # the client's HTTP library, for its errors

from soundlake.errors import SettingsError, SoundlakeError, Unavailable, UsageError
from soundlake.settings import SchemaRegistryAccess

ANSWER_SECONDS = 10.0
"""How long a registry may take to answer before it counts as unavailable."""

_UNKNOWN = {40401, 40402, 40403}  # the registry's own codes: no such subject, version, schema. A wrong address is a 404 with another code.
_REFUSED = {401, 403}
_INCOMPATIBLE, _TOO_SOON, _TOO_MANY, _SERVER_ERRORS = 409, 408, 429, 500


class UnknownSchema(UsageError):
    """The registry answers that it does not have the schema, or one that it refers to."""


class RegistryConnection:
    """One registry. The client caches schemas by id; it does not retry, its callers do."""

    def __init__(self, access: SchemaRegistryAccess, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._access = access
        conf = {"url": access.url, "timeout": answer_seconds, "max.retries": 0}
        if access.username:
            conf["basic.auth.user.info"] = f"{access.username}:{access.password.get_secret_value()}"
        if access.ca_file:
            conf["ssl.ca.location"] = access.ca_file
        try:
            self.client = SchemaRegistryClient(conf)
        except (OSError, ssl.SSLError) as cause:
            raise SettingsError(
                f"SOUNDLAKE_SCHEMA_REGISTRY_CA_FILE={access.ca_file}: {cause}", next_step="name a PEM file with certificates"
            ) from cause

    def fetch_schema(self, schema_id: int) -> Schema:
        """The schema with this id. Raises UnknownSchema if there is none."""
        doing = f"reading the schema {schema_id}"
        with self.translate_errors(doing):
            schema = self.client.get_schema(schema_id)
        if schema.schema_str is None:
            raise self._build_no_registry_error(doing, "an answer without a schema")
        return schema

    def fetch_references(self, schema: Schema, schema_id: int) -> None:
        """Fetch the schemas that this Avro schema refers to; the client keeps them. Raises UnknownSchema if one is missing."""
        with self.translate_errors(f"reading what the schema {schema_id} refers to"):
            _resolve_named_schema(schema, self.client)

    @contextmanager
    def translate_errors(self, doing: str) -> Iterator[None]:
        """Raise the errors of a request as this project's: Unavailable, SettingsError, UsageError, or UnknownSchema."""
        try:
            yield
        except SchemaRegistryError as cause:
            raise self._translate(cause, doing) from cause
        except httpx.HTTPError as cause:
            raise self._translate_failure(cause, doing) from cause
        except (ValueError, TypeError, KeyError, AttributeError) as cause:  # what the client makes of an answer that is no registry's
            raise self._build_no_registry_error(doing, str(cause)) from cause

    def _translate(self, error: SchemaRegistryError, doing: str) -> SoundlakeError:
        status, named = error.http_status_code, f"the schema registry at {self._access.url}"
        reason = f"{doing}: {error.error_message} (HTTP {status}, code {error.error_code})"
        if error.error_code in _UNKNOWN:
            return UnknownSchema(f"{named}: {reason}")
        if status in _REFUSED:
            user = self._access.username or "a client without a user name"
            return SettingsError(
                f"{named} refuses {user} ({reason})",
                next_step="correct SOUNDLAKE_SCHEMA_REGISTRY_USERNAME and SOUNDLAKE_SCHEMA_REGISTRY_PASSWORD, or grant this user access",
            )
        if status == _INCOMPATIBLE:
            return UsageError(
                f"{named}: {reason}", next_step="another schema is registered there: delete that subject, or publish to other topics"
            )
        if status >= _SERVER_ERRORS or status in (_TOO_SOON, _TOO_MANY):
            return self._build_outage_error(reason)
        return self._build_no_registry_error(doing, f"{error.error_message} (HTTP {status}, code {error.error_code})")

    def _translate_failure(self, error: httpx.HTTPError, doing: str) -> SoundlakeError:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return SettingsError(
                f"the schema registry at {self._access.url}: no secure connection: {error}",
                next_step="set SOUNDLAKE_SCHEMA_REGISTRY_CA_FILE to the certificate of the authority that signed the server's",
            )
        return self._build_outage_error(f"{doing}: {error or type(error).__name__}")

    def _build_outage_error(self, reason: str) -> Unavailable:
        return Unavailable(
            f"the schema registry at {self._access.url} does not answer ({reason})",
            next_step="check that it runs (SOUNDLAKE_SCHEMA_REGISTRY); no record is rejected meanwhile",
        )

    def _build_no_registry_error(self, doing: str, reason: str) -> SettingsError:
        return SettingsError(
            f"what answers at {self._access.url} is no schema registry ({doing}: {reason})",
            next_step="set SOUNDLAKE_SCHEMA_REGISTRY to the base address of one with Confluent's API, such as http://127.0.0.1:8081",
        )

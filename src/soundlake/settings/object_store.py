"""How a bucket is reached, in the standard variables of each cloud."""

from __future__ import annotations

from pydantic import Field, SecretStr

from soundlake.settings.addresses import Address
from soundlake.settings.groups import SettingsGroup


class S3Settings(SettingsGroup):
    """Amazon S3, and stores that speak its protocol."""

    endpoint: str = Field("", validation_alias="AWS_ENDPOINT_URL", description="address of the store; empty: Amazon's own")
    region: str = Field("us-east-1", validation_alias="AWS_REGION", description="region of the bucket")
    access_key: SecretStr = Field(SecretStr(""), validation_alias="AWS_ACCESS_KEY_ID", description="access key")
    secret_key: SecretStr = Field(SecretStr(""), validation_alias="AWS_SECRET_ACCESS_KEY", description="secret key")
    session_token: SecretStr = Field(SecretStr(""), validation_alias="AWS_SESSION_TOKEN", description="token of temporary keys")
    virtual_hosted: bool = Field(
        default=False, validation_alias="AWS_VIRTUAL_HOSTED_STYLE_REQUEST", description="the bucket is part of the host name"
    )
    allow_http: bool = Field(default=False, validation_alias="AWS_ALLOW_HTTP", description="allow connections without TLS")

    def storage_options(self, bucket: str) -> dict[str, str]:
        """What delta-rs needs to reach the bucket. Holds secrets in clear text: never log it."""
        options = {
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self._locate(bucket),
            "AWS_ACCESS_KEY_ID": self.access_key.get_secret_value(),
            "AWS_SECRET_ACCESS_KEY": self.secret_key.get_secret_value(),
            "AWS_SESSION_TOKEN": self.session_token.get_secret_value(),
            "AWS_ALLOW_HTTP": str(self.allow_http).lower(),
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true" if self.virtual_hosted else "",
        }
        return {name: value for name, value in options.items() if value}

    def _locate(self, bucket: str) -> str:
        """The endpoint as object_store expects it: with the bucket in the host name where requests are virtual-hosted."""
        scheme, found, host = self.endpoint.partition("://")
        return f"{scheme}://{bucket}.{host.removeprefix(f'{bucket}.')}" if found and self.virtual_hosted else self.endpoint


class GoogleSettings(SettingsGroup):
    """Google Cloud Storage."""

    credentials: str = Field("", validation_alias="GOOGLE_APPLICATION_CREDENTIALS", description="path of a service account's key file")

    def storage_options(self) -> dict[str, str]:
        """What delta-rs needs to reach a bucket; empty: the credentials of this machine."""
        return {"GOOGLE_APPLICATION_CREDENTIALS": self.credentials} if self.credentials else {}


def find_storage_options(lake: Address, s3: S3Settings, google: GoogleSettings) -> dict[str, str]:
    """What delta-rs needs to reach the lake; empty for a local folder. Holds secrets in clear text: never log it."""
    if lake.scheme == "s3":
        return s3.storage_options(lake.host)
    return google.storage_options() if lake.scheme == "gs" else {}

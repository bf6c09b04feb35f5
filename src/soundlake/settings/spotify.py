"""The app at Spotify that accounts are connected with, and how often it is called."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from soundlake.settings.groups import SettingsGroup


class SpotifySettings(SettingsGroup):
    """The app, under the names that Spotify's own examples use, and its request budget."""

    model_config = SettingsConfigDict(env_prefix="SPOTIFY_")

    client_id: str = Field("", description="client id of the app on developer.spotify.com/dashboard")
    client_secret: SecretStr = Field(SecretStr(""), description="client secret of the app; without it PKCE alone proves the sign-in")
    redirect_uri: str = Field("http://127.0.0.1:8888/callback", description="redirect address, as the app has it")
    developer: str = Field("", description="name of the developer account that owns the app, where a home has apps of several")
    tokens_in: Literal["file", "keyring"] = Field("file", description="where tokens are kept: files under home, or the system's keyring")
    feeds_models: bool = Field(
        default=False, description="plays that only the Web API reported feed recommendations too; its terms forbid it without permission"
    )
    calls_per_30_seconds: Annotated[
        int, Field(ge=1, description="most calls in 30 seconds; a new app was refused at 10 (unlikefraction/spotify-cli@v0.1.4)")
    ] = 6
    calls_per_day: Annotated[
        int, Field(ge=100, description="most calls in 24 hours; the quota was met after 480 to 2,600 (Waynting/GuessSong#28)")
    ] = 1_000
    accounts_url: str = Field("https://accounts.spotify.com", description="address of sign-in and tokens; a fake Spotify has its own")
    api_url: str = Field("https://api.spotify.com", description="address of the Web API; a fake Spotify has its own")

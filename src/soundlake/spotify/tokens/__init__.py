"""The tokens of the connected accounts: where they are kept, and the one way to a valid access token."""

from soundlake.spotify.tokens.access import AccessTokens
from soundlake.spotify.tokens.file_store import FileTokenStore
from soundlake.spotify.tokens.keyring_store import KeyringTokenStore
from soundlake.spotify.tokens.models import Connection, TokenStore

__all__ = ["AccessTokens", "Connection", "FileTokenStore", "KeyringTokenStore", "TokenStore"]
"""What the other modules of this package use."""

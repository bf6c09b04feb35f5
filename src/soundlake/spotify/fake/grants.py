"""Authorization codes and tokens. Tokens are signed statements, so a restarted fake still accepts those that it gave out."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Literal

import msgspec

ACCESS_TOKEN_SECONDS = 3_600
CODE_SECONDS = 600
REFRESH_TOKEN_SECONDS = 15_778_800
"""Six months, half of 365.25 days: a refresh token ends this long after the authorization, however often it was used."""

_SIGNATURE_BYTES = 16
_KEY = b"the fake's tokens open nothing else"


class Token(msgspec.Struct, array_like=True, frozen=True):
    """What a token states. `authorized_ms` is the time of the listener's consent, and `number` is different for each."""

    kind: Literal["access", "refresh"]
    account: str
    client_id: str
    scope: str
    authorized_ms: int
    expires_ms: int
    number: int
    uses_pkce: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """A single-use authorization code, and what it was given for."""

    account: str
    client_id: str
    redirect_uri: str
    scope: str
    challenge: str | None
    issued_ms: int


@dataclass(slots=True)
class Grants:
    """The codes that wait for their exchange, and the tokens that ended early."""

    codes: dict[str, Code] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    revoked_ms: dict[tuple[str, str], int] = field(default_factory=dict)
    last_number: int = 0

    def issue_code(self, code: Code) -> str:
        """A new code."""
        text = hashlib.sha256(f"{code}{self._number(code.issued_ms)}".encode()).hexdigest()
        self.codes[text] = code
        return text

    def issue(self, kind: Literal["access", "refresh"], base: Token, now_ms: int) -> tuple[str, Token]:
        """A new token of the same authorization."""
        expires = now_ms + ACCESS_TOKEN_SECONDS * 1_000 if kind == "access" else base.authorized_ms + REFRESH_TOKEN_SECONDS * 1_000
        token = msgspec.structs.replace(base, kind=kind, expires_ms=expires, number=self._number(now_ms))
        return _sign(token), token

    def read(self, text: str, kind: Literal["access", "refresh"], now_ms: int) -> Token | Literal["invalid", "expired", "revoked"]:
        """What a token states, or why it is refused."""
        token = read_statement(text)
        if token is None or token.kind != kind:
            return "invalid"
        if now_ms >= token.expires_ms:
            return "expired"
        is_revoked = token.authorized_ms <= self.revoked_ms.get((token.account, token.client_id), -1)
        return "revoked" if is_revoked or token.number in self.ended else token

    def revoke(self, account: str, client_id: str, now_ms: int) -> None:
        """End all tokens that the account gave this app, as the listener can on the page of their account."""
        self.revoked_ms[account, client_id] = now_ms

    def _number(self, now_ms: int) -> int:
        self.last_number = max(self.last_number + 1, now_ms)
        return self.last_number


def check_challenge(challenge: str, verifier: str) -> bool:
    """Whether the verifier belongs to an S256 challenge (RFC 7636)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge)


def _sign(token: Token) -> str:
    statement = msgspec.json.encode(token)
    sealed = hmac.digest(_KEY, statement, "sha256")[:_SIGNATURE_BYTES] + statement
    prefix = "BQ" if token.kind == "access" else "AQ"
    return prefix + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def read_statement(text: str) -> Token | None:
    """What a token states, ended or not; None for a text that the fake has not signed."""
    try:
        sealed = base64.urlsafe_b64decode(text[2:] + "=" * (-len(text[2:]) % 4))
        statement = sealed[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(hmac.digest(_KEY, statement, "sha256")[:_SIGNATURE_BYTES], sealed[:_SIGNATURE_BYTES]):
            return None
        return msgspec.json.decode(statement, type=Token)
    except (ValueError, msgspec.MsgspecError):
        return None

"""What a store or a table says when it refuses, in words that name the place and the next step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import CommitFailedError, DeltaError
from obstore.exceptions import BaseError as StoreError

from soundlake.errors import Retryable, SettingsError, Unavailable


class CommitConflict(Retryable):
    """Another commit came first; what this one was based on may no longer be true."""


_LOG_IS_GONE = re.compile(r"^Invalid table version|not found.*/_delta_log/\d{20}\.(json|checkpoint)", re.IGNORECASE | re.DOTALL)
"""What delta-rs says to a handle from before the oldest file of the log: it can no longer see what came in between."""

_ARROWS = re.compile("\x1b\\[\\d*m|↳")
"""How delta-rs draws a chain of causes."""

_PLACES = re.compile(
    r"""<(bucket|bucketname|key|resource|endpoint)>.*?</\1>  # of an answer in XML
    |(?:bucket|key|name)\ (?:'[^']*'|"[^"]*")              # as Arrow and TLS write them
    |[^\s"'<>(),]*/[^\s"'<>(),]*                          # addresses and paths
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
"""What only names a place: a bucket may be called anything."""

_NO_KEYS = "://169.254.169.254/"
"""Where Amazon's machines ask for keys of their own."""

_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

_PASSING = (
    ("no space left", "the disk is full", "free some space and start again: nothing is lost, it goes on where it stopped"),
    ("file too large", "a file may not grow further", "raise the file-size limit (ulimit -f) and start again: nothing is lost"),
    ("quota exceeded", "the quota is used up", "free some space and start again: nothing is lost, it goes on where it stopped"),
    ("quotaexceeded", "the quota is used up", "free some space and start again: nothing is lost, it goes on where it stopped"),
    ("permission denied", "writing there is not allowed", "give this user write access to it and start again"),
    ("read-only file system", "it is mounted read-only", "mount it for writing and start again"),
    ("not a directory", "a file stands where a folder should be", "move that file away, or choose another place with SOUNDLAKE_LAKE"),
    ("requesttimetooskewed", "this machine's clock is not the store's", "set the clock: nothing is lost, it goes on once the two agree"),
    ("slowdown", "the store asks to slow down", "nothing is lost: try again later, with fewer writers at once"),
    ("failed to lookup address", "the store's name is not known", "see that the network is there, or correct AWS_ENDPOINT_URL"),
    ("connection refused", "the store does not answer", "start it (see `soundlake status`), or correct AWS_ENDPOINT_URL"),
)
"""What a store or a disk says, what it means and what helps; the same call may work later."""

_LASTING = (
    ("nosuchbucket", "there is no such bucket", "make the bucket, or correct SOUNDLAKE_LAKE"),
    ("invalidaccesskeyid", "the store does not know this access key", "correct AWS_ACCESS_KEY_ID"),
    ("signaturedoesnotmatch", "the store refuses these keys", "correct AWS_SECRET_ACCESS_KEY"),
    ("expiredtoken", "the store says that these keys have run out", f"renew {_KEYS}"),
    ("notimplemented", "the store does not know a request that the lake needs", "take another store: see docs/object-storage.md"),
    ("accessdenied", "these keys may not do that there", f"allow reading, writing, listing and deleting there, or correct {_KEYS}"),
    ("authorizationheadermalformed", "the bucket is in another region", "correct AWS_REGION"),
    ("permanentredirect", "the bucket is in another region", "correct AWS_REGION"),
    ("redirect without location", "the bucket is in another region", "correct AWS_REGION"),
    ("url scheme is not allowed", "its endpoint is http://", "set AWS_ALLOW_HTTP=true, or name an endpoint that begins with https://"),
    ("invalidcontenttype", "its endpoint does not speak TLS", "begin AWS_ENDPOINT_URL with http:// and set AWS_ALLOW_HTTP=true"),
    ("invalid peer certificate", "its certificate is not trusted", "name the file of its authority in SSL_CERT_FILE"),
)
"""The same, where only another setting helps."""


@contextmanager
def translate_store_errors(uri: str) -> Iterator[None]:
    """Turn errors of the store or of delta-rs into `Unavailable` or `SettingsError` naming `uri`, a lost commit race into `CommitConflict`."""
    try:
        yield
    except CommitFailedError as cause:
        raise CommitConflict(f"{uri}: another commit came first ({cause})", next_step="try again") from cause
    except (OSError, DeltaError, StoreError) as cause:
        if _LOG_IS_GONE.search(str(cause)):
            raise CommitConflict(
                f"{uri}: so many commits came first that the log no longer tells of them ({cause})", next_step="try again"
            ) from cause
        raise describe_store_error(uri, cause) from cause


def describe_store_error(uri: str, cause: Exception) -> Unavailable | SettingsError:
    """The error for `cause` at `uri`, with what is known to help: a SettingsError where no waiting mends it."""
    said = str(cause)
    words = _PLACES.sub("", said.replace(uri, "")).lower()
    for sign, meaning, next_step in _LASTING:
        if sign in words:
            return SettingsError(f"{uri}: {meaning}", next_step=next_step)
    if _NO_KEYS in said:
        return SettingsError(f"{uri}: there are no keys, and this machine has none of its own", next_step=f"set {_KEYS}")
    for sign, meaning, next_step in _PASSING:
        if sign in words:
            return Unavailable(f"{uri}: {meaning}", next_step=next_step)
    return Unavailable(
        f"{uri}: the lake cannot be used ({_shorten(said) or type(cause).__name__})",
        next_step="see that the place exists and answers, then start again",
    )


def _shorten(said: str) -> str:
    """The first line and, of a chain of causes, the last one."""
    lines = [line for part in _ARROWS.sub("", said).splitlines() if (line := part.strip())]
    return ": ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))[:300]

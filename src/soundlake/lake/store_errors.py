"""Errors of object stores, disks and delta-rs, translated into messages that name the place, the cause and the next step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import CommitFailedError, DeltaError
from obstore.exceptions import BaseError as StoreError

from soundlake.errors import SettingsError, Unavailable
from soundlake.lake.protocol import CommitConflict

_LOG_FILES_DELETED = re.compile(
    r"^Invalid table version|not found.*/_delta_log/\d{20}\.(json|checkpoint)", re.IGNORECASE | re.DOTALL
)  # fmt: skip
"""The error of delta-rs for a handle older than the oldest file of the log: it cannot read the commits in between."""

_ARROWS = re.compile("\x1b\\[\\d*m|↳")
"""How delta-rs draws a chain of causes."""

_PLACES = re.compile(
    r"""<(bucket|bucketname|key|resource|endpoint)>.*?</\1>  # in an XML response
    |(?:bucket|key|name)\ (?:'[^']*'|"[^"]*")              # as Arrow and TLS write them
    |[^\s"'<>(),]*/[^\s"'<>(),]*                          # addresses and paths
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
"""The parts of a message that name a place. They are ignored: a bucket may have any name, also that of an error."""

_METADATA_SERVICE = "://169.254.169.254/"
"""Where clients look for the keys of an Amazon machine when none are set."""

_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_FREE_SPACE = "free some space and start again: nothing is lost, it resumes where it stopped"

_TEMPORARY = (
    ("no space left", "the disk is full", _FREE_SPACE),
    ("file too large", "a file may not grow further", "raise the file-size limit (ulimit -f) and start again: nothing is lost"),
    ("quota exceeded", "the quota is used up", _FREE_SPACE),
    ("quotaexceeded", "the quota is used up", _FREE_SPACE),
    ("permission denied", "writing there is not allowed", "give this user write access to it and start again"),
    ("read-only file system", "it is mounted read-only", "mount it for writing and start again"),
    ("not a directory", "there is a file where a folder is expected", "move that file away, or set SOUNDLAKE_LAKE to another place"),
    ("requesttimetooskewed", "this machine's clock differs from the store's", "set the clock: nothing is lost, it resumes once they agree"),
    ("slowdown", "the store asks to slow down", "nothing is lost: try again later, with fewer writers at once"),
    ("failed to lookup address", "the store's host name is not known", "check the network, or correct AWS_ENDPOINT_URL"),
    ("connection refused", "the store does not answer", "start it (see `soundlake status`), or correct AWS_ENDPOINT_URL"),
)
"""Text in the error, meaning, next step; the same call may work later."""

_PERMANENT = (
    ("nosuchbucket", "there is no such bucket", "create the bucket, or correct SOUNDLAKE_LAKE"),
    ("invalidaccesskeyid", "the store does not know this access key", "correct AWS_ACCESS_KEY_ID"),
    ("signaturedoesnotmatch", "the store does not accept these keys", "correct AWS_SECRET_ACCESS_KEY"),
    ("expiredtoken", "these keys have expired", f"renew {_KEYS}"),
    ("notimplemented", "the store lacks a request that the lake needs", "use another store: see docs/object-storage.md"),
    ("accessdenied", "these keys lack a permission there", f"allow reading, writing, listing and deleting there, or correct {_KEYS}"),
    ("authorizationheadermalformed", "the bucket is in another region", "correct AWS_REGION"),
    ("permanentredirect", "the bucket is in another region", "correct AWS_REGION"),
    ("redirect without location", "the bucket is in another region", "correct AWS_REGION"),
    ("url scheme is not allowed", "its endpoint is http://", "set AWS_ALLOW_HTTP=true, or use an endpoint that begins with https://"),
    ("invalidcontenttype", "its endpoint does not use TLS", "begin AWS_ENDPOINT_URL with http:// and set AWS_ALLOW_HTTP=true"),
    ("invalid peer certificate", "its certificate is not trusted", "set SSL_CERT_FILE to the file of its authority"),
)
"""The same for errors that only another setting fixes."""


@contextmanager
def translate_store_errors(uri: str) -> Iterator[None]:
    """Raise errors of the store or of delta-rs as `Unavailable` or `SettingsError` naming `uri`, a lost commit race as `CommitConflict`."""
    try:
        yield
    except CommitFailedError as cause:
        raise CommitConflict(f"{uri}: another writer committed first ({cause})", next_step="try again") from cause
    except (OSError, DeltaError, StoreError) as cause:
        if _LOG_FILES_DELETED.search(str(cause)):
            raise CommitConflict(
                f"{uri}: others committed so often that the log files in between are deleted ({cause})", next_step="try again"
            ) from cause
        raise describe_store_error(uri, cause) from cause


def describe_store_error(uri: str, cause: Exception) -> Unavailable | SettingsError:
    """The error for `cause` at `uri`, with a next step where one is known: a SettingsError if only another setting helps."""
    text = str(cause)
    searched = _PLACES.sub("", text.replace(uri, "")).lower()
    for sign, meaning, next_step in _PERMANENT:
        if sign in searched:
            return SettingsError(f"{uri}: {meaning}", next_step=next_step)
    if _METADATA_SERVICE in text:
        return SettingsError(f"{uri}: there are no keys, and this machine has none of its own", next_step=f"set {_KEYS}")
    for sign, meaning, next_step in _TEMPORARY:
        if sign in searched:
            return Unavailable(f"{uri}: {meaning}", next_step=next_step)
    return Unavailable(
        f"{uri}: the lake cannot be used ({_shorten(text) or type(cause).__name__})",
        next_step="check that the place exists and answers, then start again",
    )


def _shorten(text: str) -> str:
    """The first line and, of a chain of causes, the last one."""
    lines = [line for part in _ARROWS.sub("", text).splitlines() if (line := part.strip())]
    return ": ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))[:300]

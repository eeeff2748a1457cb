"""Opens the media of an event as a nameless file, within a policy, and stamps its content.

FFmpeg never sees a path or URL: what is opened here is handed to the decoder as a file descriptor.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, unquote, urlsplit

from services.contracts.errors import InvalidMessage
from services.ingest.fetch.interrupt import Interrupt
from services.ingest.fetch.media import STAGE, FetchPolicy, Media, content_stamp, redact


def fetch(uri: str, policy: FetchPolicy, interrupt: Interrupt | None = None) -> Media:
    """The file that `uri` (a path, file:// or https://) names, open for reading, with the stamp of its content.

    Raises InvalidMessage, which says nothing that lets somebody in, when it is not to be had or not to be fetched.
    """
    if "://" not in uri:
        return _fetch_local(Path(uri), uri, policy)
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise InvalidMessage(f"not a URI: {redact(uri)} ({error})", stage=STAGE) from error
    if parts.scheme in ("http", "https") and policy.hosts:
        # A laptop never pays for the HTTP client.
        from services.ingest.fetch.http import fetch_http

        return fetch_http(uri, policy, interrupt or Interrupt())
    return _fetch_local(_to_path(parts, uri), uri, policy)


def _to_path(parts: SplitResult, uri: str) -> Path:
    if parts.scheme in ("http", "https"):
        reason = "only local files (a path, or file:///path), as COPYDETECT_FETCH_HOSTS names no host"
    elif parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        reason = "only local files (a path, or file:///path) and https"
    else:
        return Path(unquote(parts.path))
    raise InvalidMessage(f"cannot fetch {redact(uri)}: {reason}", stage=STAGE)


def _fetch_local(path: Path, uri: str, policy: FetchPolicy) -> Media:
    if "\0" in str(path):
        raise InvalidMessage("a path has no null bytes", stage=STAGE)
    try:
        file = _open(path, policy.roots)
    except OSError as error:
        raise InvalidMessage(f"cannot open {path}: {error.strerror}", stage=STAGE) from error
    try:
        return _to_media(file, uri, policy)
    except OSError as error:
        file.close()
        raise InvalidMessage(f"cannot read {path}: {error.strerror}", stage=STAGE) from error
    except InvalidMessage:
        file.close()
        raise


def _open(path: Path, roots: tuple[Path, ...] | None) -> BinaryIO:
    if roots is None:
        return open(path, "rb", opener=_open_nonblocking)
    # Before it is opened, so that nobody learns what exists elsewhere, and no device is woken.
    resolved = Path(os.path.realpath(path))  # Path.resolve raises RuntimeError for links in a circle
    _check_root(resolved, path, roots)
    file = open(resolved, "rb", opener=_open_without_following)  # noqa: SIM115 - handed on, to the decoder
    try:
        # A folder on the way may have been replaced by a link meanwhile; what is open now is beyond anybody's reach.
        _check_root(Path(f"/proc/self/fd/{file.fileno()}").readlink(), path, roots)
    except InvalidMessage:
        file.close()
        raise
    return file


def _check_root(resolved: Path, path: Path, roots: tuple[Path, ...]) -> None:
    if not any(resolved.is_relative_to(os.path.realpath(root)) for root in roots):
        raise InvalidMessage(f"{path} lies in no folder that COPYDETECT_FETCH_ROOTS names", stage=STAGE)


def _open_nonblocking(path: str, flags: int) -> int:
    # Without O_NONBLOCK a named pipe would hang the worker before it is seen to be one.
    return os.open(path, flags | os.O_NONBLOCK)


def _open_without_following(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _to_media(file: BinaryIO, uri: str, policy: FetchPolicy) -> Media:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise InvalidMessage("not a regular file", stage=STAGE)
    if status.st_size == 0:
        raise InvalidMessage("the file is empty", stage=STAGE)
    policy.check_size(status.st_size)
    identity = f"{uri}|{status.st_size}|{status.st_mtime_ns}|"
    return Media(file, content_stamp(file, status.st_size, identity), status.st_size)

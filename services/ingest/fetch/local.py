"""Opens the file that an event names, if the policy allows it, and stamps its content.

FFmpeg never sees a path or URL: the decoder receives a file descriptor of the file opened here.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, unquote, urlsplit

from services.contracts.errors import InvalidMessage
from services.ingest.fetch.budget import ByteBudget, Reservation
from services.ingest.fetch.interrupt import Interrupt
from services.ingest.fetch.media import STAGE, FetchPolicy, Media, file_stamp, redact


def fetch(
    uri: str, policy: FetchPolicy, interrupt: Interrupt | None = None, reservation: Reservation | None = None
) -> Media:
    """Open the file at `uri` (a path, file:// or https://) for reading, and stamp its content.

    `reservation`: for the bytes of a download; whoever passes it releases it if this raises. Raises InvalidMessage if
    the file is missing or not allowed, NoRoom if a download does not fit now. The message never contains credentials.
    """
    if "://" not in uri:
        return _fetch_local(Path(uri), uri, policy)
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise InvalidMessage(f"not a URI: {redact(uri)} ({error})", stage=STAGE) from error
    if parts.scheme in ("http", "https") and policy.hosts:
        # Imported here so that local scans do not load the HTTP client.
        from services.ingest.fetch.http import fetch_http

        reservation = reservation or ByteBudget(policy.max_bytes).open()
        return fetch_http(uri, policy, interrupt or Interrupt(), reservation)
    return _fetch_local(_to_path(parts, uri), uri, policy)


def _to_path(parts: SplitResult, uri: str) -> Path:
    if parts.scheme in ("http", "https"):
        reason = "only local files are allowed (a path, or file:///path), because COPYDETECT_FETCH_HOSTS is empty"
    elif parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        reason = "only local files (a path, or file:///path) and https are allowed"
    else:
        return Path(unquote(parts.path))
    raise InvalidMessage(f"cannot fetch {redact(uri)}: {reason}", stage=STAGE)


def _fetch_local(path: Path, uri: str, policy: FetchPolicy) -> Media:
    if "\0" in str(path):
        raise InvalidMessage("a path cannot contain null bytes", stage=STAGE)
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
    # Checked before opening: an uploader must not learn what exists elsewhere, and no device must be opened.
    resolved = Path(os.path.realpath(path))  # Path.resolve raises RuntimeError for circular links
    _check_root(resolved, path, roots)
    file = open(resolved, "rb", opener=_open_without_following)  # noqa: SIM115 - the decoder closes it
    try:
        # A folder in the path may have become a link in the meantime; the open file itself can no longer be swapped.
        _check_root(Path(f"/proc/self/fd/{file.fileno()}").readlink(), path, roots)
    except InvalidMessage:
        file.close()
        raise
    return file


def _check_root(resolved: Path, path: Path, roots: tuple[Path, ...]) -> None:
    if not any(resolved.is_relative_to(os.path.realpath(root)) for root in roots):
        raise InvalidMessage(f"{path} is not in a folder listed in COPYDETECT_FETCH_ROOTS", stage=STAGE)


def _open_nonblocking(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a named pipe would hang the worker before its type can be checked.
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
    return Media(file, file_stamp(file, status.st_size, identity), status.st_size)

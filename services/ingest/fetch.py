"""Opens the media of an event as a nameless file, and stamps its content.

FFmpeg never sees a path or URL: what is opened here is handed to the decoder as a file descriptor.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from services.contracts.errors import InvalidMessage

STAGE = "fetch"
STAMPED_BYTES = 65536  # of either end: what a replaced file of equal size and time still differs in


@dataclass(frozen=True, slots=True)
class Media:
    file: BinaryIO
    stamp: str


def fetch(uri: str, *, max_bytes: int) -> Media:
    """The file that `uri` (a path, or file://) names, open for reading, with the stamp of its content.

    Raises InvalidMessage when it is missing, not a regular file, not readable, empty or too large.
    """
    path = _local_path(uri)
    try:
        file = open(path, "rb", opener=_at_once)  # noqa: SIM115 - handed on, to the decoder
    except OSError as error:
        raise InvalidMessage(f"cannot open {path}: {error.strerror}", stage=STAGE) from error
    try:
        return Media(file, _stamp(file, uri, max_bytes))
    except OSError as error:
        file.close()
        raise InvalidMessage(f"cannot read {path}: {error.strerror}", stage=STAGE) from error
    except InvalidMessage:
        file.close()
        raise


def _at_once(path: str, flags: int) -> int:
    # Without O_NONBLOCK a named pipe would hang the worker before it is seen to be one.
    return os.open(path, flags | os.O_NONBLOCK)


def _local_path(uri: str) -> Path:
    path = uri
    if "://" in uri:
        try:
            parts = urlsplit(uri)
        except ValueError as error:
            raise InvalidMessage(f"not a URI: {uri} ({error})", stage=STAGE) from error
        if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
            raise InvalidMessage(f"cannot fetch {uri}: only local files (a path, or file:///path)", stage=STAGE)
        path = unquote(parts.path)
    if "\0" in path:
        raise InvalidMessage("a path has no null bytes", stage=STAGE)
    return Path(path)


def _stamp(file: BinaryIO, uri: str, max_bytes: int) -> str:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise InvalidMessage("not a regular file", stage=STAGE)
    if status.st_size == 0:
        raise InvalidMessage("the file is empty", stage=STAGE)
    if status.st_size > max_bytes:
        raise InvalidMessage(f"{status.st_size} bytes exceed the limit of {max_bytes}", stage=STAGE)
    digest = hashlib.blake2b(f"{uri}|{status.st_size}|{status.st_mtime_ns}|".encode(), digest_size=16)
    digest.update(file.read(STAMPED_BYTES))
    file.seek(max(0, status.st_size - STAMPED_BYTES))
    digest.update(file.read(STAMPED_BYTES))
    file.seek(0)
    return digest.hexdigest()

"""The result of a fetch, the policy that restricts fetching, and the file's part of the content stamp.

URIs come from strangers, so the operator decides which of them are fetched.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from services.contracts.errors import InvalidMessage
from services.ingest.fetch.budget import Reservation

STAGE: Final = "fetch"
STAMPED_BYTES = 65536  # read at each end: detects a replaced file of equal size and time


class DeadlinePassed(InvalidMessage):
    """A file was not fetched in time."""


@dataclass(frozen=True, slots=True)
class Media:
    """An open file; whoever receives it closes it.

    `reservation`: of its bytes, if it was downloaded. `on_close`: called when it is closed, each time.
    """

    file: BinaryIO
    stamp: str
    size_bytes: int
    reservation: Reservation | None = None
    on_close: Callable[[], object] = lambda: None

    def close(self) -> None:
        """Close the file and release its bytes, once no other process has it open; can be repeated."""
        self.file.close()
        if self.reservation is not None:
            self.reservation.release()
        self.on_close()


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """What may be fetched; nothing by default.

    `roots`: folders that may contain files, None for any folder. `hosts`: names, or `*.example.org` for all
    subdomains. `private_hosts`: hosts may have private addresses, plain http and other ports.
    """

    roots: tuple[Path, ...] | None
    max_bytes: int
    hosts: tuple[str, ...] = ()
    private_hosts: bool = False
    deadline_s: float = 600.0

    def allows_host(self, host: str) -> bool:
        """Whether uploads may use this host; `host` is in lower case."""
        labels = host.split(".")
        above = {"*." + ".".join(labels[start:]) for start in range(1, len(labels))}
        return not ({host} | above).isdisjoint(name.lower() for name in self.hosts)

    def check_size(self, size_bytes: int) -> None:
        """Raise InvalidMessage for a file that is too large."""
        if size_bytes > self.max_bytes:
            raise InvalidMessage(f"{size_bytes} bytes exceed the limit of {self.max_bytes}", stage=STAGE)


def redact(uri: str) -> str:
    """The URI without credentials: no user, and no query, since a presigned URL has its key there."""
    if "://" not in uri or uri.startswith("file:"):
        return uri
    return re.sub(r"://[^/]*@", "://", re.split(r"[?#]", uri, maxsplit=1)[0])


def file_stamp(file: BinaryIO, size_bytes: int, identity: str) -> str:
    """Hash of `identity` (URI, size, time or ETag) and of both ends of the file; rewinds the file."""
    digest = hashlib.blake2b(identity.encode(), digest_size=16)
    digest.update(file.read(STAMPED_BYTES))
    file.seek(max(0, size_bytes - STAMPED_BYTES))
    digest.update(file.read(STAMPED_BYTES))
    file.seek(0)
    return digest.hexdigest()

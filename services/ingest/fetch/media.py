"""What fetching gives, what it may fetch, and how contents are told apart.

What an event may name is the operator's to say: a URI comes from a stranger.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from services.contracts.errors import InvalidMessage

STAGE = "fetch"
STAMPED_BYTES = 65536  # of either end: what a replaced file of equal size and time still differs in


@dataclass(frozen=True, slots=True)
class Media:
    file: BinaryIO
    stamp: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """What may be fetched: nothing, unless told.

    `roots`: folders that files may lie in, None for anywhere. `hosts`: names, or `*.example.org` for all below it.
    `private_hosts`: their addresses need not be public, and plain http and other ports are allowed too.
    """

    roots: tuple[Path, ...] | None
    max_bytes: int
    hosts: tuple[str, ...] = ()
    private_hosts: bool = False
    deadline_s: float = 600.0

    def allows_host(self, host: str) -> bool:
        """Whether an upload may name this host, given in small letters."""
        labels = host.split(".")
        above = {"*." + ".".join(labels[start:]) for start in range(1, len(labels))}
        return not ({host} | above).isdisjoint(name.lower() for name in self.hosts)

    def check_size(self, size_bytes: int) -> None:
        """Raises InvalidMessage for a file that is too large."""
        if size_bytes > self.max_bytes:
            raise InvalidMessage(f"{size_bytes} bytes exceed the limit of {self.max_bytes}", stage=STAGE)


def redact(uri: str) -> str:
    """The URI without what logs somebody in: a presigned address carries its key in the query."""
    if "://" not in uri or uri.startswith("file:"):
        return uri
    return re.sub(r"://[^/]*@", "://", re.split(r"[?#]", uri, maxsplit=1)[0])


def content_stamp(file: BinaryIO, size_bytes: int, identity: str) -> str:
    """Tells contents apart by what is known of them from outside, `identity`, and by both ends; rewinds the file."""
    digest = hashlib.blake2b(identity.encode(), digest_size=16)
    digest.update(file.read(STAMPED_BYTES))
    file.seek(max(0, size_bytes - STAMPED_BYTES))
    digest.update(file.read(STAMPED_BYTES))
    file.seek(0)
    return digest.hexdigest()

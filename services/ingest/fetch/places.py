"""Who may download now: a host or a tenant with many slow files must leave room for the others.

A download counts for the host that its event names, wherever redirects lead.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How many downloads run at the same time, in all, from one host and for one tenant.

    `files`: how many fetched files, local ones too, may wait for a decoder or be in use by one.
    """

    threads: int
    files: int
    per_host: int
    per_tenant: int


class Places:
    """The places of downloads; each takes one in all, one at its host and one of its tenant."""

    def __init__(self, limits: FetchLimits) -> None:
        self._limits = limits
        self._hosts: Counter[str] = Counter()
        self._tenants: Counter[str] = Counter()

    @property
    def are_taken(self) -> bool:
        """Whether no download can start, of whatever host and tenant."""
        return self._hosts.total() >= self._limits.threads

    def take(self, host: str, tenant: str) -> bool:
        """Take a place. Returns False if there is none."""
        is_free = self._hosts[host] < self._limits.per_host and self._tenants[tenant] < self._limits.per_tenant
        if self.are_taken or not is_free:
            return False
        self._hosts[host] += 1
        self._tenants[tenant] += 1
        return True

    def leave(self, host: str, tenant: str) -> None:
        for used, name in ((self._hosts, host), (self._tenants, tenant)):
            used[name] -= 1
            if not used[name]:
                del used[name]  # there are more names than places


def find_host(uri: str) -> str | None:
    """The host that a URI is downloaded from, in lower case; None for a local file, and for what is no URI."""
    if "://" in uri:
        with suppress(ValueError):
            parts = urlsplit(uri)
            return (parts.hostname or "") if parts.scheme in ("http", "https") else None
    return None

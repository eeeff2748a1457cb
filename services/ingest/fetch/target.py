"""Decides where a download may connect to.

The host must be on the list and, unless private hosts are allowed, all its addresses must be public. It is resolved
once per connection, which goes to the address that was checked, and every redirect is checked like the first URL:
neither DNS nor a redirect can lead anywhere else.
"""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from services.contracts.errors import InvalidMessage
from services.ingest.fetch.media import STAGE, FetchPolicy

NAT64 = ipaddress.ip_network("64:ff9b::/96")  # the last 32 bits are the IPv4 address it leads to
DEFAULT_PORTS = {"https": 443, "http": 80}


class RetryableFetchError(Exception):
    """A failure that may not happen again on the next attempt."""


@dataclass(frozen=True, slots=True)
class Target:
    """An authorized URL: where to connect, and what to request there."""

    url: str
    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]

    @property
    def authority(self) -> str:
        """The Host header: the port only if it is not the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def resource(self) -> str:
        """Path and query."""
        parts = urlsplit(self.url)
        return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def authorize(url: str, policy: FetchPolicy) -> Target:
    """Resolve a URL, the first or a redirect, to a target that the policy allows.

    Raises InvalidMessage if it is not allowed, RetryableFetchError if its host cannot be looked up now.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidMessage(f"not a URI ({error})", stage=STAGE) from error
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and policy.private_hosts):
        refusal = f"{parts.scheme or 'no scheme'} is not allowed, only https"
        if parts.scheme == "http":
            refusal += " (COPYDETECT_FETCH_PRIVATE_HOSTS allows http)"
    elif "@" in parts.netloc:
        refusal = "a user name or password in the URL is not allowed"
    elif not policy.allows_host(host):
        refusal = f"host {host!r} is not in COPYDETECT_FETCH_HOSTS"
    elif port not in (None, DEFAULT_PORTS[parts.scheme]) and not policy.private_hosts:
        refusal = f"port {port} is not allowed (COPYDETECT_FETCH_PRIVATE_HOSTS allows it)"
    else:
        return _resolve(parts, host, port or DEFAULT_PORTS[parts.scheme], policy)
    raise InvalidMessage(refusal, stage=STAGE)


def _resolve(parts: SplitResult, host: str, port: int, policy: FetchPolicy) -> Target:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except ValueError as error:
        raise InvalidMessage("not a valid host name", stage=STAGE) from error
    except socket.gaierror as error:
        if error.errno == socket.EAI_NONAME:
            raise InvalidMessage(f"there is no host {host}", stage=STAGE) from error
        raise RetryableFetchError(f"host {host} cannot be looked up ({error.strerror})") from error
    addresses = tuple(dict.fromkeys(str(sockaddr[0]) for _, _, _, _, sockaddr in found))
    if not policy.private_hosts and not all(map(_is_public, addresses)):
        raise InvalidMessage(
            f"host {host} has an address that is not public (COPYDETECT_FETCH_PRIVATE_HOSTS allows it)", stage=STAGE
        )
    return Target(parts.geturl(), parts.scheme, host, port, addresses)


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None)
        if inner is not None and not _is_public(str(inner)):
            return False
    return ip.is_global and not ip.is_multicast

"""Hosts whose downloads run into the deadline one after another, and which therefore get less time.

Without that, a thousand files of a host that drips bytes would hold its places for a day.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass

MAX_IN_A_ROW = 3
DEADLINE_SHARE = 0.1  # of the deadline, for a slow host
FORGOTTEN_AFTER_S = 600.0  # without a download
MAX_HOSTS = 1000  # a wildcard in COPYDETECT_FETCH_HOSTS allows any number of names


@dataclass(slots=True)
class _Host:
    late: int = 0  # downloads that ran into the deadline since one succeeded
    seen_s: float = 0.0  # when one began or ended, time.monotonic()


class SlowHosts:
    """How much of the deadline each host gets: all of it, or `DEADLINE_SHARE` after `MAX_IN_A_ROW` that were late.

    Only a file ends that: refusals are no proof that the host sends files in time.
    """

    def __init__(self) -> None:
        self._hosts: OrderedDict[str, _Host] = OrderedDict()  # those with late downloads, the last seen at the end

    def begin(self, host: str) -> float:
        """Note that a download begins. Returns its share of the deadline."""
        known = self._hosts.get(host)
        if known is None:
            return 1.0
        if time.monotonic() - known.seen_s >= FORGOTTEN_AFTER_S:
            del self._hosts[host]
            return 1.0
        self._see(host, known)
        return DEADLINE_SHARE if known.late >= MAX_IN_A_ROW else 1.0

    def note_late(self, host: str) -> None:
        """Note that a download ran into its deadline."""
        known = self._hosts.setdefault(host, _Host())
        known.late += 1
        self._see(host, known)
        if len(self._hosts) > MAX_HOSTS:
            self._hosts.popitem(last=False)

    def note_success(self, host: str) -> None:
        self._hosts.pop(host, None)

    def _see(self, host: str, known: _Host) -> None:
        known.seen_s = time.monotonic()
        self._hosts.move_to_end(host)

"""Numbers of revisions that never begin again, even if what was published earlier is no longer known."""

from datetime import datetime


def get_next_revision(before: int, now: datetime) -> int:
    """A number above that of the revision before (0: none is known): the time in seconds, unless that is used up."""
    return max(before + 1, int(now.timestamp()))

"""Up to which time everything that was published to a topic has been processed.

That nothing came of an upload for an hour can mean that nothing was sent, or that it waits behind a backlog. Only if
what was sent before is processed, silence is silence.
"""

import threading
from typing import NamedTuple

from services.runtime.group_lag import GroupLag

MAX_SAMPLES = 256


class _Sample(NamedTuple):
    asked_s: float
    ends: dict[int, int]  # by partition


class Watermark:
    """Up to when `group` has processed what was published to `topic`. For any number of threads.

    Each sample of the end offsets holds what was published before it was asked for. It is passed once all its offsets
    are committed. Without new samples (the brokers do not answer) the watermark stands still.
    """

    def __init__(self, topic: str, group: str) -> None:
        self._topic = topic
        self._group = group
        self._lock = threading.Lock()
        self._samples: list[_Sample] = []  # not passed yet, by time
        self._time_s: float | None = None

    @property
    def time_s(self) -> float | None:
        """Everything that was published before this time is processed. None if no such time is known yet."""
        with self._lock:
            return self._time_s

    def has_passed(self, time_s: float) -> bool:
        """Whether everything that was published up to this time is processed."""
        reached = self.time_s
        return reached is not None and reached > time_s

    def observe(self, lag: GroupLag) -> None:
        """Take a sample; those of other topics and groups are ignored."""
        if (lag.topic, lag.group) != (self._topic, self._group):
            return
        ends = {one.partition: one.end for one in lag.partitions}
        done = {one.partition: one.done for one in lag.partitions}
        with self._lock:
            if self._samples and any(ends.get(one, 0) < end for one, end in self._samples[-1].ends.items()):
                self._samples.clear()  # the topic was made again: nobody will ever reach its old ends
            self._samples.append(_Sample(lag.asked_s, ends))
            while self._samples and _is_passed(self._samples[0], done):
                self._time_s = max(self._samples.pop(0).asked_s, self._time_s or 0.0)
            if len(self._samples) > MAX_SAMPLES:  # a long backlog
                del self._samples[self._find_dispensable()]

    def _find_dispensable(self) -> int:
        """The place of the sample, neither the first nor the last, that leaves the smallest gap."""
        times = [sample.asked_s for sample in self._samples]
        return min(range(1, len(times) - 1), key=lambda place: times[place + 1] - times[place - 1])


def _is_passed(sample: _Sample, done: dict[int, int]) -> bool:
    return all(done.get(partition, 0) >= end for partition, end in sample.ends.items())

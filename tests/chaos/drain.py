"""Ends all faults, and waits until the services have nothing left to do."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import KafkaException

from tests.chaos.backends import Backends
from tests.chaos.fleet import Fleet
from tests.chaos.problems import Problem, lost, wrong
from tests.chaos.topics import TopicReader

LIMIT_S: Final = 300.0  # without fewer records to read than ever before
QUIET_S: Final = 12.0  # without anything new; longer than a session, after which a group moves partitions
_LOOK_EVERY_S: Final = 2.0


def drain(
    backends: Backends, fleet: Fleet, topics: TopicReader, inputs: Mapping[str, str], say: Callable[[str], None]
) -> list[Problem]:
    """Return when all groups have read their `inputs` and nothing new comes; problems if they stop getting on."""
    backends.repair()
    fleet.repair()
    names = topics.list_topics()
    got_on_s = quiet_since_s = time.monotonic()
    before: object = None
    fewest = math.inf
    left: dict[str, int] = {}
    while time.monotonic() - got_on_s < LIMIT_S:
        fleet.supervise()
        try:
            ends = topics.find_ends(names)
            left = {
                group: sum(one.records for one in topics.find_unread(group, topic)) for group, topic in inputs.items()
            }
        except KafkaException:  # a leader or coordinator is still moving
            quiet_since_s = time.monotonic()
            time.sleep(_LOOK_EVERY_S)
            continue
        now_s = time.monotonic()
        if sum(left.values()) < fewest:
            fewest, got_on_s = sum(left.values()), now_s
        if any(left.values()) or ends != before or fleet.is_hanging:
            before, quiet_since_s = ends, now_s
            say(", ".join(f"{group} has {count} to read" for group, count in left.items()))
        elif now_s - quiet_since_s >= QUIET_S:
            return [wrong(f"{name} did not stop after SIGTERM") for name in fleet.stuck]
        time.sleep(_LOOK_EVERY_S)
    unread = [
        lost(f"{group} still has {count} records to read after {LIMIT_S:g} s") for group, count in left.items() if count
    ]
    return unread or [wrong(f"services still publish, or hang, after {LIMIT_S:g} s")]

"""Watches what a service depends on, beside its loop: lag of all groups, its own partitions, and its backends."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.errors import why_down
from services.backends.kafka.group_lag import GroupLagReader
from services.runtime.background import repeat
from services.runtime.group_lag import GroupTopic, LagMonitor
from services.runtime.probes import Health
from services.runtime.readiness import AssignmentQuestion, Question, Readiness
from services.runtime.watermark import Watermark

LAG_EVERY_S = 15.0
BACKENDS_EVERY_S = 10.0
OWN_EVERY_S = 1.0  # asks nobody: what the process knows of itself


@contextmanager
def watch_service(
    health: Health,
    bus: KafkaBus,
    *,
    own: GroupTopic,
    groups: Sequence[GroupTopic],
    backends: Sequence[Question] = (),
    watermarks: Sequence[Watermark] = (),
) -> Iterator[None]:
    """Keep metrics, readiness and watermarks up to date until the context ends.

    own         what this service reads; one of the groups
    groups      the groups whose lag is exported: all of the deployment's, for as long as any process of it lives
    backends    questions to other backends, asked every ten seconds
    watermarks  get every reading
    """
    assignment = AssignmentQuestion(own, lambda: bus.owned_partitions(own.topic), fresh_s=4 * LAG_EVERY_S)
    reader = GroupLagReader(bus.connection, groups)
    observers = [assignment.observe, *(mark.observe for mark in watermarks)]
    monitor = LagMonitor(reader, time.time, observers=observers)
    own_questions = [
        Question("kafka", why_down),
        Question("assignment", assignment),
        Question("partitions", lambda: bus.why_held(own.topic)),
    ]
    with ExitStack() as running:
        running.callback(reader.close)
        running.enter_context(repeat(LAG_EVERY_S, monitor.update, "lag"))
        running.enter_context(repeat(OWN_EVERY_S, Readiness(health, own_questions).update, "readiness"))
        if backends:
            running.enter_context(repeat(BACKENDS_EVERY_S, Readiness(health, backends).update, "backends"))
        yield

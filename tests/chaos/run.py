"""A run: plan, services, faults, drain, check."""

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from services.backends.kafka import topics as kafka_topics
from services.backends.kafka.connection import KafkaConnection
from tca_model.bundle import DEFAULT, Bundle, load_bundle
from tests.chaos.backends import Backends
from tests.chaos.check import check_run
from tests.chaos.drain import drain
from tests.chaos.fleet import SERVICES, Fleet
from tests.chaos.inject import Injector
from tests.chaos.observe import list_inputs, observe
from tests.chaos.publish import Publisher, write_films
from tests.chaos.report import Report
from tests.chaos.scenarios import Scenario
from tests.chaos.steps import SEGMENT_S
from tests.chaos.topics import TopicReader

_TICK_S: Final = 0.02


def run(scenario: Scenario, folder: Path, *, say: Callable[[str], None] = lambda _: None) -> Report:
    """Play the scenario with real servers and services in this folder, and check what comes out."""
    began_s = time.monotonic()
    bundle = load_bundle(DEFAULT)
    write_films(list(scenario.steps), folder / "films")
    backends = Backends(folder, scenario.milvus_tick_ms)
    try:
        say("starting the servers")
        backends.start()
        direct = KafkaConnection(backends.direct_brokers)
        kafka_topics.create(direct, kafka_topics.plan(scenario.partitions))
        fleet = Fleet(folder, backends.environment() | _settings(folder), scenario.control)
        try:
            topics = TopicReader(backends.direct_brokers)
            fleet.start()
            started_at = datetime.now(UTC)
            injector = Injector(backends, fleet, topics, _groups(bundle))
            publisher = Publisher(backends.direct_brokers, folder / "films", started_at)
            say(f"{len(scenario.steps)} steps, {len(scenario.faults)} faults")
            _play(scenario, fleet, injector, publisher)
            say("all faults end")
            drained = drain(backends, fleet, topics, list_inputs(bundle), say)
            reached = fleet.count_fail_points()
            say("checking")
            observed = observe(scenario.steps, topics, backends.direct_milvus, bundle)
        finally:
            fleet.close()
    finally:
        backends.close()
    return Report(
        problems=(*drained, *check_run(scenario.steps, observed, started_at)),
        observed=observed,
        faults=injector.done,
        fail_points=reached,
        ended=fleet.ended,
        took_s=time.monotonic() - began_s,
    )


def _play(scenario: Scenario, fleet: Fleet, injector: Injector, publisher: Publisher) -> None:
    """Publish every step and let every fault begin and end when its time has come."""
    due: list[tuple[float, Callable[[], None]]] = []
    for number, step in enumerate(scenario.steps):
        due.append((step.at_s, partial(publisher.publish, number, step)))
    for fault in scenario.faults:
        due.append((fault.begin_s, partial(injector.begin, fault)))
        due.append((fault.end_s, partial(injector.end, fault)))
    due.sort(key=lambda one: one[0])
    began_s = time.monotonic()
    for at_s, act in due:
        while time.monotonic() - began_s < at_s:
            fleet.supervise()
            injector.supervise()
            publisher.poll()
            time.sleep(_TICK_S)
        act()
    publisher.finish()


def _settings(folder: Path) -> dict[str, str]:
    return {
        "COPYDETECT_FETCH_ROOTS": str(folder / "films"),
        "COPYDETECT_SEGMENT_S": str(SEGMENT_S),
        "COPYDETECT_DECODE_WORKERS": "4",
        "COPYDETECT_HTTP_HOST": "127.0.0.1",
        "COPYDETECT_HTTP_PORT": "0",
        "OMP_NUM_THREADS": "1",
    }


def _groups(bundle: Bundle) -> dict[str, str]:
    return dict(zip(SERVICES, list_inputs(bundle), strict=True))


def make_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="copydetect-chaos-")

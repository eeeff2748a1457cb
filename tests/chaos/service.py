"""A service as a process of its own: python -m tests.chaos.service ingest|matcher|alerter.

It is the real service, apart from what the variables ask for: ingest decodes and describes made films, whatever is
named in CHAOS_FAIL_POINT kills or holds up the process, and CHAOS_CONTROL takes a guarantee away. A group removes a
member after half a minute without a poll, because no run is long enough to wait for the usual five minutes.
"""

import os
import sys
from dataclasses import replace
from unittest.mock import patch

from services.backends.kafka.connection import KafkaConnection
from services.cli import serve
from services.ingest import assemble
from services.ingest import service as ingest_service
from services.ingest.describe import BatchDescriber
from services.runtime.settings import Settings
from tca_model.bundle import Bundle
from tests.chaos.controls import apply_control
from tests.chaos.decode import FilmDecoders, FilmExtractor
from tests.chaos.fail_points import arm_fail_point

FAIL_POINT = "CHAOS_FAIL_POINT"
CONTROL = "CHAOS_CONTROL"


def main(name: str) -> None:
    """Run a service until a signal, or until its fail point."""
    if name == "ingest":
        _decode_films()
    _shorten_max_poll()
    if control := os.environ.get(CONTROL):
        apply_control(control, name)
    if point := os.environ.get(FAIL_POINT):
        arm_fail_point(point)
    getattr(serve, name)()


def _decode_films() -> None:
    def describe_films(bundle: Bundle) -> BatchDescriber:
        return BatchDescriber(lambda: FilmExtractor(bundle.manifest.descriptor.frame.dimension))

    patch.object(assemble, "DecodePool", FilmDecoders).start()
    patch.object(ingest_service, "describer_of", describe_films).start()


def _shorten_max_poll() -> None:
    connect = KafkaConnection.from_settings

    def connect_impatiently(settings: Settings) -> KafkaConnection:
        connection = connect(settings)
        timeouts = connection.timeouts
        return replace(connection, timeouts=replace(timeouts, max_poll_s=timeouts.restore_s + 1))

    patch.object(KafkaConnection, "from_settings", connect_impatiently).start()


if __name__ == "__main__":
    main(sys.argv[1])

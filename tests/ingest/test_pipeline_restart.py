"""A real file, real decoders: a worker that takes over in the middle stores what an undisturbed one would have."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.contracts.segments import DescribedSegment
from services.ingest import job
from services.ingest.decode.events import DecodeEvent, FramesDecoded
from services.ingest.decode.pool import DecodePool
from tests.clips import drifting, steady, write_clip
from tests.ingest import fakes
from tests.ingest.decode.decoding import LIMITS, SIZE, TIMEOUT_S
from tests.ingest.service import SEGMENT_S, Service, upload

SECONDS = 4 * SEGMENT_S
STEP_S = 0.05


class NotingPool(DecodePool):
    """Notes the earliest frame."""

    earliest_s = math.inf

    def poll(self, timeout_s: float) -> list[DecodeEvent]:
        events = super().poll(timeout_s)
        times_s = [float(event.timestamps_s[0]) for event in events if isinstance(event, FramesDecoded)]
        self.earliest_s = min([self.earliest_s, *times_s])
        return events


class Decoding(Service):
    """A service with real decoders, whose cache outlives a restart."""

    pool: NotingPool  # type: ignore[assignment]

    def make_pool(self) -> NotingPool:  # type: ignore[override]
        if hasattr(self, "pool"):
            self.pool.close()
        return NotingPool(
            workers=self._workers, size=SIZE, every_s=1.0, limits=LIMITS, deadline_s=TIMEOUT_S, panels=True
        )

    def restart(self, *, panels: bool = True) -> None:
        kept = getattr(self, "cache", None)
        super().restart(panels=panels)
        if kept is not None:
            self.cache = self.pipeline._progress._cache = kept

    def finish(self) -> list[DescribedSegment]:
        while self.worker.run_once(STEP_S):
            pass
        assert [ended.status for ended in self.endings()] == ["complete"]
        return self.stored()


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Decoding]]:
    monkeypatch.setattr(fakes, "MAX_BYTES", 10**6)
    opened = []
    for name in ("disturbed", "undisturbed"):
        (tmp_path / name).mkdir()
        opened.append(Decoding(tmp_path / name))
    yield opened
    for service in opened:
        service.pool.close()


def test_a_worker_that_takes_over_stores_the_same(
    services: list[Decoding], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CHECKPOINT_S", 20.0)
    halves = zip(drifting(1, SECONDS, (80, 90)), drifting(2, SECONDS, (80, 90)), strict=True)
    images = [np.concatenate(pair, axis=1) for pair in halves]
    images[SEGMENT_S - 5 : SEGMENT_S + 20] = [images[0]] * 25  # a still across a border
    film = write_clip(tmp_path / "a.mp4", steady(SECONDS, 1), images=images, size=(160, 90), options={"g": "4"})
    disturbed, undisturbed = services
    for service in services:
        service.publish(upload(str(film)))
    while not disturbed.cache._progress:
        assert disturbed.worker.run_once(STEP_S)
    disturbed.restart()
    stored = disturbed.finish()

    assert len(stored) == 4
    assert 20 <= disturbed.pool.earliest_s < SECONDS, "nothing before the checkpoint was decoded for the worker"
    assert sum(disturbed.extractor.batches) < 2 * SECONDS + SECONDS / 2, "two views of every frame from the middle on"
    for one, other in zip(stored, undisturbed.finish(), strict=True):
        np.testing.assert_array_equal(one.descriptor.timestamps_s, other.descriptor.timestamps_s)
        np.testing.assert_array_equal(one.descriptor.frames, other.descriptor.frames)
        np.testing.assert_array_equal(one.vector, other.vector)

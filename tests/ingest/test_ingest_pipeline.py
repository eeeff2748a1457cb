"""Uploads become stored, announced segments; what is stored already is not done again, what cannot be done is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from services.backends.memory import MemoryBus, MemoryCache
from services.backends.memory_index import MemoryIndex
from services.contracts import topics
from services.contracts.envelope import to_event, to_message
from services.contracts.errors import TransientError
from services.contracts.events import (
    AssetEnded,
    Event,
    Role,
    SegmentEncoded,
    SegmentStatus,
    SegmentUploaded,
    UploadEnded,
)
from services.contracts.ports import DescribedSegment, Message, SegmentKey
from services.ingest.decode_pool import DecodeEvent, DecodeFailed, DecodeFinished, FramesDecoded
from services.ingest.describe import Describer
from services.ingest.pipeline import IngestPipeline
from services.ingest.worker import GROUP, IngestWorker

AT = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
DIMENSION = 3
MODEL = "v1"
SEGMENT_S = 32
MAX_BYTES = 1000
DEAD = f"{topics.VIDEO_SEGMENTS}.dlq"


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames that a decoder gives at once, one a second of this stretch, all of one picture."""

    start_s: int
    end_s: int
    tag: int = 100
    black: bool = False

    def frames(self, job: str) -> FramesDecoded:
        times_s = np.arange(self.start_s, self.end_s, dtype=np.float64)
        images = np.zeros((len(times_s), 4, 4, 3), np.uint8)
        if not self.black:
            images[:, 0, 0] = (self.tag, 0, 0)
            images[:, 2:, :] = 255
        return FramesDecoded(job, times_s, images)


class Pause(NamedTuple):
    """The decoder has nothing ready at this step."""


class End(NamedTuple):
    duration_s: float


class Failure(NamedTuple):
    reason: str


Step: TypeAlias = Shot | Pause | End | Failure


class FakePool:
    """Decodes a file to the steps that were written for its path; every poll takes one step of each job."""

    def __init__(self, scripts: dict[str, list[Step]], workers: int) -> None:
        self._scripts = scripts
        self._workers = workers
        self._busy: dict[str, list[Step]] = {}
        self.decoded: list[str] = []  # names of files, as they were submitted
        self.limits_s: list[float] = []

    @property
    def free(self) -> int:
        return self._workers - len(self._busy)

    def submit(self, job: str, file: BinaryIO, *, max_duration_s: float) -> None:
        assert self.free > 0
        assert job not in self._busy
        with file:
            self._busy[job] = list(self._scripts[file.name])
            self.decoded.append(Path(file.name).name)
        self.limits_s.append(max_duration_s)

    def poll(self, timeout_s: float) -> list[DecodeEvent]:
        assert timeout_s == 0
        events: list[DecodeEvent] = []
        for job, steps in list(self._busy.items()):
            match steps.pop(0):
                case Shot() as shot:
                    events.append(shot.frames(job))
                case End(duration_s):
                    events.append(DecodeFinished(job, duration_s))
                    del self._busy[job]
                case Failure(reason):
                    events.append(DecodeFailed(job, reason))
                    del self._busy[job]
        return events


class Encoded(NamedTuple):
    frames: NDArray[np.float32]
    vector: NDArray[np.float32]


class FakeExtractor:
    """Describes a frame by the direction of its first pixel's colour, a segment by its first frame."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def describe(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(len(images))
        colours = images[:, 0, 0] + np.array([1, 100, 1], np.float32)
        described: NDArray[np.float32] = colours / np.linalg.norm(colours, axis=1, keepdims=True)
        return described.astype(np.float32)

    def encode(self, segments: list[NDArray[np.float32]]) -> list[Encoded]:
        return [Encoded(frames, frames[0]) for frames in segments]


def described_by(tag: int) -> NDArray[np.float32]:
    return FakeExtractor().describe(Shot(0, 1, tag).frames("").images)[0]


class SpyIndex(MemoryIndex):
    """Tells the time of its writes, and writes down what was stored."""

    def __init__(self) -> None:
        super().__init__(model_version=MODEL)
        self.log: list[str] = []
        self.down = False
        self.writes = 0

    def store(self, batch: Sequence[DescribedSegment]) -> int | None:
        if self.down:
            raise TransientError("the index is down")
        super().store(batch)
        self.log += [f"stored {segment.row.segment_id}" for segment in batch]
        self.writes += 1
        return self.writes


class WitnessBus(MemoryBus):
    """Refuses to announce a segment that is not stored."""

    def __init__(self, index: SpyIndex) -> None:
        super().__init__()
        self._index = index

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            event = to_event(message) if message.topic == topics.ENCODED_SEGMENTS else None
            if isinstance(event, SegmentEncoded) and event.status != SegmentStatus.FAILED:
                key = SegmentKey(event.tenant, event.segment_id)
                stored = self._index.read([key])
                assert key in stored, f"{event.segment_id} was announced before it was stored"
                assert stored[key].row.frame_count == event.frame_count
                assert stored[key].row.role == event.role
                self._index.log.append(f"announced {event.segment_id}")
        super().publish(messages)


class Service:
    """Ingest over fakes; `restart` is what a crash leaves: the index, the bus and the files."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self.folder = folder
        self.index = SpyIndex()
        self.bus = WitnessBus(self.index)
        self.scripts: dict[str, list[Step]] = {}
        self._workers = workers
        self.restart()

    def restart(self) -> None:
        self.cache = MemoryCache(10**6)
        self.extractor = FakeExtractor()
        self.pool = FakePool(self.scripts, self._workers)
        pipeline = IngestPipeline(
            index=self.index,
            cache=self.cache,
            pool=self.pool,
            describer=Describer(lambda: self.extractor),
            dimension=DIMENSION,
            segment_s=SEGMENT_S,
            max_bytes=MAX_BYTES,
        )
        self.worker = IngestWorker(self.bus, pipeline)

    def film(self, name: str, *steps: Step, content: str = "film") -> str:
        """A file which decodes to these steps; its path."""
        path = self.folder / name
        path.write_text(content)
        self.scripts[str(path)] = list(steps)
        return str(path)

    def publish(self, *events: Event) -> None:
        self.bus.publish([to_message(topics.VIDEO_SEGMENTS, event, source="copydetect/test") for event in events])

    def run(self) -> None:
        for _ in range(100):
            if not self.worker.run_once(0):
                return
        pytest.fail("the worker never came to rest")

    def announced(self, since: int = 0) -> list[Event]:
        return [to_event(record.message) for record in self.bus.records(topics.ENCODED_SEGMENTS)[since:]]

    def segments(self, since: int = 0) -> list[SegmentEncoded]:
        return [event for event in self.announced(since) if isinstance(event, SegmentEncoded)]

    def dead(self) -> list[Message]:
        return [record.message for record in self.bus.records(DEAD)]

    def committed(self) -> int:
        """The offset at which a worker would start now."""
        rest = self.bus.consumer(topics.VIDEO_SEGMENTS, GROUP).poll(1, 0)
        return rest[0].offset if rest else len(self.bus.records(topics.VIDEO_SEGMENTS))


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def upload(uri: str, asset_id: str = "a", **fields: Any) -> SegmentUploaded:
    return SegmentUploaded(asset_id=asset_id, uri=uri, uploaded_at=AT, **fields)


def told(event: Event) -> tuple[object, ...]:
    """What is the same whenever an event is announced."""
    if isinstance(event, SegmentEncoded):
        return event.segment_id, event.role, event.start_s, event.end_s, event.status, event.frame_count
    assert isinstance(event, AssetEnded)
    return event.asset_id, event.segment_count, event.duration_s, event.status


def test_a_whole_file_is_announced_segment_by_segment_and_then_ended(service: Service) -> None:
    service.publish(upload(service.film("a.mp4", Shot(0, 20), Shot(20, 40), Shot(40, 70), End(70.5))))
    service.run()
    assert [told(event) for event in service.announced()] == [
        ("a:0", Role.UPLOAD, 0, 32, SegmentStatus.DESCRIBED, 32),
        ("a:1", Role.UPLOAD, 32, 64, SegmentStatus.DESCRIBED, 32),
        ("a:2", Role.UPLOAD, 64, 70.5, SegmentStatus.DESCRIBED, 6),
        ("a", 3, 70.5, "complete"),
    ]
    assert [event.index_timestamp for event in service.segments()] == [1, 2, 3]
    assert all(event.model_version == MODEL and event.uploaded_at == AT for event in service.segments())
    rows = service.index.assets("default", ["a"])
    assert [row.segment_count for row in rows] == [0, 0, 3], "only the last one ends an asset"
    assert {row.uploaded_at for row in rows} == {AT.timestamp()}
    assert service.cache.get_many([row.key for row in rows]).keys() == {row.key for row in rows}
    assert service.committed() == 1
    assert service.dead() == []


def test_a_segment_is_stored_and_announced_while_the_file_is_still_decoded(service: Service) -> None:
    service.publish(upload(service.film("a.mp4", Shot(0, 40), Shot(40, 50), End(50))))
    assert service.worker.run_once(0)
    assert service.index.log == ["stored a:0", "announced a:0"]
    assert service.committed() == 0, "not before the file is done"
    service.run()
    assert service.index.log == ["stored a:0", "announced a:0", "stored a:1", "announced a:1"]


def test_what_cannot_be_stored_is_neither_announced_nor_committed(service: Service) -> None:
    service.publish(upload(service.film("a.mp4", Shot(0, 40), End(40))))
    service.index.down = True
    with pytest.raises(TransientError):
        service.run()
    assert service.announced() == service.dead() == []
    assert service.committed() == 0
    service.index.down = False
    service.restart()
    service.run()
    assert [told(event)[0] for event in service.announced()] == ["a:0", "a:1", "a"]


def test_frames_of_several_files_share_a_batch(service: Service) -> None:
    for name, tag in (("a", 1), ("b", 200)):
        service.publish(upload(service.film(name, Shot(0, 10, tag), Shot(10, 15, tag), End(15)), name))
    service.run()
    assert service.extractor.batches == [20, 10]
    for name, tag in (("a", 1), ("b", 200)):
        [segment] = service.index.read([SegmentKey("default", f"{name}:0")]).values()
        np.testing.assert_allclose(segment.descriptor.frames, [described_by(tag)] * 15, rtol=1e-6)


def test_the_trace_of_an_upload_goes_on_in_what_it_causes(service: Service) -> None:
    sent = to_message(topics.VIDEO_SEGMENTS, upload(service.film("a.mp4", Shot(0, 3), End(3))), source="test")
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    service.bus.publish([Message(sent.topic, sent.key, sent.value, {**sent.headers, **trace})])
    service.run()
    records = service.bus.records(topics.ENCODED_SEGMENTS)
    assert [record.message.headers["traceparent"] for record in records] == [trace["traceparent"]] * 2
    assert {record.message.key for record in records} == {"default/a"}


def test_a_failure_midway_keeps_what_was_described_and_ends_the_asset(service: Service) -> None:
    service.publish(upload(service.film("a.mp4", Shot(0, 40), Failure("the decoder crashed"))))
    service.run()
    segment, ended = service.announced()
    assert told(segment)[0] == "a:0"
    assert isinstance(ended, AssetEnded)
    assert (ended.segment_count, ended.status, ended.reason) == (1, "failed", "the decoder crashed")
    assert ended.duration_s is None
    [dead] = service.dead()
    [original] = service.bus.records(topics.VIDEO_SEGMENTS)
    assert (dead.key, dead.value) == (original.message.key, original.message.value)
    assert dead.headers["dlq_stage"] == "decode"
    assert dead.headers["dlq_reason"] == "the decoder crashed"
    assert (dead.headers["dlq_topic"], dead.headers["dlq_offset"]) == (topics.VIDEO_SEGMENTS, "0")
    assert service.committed() == 1


def test_a_segment_that_shows_nothing_is_stored_and_undecidable(service: Service) -> None:
    black = Shot(32, 64, black=True)
    service.publish(upload(service.film("a.mp4", Shot(0, 32), black, Shot(64, 70), End(70))))
    service.run()
    assert [event.status for event in service.segments()] == ["described", "undecidable", "described"]
    undecidable = service.segments()[1]
    assert undecidable.frame_count == 0
    assert undecidable.reason
    assert "black" in undecidable.reason
    [stored] = service.index.read([SegmentKey("default", "a:1")]).values()
    assert not stored.vector.any()


def test_frames_that_show_nothing_are_left_out_of_their_segment(service: Service) -> None:
    service.publish(upload(service.film("a.mp4", Shot(0, 5, black=True), Shot(5, 9), End(9))))
    service.run()
    [stored] = service.index.read([SegmentKey("default", "a:0")]).values()
    assert stored.descriptor.timestamps_s.tolist() == [5, 6, 7, 8]
    assert (stored.row.start_s, stored.row.end_s) == (0, 9)


def test_a_redelivered_upload_is_announced_again_without_work(service: Service) -> None:
    event = upload(service.film("a.mp4", Shot(0, 40, black=True), Shot(40, 70), End(70)))
    service.publish(event)
    service.run()
    first = service.announced()
    writes = service.index.writes
    service.publish(event)
    service.run()
    again = service.announced(since=len(first))
    assert service.pool.decoded == ["a.mp4"]
    assert service.index.writes == writes
    assert [told(event) for event in again] == [told(event) for event in first]
    assert isinstance(again[-1], AssetEnded)
    assert all(event.index_timestamp is None for event in again[:-1]), "which asks for the strongest search"
    assert service.committed() == 2


def test_other_content_replaces_the_asset_and_leaves_nothing_of_it(service: Service) -> None:
    service.publish(upload(service.film("a.mp4", Shot(0, 70, tag=10), End(70), content="long")))
    service.publish(upload(service.film("b.mp4", Shot(0, 40), End(40)), "b"))
    service.run()
    before = len(service.announced())
    service.publish(upload(service.film("a.mp4", Shot(0, 20, tag=250), End(20), content="short")))
    service.run()
    assert service.pool.decoded == ["a.mp4", "b.mp4", "a.mp4"]
    assert [told(event) for event in service.announced(since=before)] == [
        ("a:0", Role.UPLOAD, 0, 20, SegmentStatus.DESCRIBED, 20),
        ("a", 1, 20, "complete"),
    ]
    assert [row.segment_id for row in service.index.assets("default")] == ["a:0", "b:0", "b:1"]
    keys = [SegmentKey("default", f"a:{index}") for index in range(3)]
    for found in (service.cache.get_many(keys), service.index.read(keys)):
        assert found.keys() == {keys[0]}
        np.testing.assert_allclose(found[keys[0]].descriptor.frames, [described_by(250)] * 20, atol=1e-3)


def test_another_role_moves_the_asset_without_decoding(service: Service) -> None:
    uri = service.film("a.mp4", Shot(0, 40), End(40))
    service.publish(upload(uri))
    service.run()
    before = len(service.announced())
    service.publish(upload(uri, role=Role.REFERENCE))
    service.run()
    assert service.pool.decoded == ["a.mp4"]
    assert [told(event)[:2] for event in service.announced(since=before)[:2]] == [
        ("a:0", Role.REFERENCE),
        ("a:1", Role.REFERENCE),
    ]
    rows = service.index.assets("default", ["a"])
    assert [row.role for row in rows] == [Role.REFERENCE] * 2
    assert [one.row for one in service.cache.get_many([row.key for row in rows]).values()] == rows
    service.publish(upload(uri, role=Role.REFERENCE))
    service.run()
    assert service.pool.decoded == ["a.mp4"], "the move kept the stamp and how many segments there are"


def test_an_interrupted_asset_is_done_again(service: Service) -> None:
    service.publish(upload(service.film("a.mp4", Shot(0, 40), Shot(40, 70), End(70))))
    assert service.worker.run_once(0)
    assert [row.segment_id for row in service.index.assets("default")] == ["a:0"]
    service.restart()
    service.run()
    assert service.pool.decoded == ["a.mp4"]
    assert [told(event)[0] for event in service.announced()] == ["a:0", "a:0", "a:1", "a:2", "a"]
    assert service.committed() == 1


def test_an_asset_that_was_stored_but_not_committed_is_only_announced_again(service: Service) -> None:
    event = upload(service.film("a.mp4", Shot(0, 40), End(40)))
    service.publish(event)
    service.run()
    service.restart()
    service.publish(event)
    service.run()
    assert service.pool.decoded == []
    assert service.extractor.batches == []


def test_an_asset_that_comes_again_while_it_is_in_work_waits_for_itself(service: Service) -> None:
    event = upload(service.film("a.mp4", Shot(0, 20), Shot(20, 40), End(40)))
    service.publish(event, event)
    service.run()
    assert service.pool.decoded == ["a.mp4"], "the second finds the first one's work"
    assert [told(one)[0] for one in service.announced()] == ["a:0", "a:1", "a"] * 2
    assert service.committed() == 2


def test_other_content_that_comes_while_the_old_is_in_work_is_what_stays(service: Service) -> None:
    service.publish(upload(service.film("old.mp4", Shot(0, 20, tag=9), Shot(20, 70, tag=9), End(70))))
    service.publish(upload(service.film("new.mp4", Shot(0, 10), End(10))))
    service.run()
    assert service.pool.decoded == ["old.mp4", "new.mp4"]
    [row] = service.index.assets("default")
    assert (row.end_s, row.segment_count) == (10, 1)


def test_what_waits_is_not_overtaken_by_what_comes_later(tmp_path: Path) -> None:
    service = Service(tmp_path, workers=3)
    for name in ("first", "second"):
        service.publish(upload(service.film(name, Shot(0, 20), End(20))))
    while not service.announced():
        service.worker.run_once(0)
    service.publish(upload(service.film("third", Shot(0, 20), End(20))))
    service.run()
    assert service.pool.decoded == ["first", "second", "third"]
    [row] = service.index.assets("default")
    assert row.uri.endswith("third")


def test_segment_files_are_segments_of_their_upload_and_the_last_one_ends_it(service: Service) -> None:
    for index, last in ((0, False), (1, True)):
        uri = service.film(f"a{index}.ts", Shot(0, 50), End(50.5))
        service.publish(upload(uri, segment_index=index, start_s=50.5 * index, last_segment=last, role=Role.PROBE))
    service.run()
    assert sorted(told(event) for event in service.segments()) == [
        ("a:0", Role.PROBE, 0, 50.5, SegmentStatus.DESCRIBED, 50),
        ("a:1", Role.PROBE, 50.5, 101, SegmentStatus.DESCRIBED, 50),
    ]
    assert [told(event) for event in service.announced() if isinstance(event, AssetEnded)] == [
        ("a", 2, 101, "complete")
    ]
    [second] = service.index.read([SegmentKey("default", "a:1")]).values()
    assert second.descriptor.timestamps_s[[0, -1]].tolist() == [50.5, 99.5]
    assert service.pool.limits_s == [120, 120]


def test_an_upload_may_be_ended_afterwards(service: Service) -> None:
    service.publish(upload(service.film("a0.ts", Shot(0, 9), End(9)), segment_index=0, start_s=0))
    service.publish(UploadEnded(asset_id="a", tenant="default", segment_count=1))
    service.run()
    assert {told(event)[0] for event in service.segments()} == {"a:0"}
    [ended] = [event for event in service.announced() if isinstance(event, AssetEnded)]
    assert told(ended) == ("a", 1, None, "complete")
    assert service.committed() == 2


def test_a_segment_file_is_redelivered_or_replaced_without_its_neighbours(service: Service) -> None:
    events = []
    for index in (0, 1):
        uri = service.film(f"a{index}.ts", Shot(0, 9), End(9))
        events.append(upload(uri, segment_index=index, start_s=9 * index, last_segment=index == 1))
    service.publish(*events)
    service.run()
    before = len(service.announced())
    service.publish(*events)
    service.run()
    assert len(service.pool.decoded) == 2
    assert [told(event)[0] for event in service.announced(since=before)] == ["a:0", "a:1", "a"]

    before = len(service.announced())
    service.film("a0.ts", Shot(0, 7), End(7), content="another")
    service.publish(events[0])
    service.run()
    assert [told(event) for event in service.announced(since=before)] == [
        ("a:0", Role.UPLOAD, 0, 7, SegmentStatus.DESCRIBED, 7)
    ]
    assert [(row.segment_id, row.frame_count) for row in service.index.assets("default")] == [("a:0", 7), ("a:1", 9)]


def test_a_replaced_segment_file_is_out_of_the_cache_before_it_is_in_the_index(service: Service) -> None:
    event = upload(service.film("a0.ts", Shot(0, 9), End(9)), segment_index=0, start_s=0)
    service.publish(event)
    service.run()
    key = SegmentKey("default", "a:0")
    assert service.cache.get_many([key])
    service.film("a0.ts", Shot(0, 7), End(7), content="another")
    service.index.down = True
    service.publish(event)
    with pytest.raises(TransientError):
        service.run()
    assert service.cache.get_many([key]) == {}, "a crash from here on must not leave the old content there"


def test_a_segment_file_of_another_role_leaves_its_neighbours_alone(service: Service) -> None:
    events = []
    for index in (0, 1):
        uri = service.film(f"a{index}.ts", Shot(0, 9), End(9))
        events.append(upload(uri, segment_index=index, start_s=9 * index))
    service.publish(*events)
    service.run()
    service.publish(events[0].model_copy(update={"role": Role.REFERENCE}))
    service.run()
    assert len(service.pool.decoded) == 2
    assert [row.role for row in service.index.assets("default")] == [Role.REFERENCE, Role.UPLOAD]


def test_a_segment_file_that_fails_is_announced_so_that_its_upload_can_end(service: Service) -> None:
    uri = service.film("a0.ts", Shot(0, 5), Failure("no video in it"))
    service.publish(upload(uri, segment_index=0, start_s=0, duration_s=9))
    service.publish(
        upload(str(service.folder / "none.ts"), segment_index=1, start_s=9, duration_s=9, last_segment=True)
    )
    service.run()
    assert sorted(told(event) for event in service.segments()) == [
        ("a:0", Role.UPLOAD, 0, 9, SegmentStatus.FAILED, 0),
        ("a:1", Role.UPLOAD, 9, 18, SegmentStatus.FAILED, 0),
    ]
    assert {event.reason for event in service.segments()} > {"no video in it"}
    [ended] = [event for event in service.announced() if isinstance(event, AssetEnded)]
    assert ended.segment_count == 2
    assert sorted(dead.headers["dlq_stage"] for dead in service.dead()) == ["decode", "fetch"]


def test_wrong_messages_go_to_the_dead_letters_and_the_next_is_processed(service: Service) -> None:
    kind = {"ce_type": "copydetect.SegmentUploaded.v1"}
    wrong = [
        Message(topics.VIDEO_SEGMENTS, "k", b"not json", kind),
        Message(topics.VIDEO_SEGMENTS, "k", b'{"asset_id": "a"}', kind),
        Message(topics.VIDEO_SEGMENTS, "k", b"\xff\x00", {}),
    ]
    service.bus.publish(wrong)
    service.publish(AssetEnded(asset_id="z", segment_count=1, duration_s=1, status="complete"))
    service.publish(upload(service.film("a.mp4", Shot(0, 3), End(3))))
    service.run()
    dead = service.dead()
    assert [message.value for message in dead[:3]] == [message.value for message in wrong]
    assert [message.headers["dlq_stage"] for message in dead] == ["parse"] * 4
    assert [message.headers["dlq_offset"] for message in dead] == ["0", "1", "2", "3"]
    assert "AssetEnded does not belong" in dead[3].headers["dlq_reason"]
    assert [told(event)[0] for event in service.announced()] == ["a:0", "a"]
    assert service.committed() == 5


@pytest.mark.parametrize(
    ("content", "uri", "said"),
    [
        (None, "{path}", "No such file"),
        ("", "{path}", "empty"),
        ("x" * (MAX_BYTES + 1), "{path}", "exceed"),
        ("film", "http://example.org/{path}", "only local files"),
    ],
)
def test_a_file_that_cannot_be_fetched_ends_its_asset(
    service: Service, content: str | None, uri: str, said: str
) -> None:
    path = service.folder / "a.mp4"
    if content is not None:
        path.write_text(content)
    service.publish(upload(uri.format(path=path)))
    service.run()
    [ended] = service.announced()
    assert isinstance(ended, AssetEnded)
    assert (ended.segment_count, ended.status) == (0, "failed")
    assert ended.reason
    assert said in ended.reason
    assert [dead.headers["dlq_stage"] for dead in service.dead()] == ["fetch"]
    assert service.committed() == 1


def test_offsets_are_committed_when_all_before_them_is_done(tmp_path: Path) -> None:
    service = Service(tmp_path, workers=3)
    service.publish(upload(service.film("slow", *[Pause()] * 4, Shot(0, 3), End(3)), "slow"))
    service.publish(upload(service.film("fast", Shot(0, 3), End(3)), "fast"))
    service.publish(upload(service.film("middle", Pause(), Shot(0, 3), End(3)), "middle"))
    commits = []
    for _ in range(6):
        service.worker.run_once(0)
        ended = [event.asset_id for event in service.announced() if isinstance(event, AssetEnded)]
        commits.append((ended, service.committed()))
    assert commits[1] == (["fast"], 0)
    assert commits[2] == (["fast", "middle"], 0)
    assert commits[-1] == (["fast", "middle", "slow"], 3)
    assert not service.worker.run_once(0)


def test_no_more_is_consumed_than_can_be_decoded(tmp_path: Path) -> None:
    service = Service(tmp_path, workers=1)
    for name in "abc":
        service.publish(upload(service.film(name, Shot(0, 3), End(3)), name))
    service.worker.run_once(0)
    assert service.pool.decoded == ["a"]
    service.run()
    assert service.pool.decoded == ["a", "b", "c"]
    assert service.committed() == 3

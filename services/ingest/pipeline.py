"""Uploads in, encoded segments out: fetch -> decode -> describe -> cut -> store -> announce.

`accept` begins a record's work, `advance` moves all work on by one step; frames of every file in work share a batch.
What is announced is stored; a segment that is stored already, with equal content, is announced again without work.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from services.contracts import topics
from services.contracts.envelope import dead_letter, to_event, to_message
from services.contracts.errors import InvalidMessage
from services.contracts.events import MAX_UPLOADED_SEGMENT_S, Event, SegmentUploaded, UploadEnded
from services.contracts.ports import DescriptorCache, DescriptorIndex, Message, Record, SegmentRow
from services.ingest.announce import asset_ended, segment_encoded, segment_failed
from services.ingest.cut import Cut, Cutter
from services.ingest.decode_pool import DecodeFailed, DecodeFinished, DecodePool, FramesDecoded
from services.ingest.describe import Describer, informative
from services.ingest.fetch import fetch
from services.ingest.store import SegmentStore

SOURCE = "copydetect/ingest"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Messages to publish for a record; `done` when no more will come of it."""

    record: Record
    messages: tuple[Message, ...]
    done: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    record: Record
    upload: SegmentUploaded
    stamp: str
    cutter: Cutter

    def row(self, cut: Cut, *, last: bool) -> SegmentRow:
        return SegmentRow(
            tenant=self.upload.tenant,
            asset_id=self.upload.asset_id,
            segment_index=cut.segment_index,
            role=self.upload.role,
            start_s=cut.start_s,
            end_s=cut.end_s,
            frame_count=len(cut.descriptor),
            stamp=self.stamp,
            uri=self.upload.uri,
            uploaded_at=self.upload.uploaded_at.timestamp(),
            segment_count=self.cutter.segment_count if last and self.upload.is_whole_file else 0,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Finished:
    """A segment cut to the end, on its way to the index; `last` of what comes of its record."""

    job: _Job
    cut: Cut
    last: bool


class IngestPipeline:
    def __init__(
        self,
        *,
        index: DescriptorIndex,
        cache: DescriptorCache,
        pool: DecodePool,
        describer: Describer,
        dimension: int,
        segment_s: float,
        max_bytes: int,
    ) -> None:
        self._model_version = index.model_version
        self._store = SegmentStore(index, cache)
        self._pool = pool
        self._describer = describer
        self._dimension = dimension
        self._segment_s = segment_s
        self._max_bytes = max_bytes
        self._jobs: dict[str, _Job] = {}
        self._waiting: list[tuple[Record, SegmentUploaded]] = []  # each has a decoder kept free for it

    @property
    def has_room(self) -> bool:
        return self._pool.free > len(self._waiting)

    @property
    def is_idle(self) -> bool:
        return not self._jobs and not self._waiting

    def accept(self, record: Record) -> Outcome:
        """Begin this record's work; call only while there is room."""
        try:
            event = to_event(record.message)
            if isinstance(event, UploadEnded):
                ended = asset_ended(event.tenant, event.asset_id, segment_count=event.segment_count)
                return _outcome(record, [ended], done=True)
            if not isinstance(event, SegmentUploaded):
                raise InvalidMessage(f"{type(event).__name__} does not belong on this topic", stage="parse")
        except InvalidMessage as error:
            return Outcome(record, (dead_letter(record, error),), done=True)
        earlier = [job.upload for job in self._jobs.values()] + [upload for _, upload in self._waiting]
        if any(_replaces(event, upload) for upload in earlier):
            self._waiting.append((record, event))
            return Outcome(record, (), done=False)
        try:
            media = fetch(event.uri, max_bytes=self._max_bytes)
        except InvalidMessage as error:
            return self._failed(record, event, error, segment_count=0)
        bounds = f"cut at {self._segment_s!r}" if event.is_whole_file else f"from {event.start_s!r}"
        stamp = f"{media.stamp} {bounds}"
        if rows := self._store.stored(event, stamp):
            media.file.close()
            return _outcome(record, self._announce(event, rows, None, ended=True), done=True)
        job = f"{record.message.topic}/{record.partition}/{record.offset}"
        self._jobs[job] = _Job(record, event, stamp, self._cutter(event))
        self._pool.submit(job, media.file, max_duration_s=math.inf if event.is_whole_file else MAX_UPLOADED_SEGMENT_S)
        return Outcome(record, (), done=False)

    def advance(self, timeout_s: float) -> list[Outcome]:
        """Take what the decoders have ready within the time, and see it through to what can be announced."""
        resumed = self._resumed()
        progress = self._pool.poll(timeout_s)
        chunks = [event for event in progress if isinstance(event, FramesDecoded)]
        finished: list[_Finished] = []
        for chunk, frames in zip(chunks, self._describer.frames([chunk.images for chunk in chunks]), strict=True):
            job = self._jobs[chunk.job]
            cuts = job.cutter.add(chunk.timestamps_s, frames, informative(chunk.images))
            finished += (_Finished(job, cut, last=False) for cut in cuts)
        failed: list[Outcome] = []
        for event in progress:
            if isinstance(event, DecodeFinished):
                job = self._jobs.pop(event.job)
                finished.append(_Finished(job, job.cutter.finish(event.duration_s), last=True))
            elif isinstance(event, DecodeFailed):
                job = self._jobs.pop(event.job)
                error = InvalidMessage(event.reason, stage="decode")
                failed.append(self._failed(job.record, job.upload, error, segment_count=job.cutter.segment_count))
        return resumed + self._stored(finished) + failed

    def _resumed(self) -> list[Outcome]:
        """What waited begins, unless what it waits for is still in work.

        Not in the step that ends that work: what it announces must still be stored when it is published.
        """
        waiting, self._waiting = self._waiting, []
        return [self.accept(record) for record, _ in waiting]

    def _stored(self, finished: Sequence[_Finished]) -> list[Outcome]:
        """Store all these segments together, then announce each."""
        rows = [segment.job.row(segment.cut, last=segment.last) for segment in finished]
        described = self._describer.segments(rows, [segment.cut.descriptor for segment in finished])
        timestamp = self._store.store(described)
        return [
            _outcome(
                segment.job.record,
                self._announce(segment.job.upload, [row], timestamp, ended=segment.last),
                done=segment.last,
            )
            for segment, row in zip(finished, rows, strict=True)
        ]

    def _cutter(self, upload: SegmentUploaded) -> Cutter:
        if upload.segment_index is None or upload.start_s is None:
            return Cutter(dimension=self._dimension, segment_s=self._segment_s)
        return Cutter(
            dimension=self._dimension, segment_s=math.inf, first_index=upload.segment_index, start_s=upload.start_s
        )

    def _announce(
        self, upload: SegmentUploaded, rows: Sequence[SegmentRow], timestamp: int | None, *, ended: bool
    ) -> list[Event]:
        events: list[Event] = [
            segment_encoded(row, model_version=self._model_version, index_timestamp=timestamp) for row in rows
        ]
        if ended and (upload.is_whole_file or upload.last_segment):
            last = rows[-1]
            count = last.segment_count or last.segment_index + 1
            events.append(asset_ended(last.tenant, last.asset_id, segment_count=count, duration_s=last.end_s))
        return events

    def _failed(self, record: Record, upload: SegmentUploaded, error: InvalidMessage, *, segment_count: int) -> Outcome:
        """The dead letter, and the announcement without which the asset would never be done."""
        events: list[Event] = []
        if upload.segment_index is None:
            events.append(asset_ended(upload.tenant, upload.asset_id, segment_count=segment_count, error=error))
        else:
            events.append(segment_failed(upload, error, model_version=self._model_version))
            if upload.last_segment:
                count = upload.segment_index + 1
                events.append(asset_ended(upload.tenant, upload.asset_id, segment_count=count))
        announced = _outcome(record, events, done=True)
        return Outcome(record, (dead_letter(record, error), *announced.messages), done=True)


def _replaces(later: SegmentUploaded, earlier: SegmentUploaded) -> bool:
    """Whether both write the same segments: side by side they would leave a mixture of the two."""
    if later.key != earlier.key:
        return False
    return later.is_whole_file or earlier.is_whole_file or later.segment_index == earlier.segment_index


def _outcome(record: Record, events: Sequence[Event], *, done: bool) -> Outcome:
    messages = (to_message(topics.ENCODED_SEGMENTS, event, source=SOURCE, cause=record.message) for event in events)
    return Outcome(record, tuple(messages), done)

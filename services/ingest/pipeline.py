"""Uploads in, encoded segments out: fetch -> decode -> describe -> cut -> store -> announce.

`accept` begins the work on a record, `advance` does one step of all work; frames of all files in flight share a batch.
A segment is announced after it is stored. One that is stored already, with equal content, is only announced again.
One thread drives the pipeline and waits only for decoders: files are fetched in threads and decoded in processes.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from services.contracts.envelope import read_event
from services.contracts.errors import InvalidMessage
from services.contracts.events import Event, SegmentUploaded, UploadEnded
from services.contracts.ports import DescriptorCache, DescriptorIndex, Record
from services.contracts.segments import SegmentRow
from services.ingest.announce import build_asset_ended, build_segment_encoded, build_segment_failed
from services.ingest.decode.pool import DecodeFailed, DecodeFinished, FramesDecoded
from services.ingest.describe import BatchDescriber
from services.ingest.fetch.media import Media
from services.ingest.job import DescribeOptions, Job
from services.ingest.outcome import Outcome, announce, refuse
from services.ingest.ports import Decoders, Fetches
from services.ingest.store import SegmentStore, is_unchanged
from services.runtime import metrics
from tca_model.video.segments import CutSegment

MAX_ATTEMPTS = 3  # to decode a file if the machine may be to blame

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _FinishedSegment:
    """A complete segment that is to be stored; `last` for the last one of its record."""

    job: Job
    cut: CutSegment
    last: bool


class IngestPipeline:
    """Works on up to `max_jobs` records at once, and accepts none while `fetches` have no room for another file."""

    def __init__(
        self,
        *,
        index: DescriptorIndex,
        cache: DescriptorCache,
        fetches: Fetches,
        pool: Decoders,
        describer: BatchDescriber,
        options: DescribeOptions,
        max_jobs: int,
    ) -> None:
        self._model_version = index.model_version
        self._store = SegmentStore(index, cache)
        self._fetches = fetches
        self._pool = pool
        self._describer = describer
        self._options = options
        self._max_jobs = max_jobs
        self._jobs: dict[str, Job] = {}  # in the order of their records
        self._waiting: list[Job] = []  # until a job ends that writes the same segments

    @property
    def has_room(self) -> bool:
        return self.in_flight_records < self._max_jobs and self._fetches.has_room

    @property
    def is_idle(self) -> bool:
        return self.in_flight_records == 0

    @property
    def in_flight_records(self) -> int:
        return len(self._jobs) + len(self._waiting)

    @property
    def in_flight_bytes(self) -> int:
        """What downloads take, or may take, of the temporary folder."""
        return self._fetches.reserved_bytes

    def accept(self, record: Record) -> Outcome:
        """Begin the work on this record; call only if `has_room`."""
        try:
            event = read_event(record)
            if isinstance(event, UploadEnded):
                ended = build_asset_ended(event.tenant, event.asset_id, segment_count=event.segment_count)
                return announce(record, [ended], done=True)
            if not isinstance(event, SegmentUploaded):
                raise InvalidMessage(f"{type(event).__name__} does not belong on this topic", stage="parse")
        except InvalidMessage as error:
            return refuse(record, error)
        self._waiting.append(Job.of(record, event, self._options))
        self._begin()
        return Outcome(record, (), done=False)

    def advance(self, timeout_s: float) -> list[Outcome]:
        """Process all fetched files, and what decoders send within `timeout_s`. Returns the outcomes."""
        self._begin()
        outcomes = self._on_fetched()
        self._submit_to_decoders()
        progress = self._pool.poll(0.0 if outcomes else timeout_s)
        finished = self._describe_and_cut([event for event in progress if isinstance(event, FramesDecoded)])
        failed: list[Outcome] = []
        for event in progress:
            match event:
                case DecodeFinished():
                    job = self._on_decoded(event.job)
                    finished.append(_FinishedSegment(job, job.cutter.finish(event.duration_s), last=True))
                case DecodeFailed():
                    failed += self._on_decode_failed(self._on_decoded(event.job), event)
        return outcomes + self._store_and_announce(finished) + failed

    def give_up(self, record: Record, error: InvalidMessage) -> Outcome:
        """Give a record up, with a dead letter, and the events without which its asset would never be complete."""
        with suppress(InvalidMessage):
            event = read_event(record)
            if isinstance(event, SegmentUploaded):
                return self._fail(Job.of(record, event, self._options), error)
        return refuse(record, error)

    def abandon(self, partition: int) -> None:
        """Drop all work on records of this partition, which was revoked; it may be assigned again."""
        for job in [job for job in self._jobs.values() if job.record.partition == partition]:
            self._fetches.cancel(job.name)
            self._pool.cancel(job.name)
            self._end(job.name)
        self._waiting = [job for job in self._waiting if job.record.partition != partition]

    def _begin(self) -> None:
        """Start to fetch the waiting jobs, except those that would replace segments of an earlier job in progress.

        This never happens in the step that ends the earlier job: its segments must still be stored when they are
        announced, which is after that step.
        """
        waiting, self._waiting = self._waiting, []
        for job in waiting:
            if any(job.has_same_segments_as(before) for before in (*self._jobs.values(), *self._waiting)):
                self._waiting.append(job)
            else:
                self._jobs[job.name] = job
                self._fetches.submit(job.name, job.upload.uri)

    def _on_fetched(self) -> list[Outcome]:
        """Handle the ended fetches. Returns the outcomes of files that need no decoding or cannot be fetched."""
        outcomes = []
        polled = [(self._jobs[fetched.job], fetched.result) for fetched in self._fetches.poll()]
        for job, result in polled:  # all have their files before any work that may fail
            job.media = result if isinstance(result, Media) else None
        for job, result in polled:
            if isinstance(result, InvalidMessage):
                outcomes.append(self._fail(self._end(job.name), result))
            elif rows := self._reuse_stored(job):
                self._end(job.name)
                outcomes.append(announce(job.record, self._to_events(job.upload, rows, None, ended=True), done=True))
        return outcomes

    def _reuse_stored(self, job: Job) -> list[SegmentRow]:
        """Bring stored segments of this upload up to date. Returns the rows to announce, [] if it must be described."""
        upload = job.upload
        rows = self._store.read_rows(upload)
        if is_unchanged(rows, upload, job.stamp):
            return self._store.change_role(rows, upload.role)
        self._store.clear_stale(rows, job.stamp, delete=upload.is_whole_file)
        return []

    def _submit_to_decoders(self) -> None:
        """Pass fetched files to free decoders, oldest record first."""
        for job in self._jobs.values():
            if self._pool.free and job.media is not None and job.waits_for_decoder:
                self._pool.submit(job.name, job.media.file, max_duration_s=job.max_duration_s)
                job.started_s = time.monotonic()

    def _end(self, name: str) -> Job:
        """Remove a job, for whose file no process has any use, and return it."""
        job = self._jobs.pop(name)
        job.close()
        return job

    def _on_decoded(self, name: str) -> Job:
        """Remove a job whose decoding has ended, and return it."""
        job = self._end(name)
        assert job.started_s is not None
        metrics.stage_seconds.labels("decode").observe(time.monotonic() - job.started_s)
        return job

    def _on_decode_failed(self, job: Job, event: DecodeFailed) -> list[Outcome]:
        """Begin the job again if the machine may be to blame, else fail it."""
        if not event.may_pass:
            return [self._fail(job, InvalidMessage(event.reason, stage="decode"))]
        if job.attempt >= MAX_ATTEMPTS:
            reason = f"{event.reason}, in each of {MAX_ATTEMPTS} attempts"
            return [self._fail(job, InvalidMessage(reason, stage="decode"))]
        metrics.retries.labels("decode").inc()
        log.warning("decoded again", asset=job.upload.key, attempt=job.attempt, reason=event.reason)
        self._waiting.append(job.next_attempt())
        return []

    def _describe_and_cut(self, chunks: Sequence[FramesDecoded]) -> list[_FinishedSegment]:
        """Describe these frames together. Returns the segments that they complete."""
        if not chunks:
            return []
        with metrics.time_stage("describe"):
            described = self._describer.describe_frames([chunk.images for chunk in chunks])
        finished = []
        for chunk, frames in zip(chunks, described, strict=True):
            job = self._jobs[chunk.job]
            first_shown_s = job.stills.track(chunk.timestamps_s, chunk.images)
            cuts = job.cutter.add(chunk.timestamps_s, frames, first_shown_s)
            finished += [_FinishedSegment(job, cut, last=False) for cut in cuts]
        return finished

    def _store_and_announce(self, finished: Sequence[_FinishedSegment]) -> list[Outcome]:
        """Store these segments together. Returns the outcomes that announce them, one per segment."""
        if not finished:
            return []
        rows = [segment.job.row(segment.cut, last=segment.last) for segment in finished]
        with metrics.time_stage("encode"):
            described = self._describer.encode_segments(rows, [segment.cut.descriptor for segment in finished])
        with metrics.time_stage("store"):
            timestamp = self._store.store(described)
        metrics.media_seconds.inc(sum(row.end_s - row.start_s for row in rows))
        return [
            announce(
                segment.job.record,
                self._to_events(segment.job.upload, [row], timestamp, ended=segment.last),
                done=segment.last,
            )
            for segment, row in zip(finished, rows, strict=True)
        ]

    def _to_events(
        self, upload: SegmentUploaded, rows: Sequence[SegmentRow], timestamp: int | None, *, ended: bool
    ) -> list[Event]:
        """The events that announce these rows, and the end of the asset if the upload has `ended` and is its last."""
        events: list[Event] = [
            build_segment_encoded(row, model_version=self._model_version, index_timestamp=timestamp) for row in rows
        ]
        if ended and (upload.is_whole_file or upload.last_segment):
            last = rows[-1]
            count = last.segment_count or last.segment_index + 1
            events.append(build_asset_ended(last.tenant, last.asset_id, segment_count=count, duration_s=last.end_s))
        return events

    def _fail(self, job: Job, error: InvalidMessage) -> Outcome:
        """End a job: the outcome is its dead letter and the event without which the asset would never be complete."""
        upload = job.upload
        events: list[Event] = []
        if upload.segment_index is None:
            count = job.cutter.segment_count
            events.append(build_asset_ended(upload.tenant, upload.asset_id, segment_count=count, error=error))
        else:
            events.append(build_segment_failed(upload, error, model_version=self._model_version))
            if upload.last_segment:
                count = upload.segment_index + 1
                events.append(build_asset_ended(upload.tenant, upload.asset_id, segment_count=count))
        return refuse(job.record, error, events)

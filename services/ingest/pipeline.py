"""Uploads in, encoded segments out: fetch -> decode -> describe -> cut -> store -> announce -> delete what it replaces.

`accept` begins the work on a record, `advance` does one step of all work; frames of all files in flight share a batch.
A segment is announced after it is stored; one that is stored already, with equal content, is only announced again.
One thread drives the pipeline and waits only for decoders: files are fetched in threads and decoded in processes.
"""

import time
from collections.abc import Sequence
from contextlib import suppress

import structlog

from services.contracts.envelope import read_event
from services.contracts.errors import InvalidMessage
from services.contracts.event_types import OF_UPLOADERS
from services.contracts.events import AssetRemoved, SegmentUploaded, UploadEnded
from services.contracts.generations import generation_of
from services.contracts.ports import DescriptorIndex, Record
from services.contracts.segments import SegmentRow
from services.ingest.announce import build_asset_ended, build_asset_erased, build_failure_events, build_stored_events
from services.ingest.decode.events import CheckpointReached, DecodeFailed, DecodeFinished, FramesDecoded
from services.ingest.deletions import Deletions, list_obsolete
from services.ingest.describe import BatchDescriber
from services.ingest.fetch.media import Media
from services.ingest.in_flight import InFlight
from services.ingest.intake import Intake
from services.ingest.job import MAX_ATTEMPTS, DescribeOptions, FinishedSegment, Job, Removal
from services.ingest.outcome import Outcome, announce, refuse
from services.ingest.ownership import Ownership
from services.ingest.ports import Decoders, Fetches, ProgressCache
from services.ingest.replaced import find_replaced, make_tail
from services.ingest.resume import ProgressKeeper
from services.ingest.store import SegmentStore, find_begun, find_stored, find_uploaded_s
from services.runtime import metrics

log = structlog.get_logger(__name__)


class IngestPipeline:
    """Accepts records while `fetches` have room for another file, and fewer than `max_parked` are parked (intake)."""

    def __init__(
        self,
        *,
        index: DescriptorIndex,
        cache: ProgressCache,
        fetches: Fetches,
        pool: Decoders,
        describer: BatchDescriber,
        options: DescribeOptions,
        max_parked: int,
    ) -> None:
        self.ownership = Ownership()
        self._version = index.model_version
        self._store = SegmentStore(index, cache)
        self._progress = ProgressKeeper(cache)
        self._fetches = fetches
        self._pool = pool
        self._describer = describer
        self._options = options
        self._in_flight = InFlight()
        self._intake = Intake(self._in_flight, fetches, max_parked)
        self._deletions = Deletions(self._store)

    @property
    def has_room(self) -> bool:
        return self._intake.has_room and self._deletions.has_room

    @property
    def is_idle(self) -> bool:
        return self.in_flight_records == 0 and not self._deletions

    @property
    def in_flight_records(self) -> int:
        return len(self._in_flight)

    @property
    def parked_records(self) -> int:
        return self._intake.parked_records

    @property
    def in_flight_bytes(self) -> int:
        """What downloads take, or may take, of the temporary folder."""
        return self._fetches.reserved_bytes

    def accept(self, record: Record) -> Outcome:
        """Begin the work on this record; call only if `has_room`."""
        try:
            match read_event(record, OF_UPLOADERS):
                case UploadEnded() as event:
                    return self._end_upload(record, event)
                case SegmentUploaded() as event:
                    self._in_flight.add(Job.of(record, event, self._options))
                case AssetRemoved() as event:
                    self._in_flight.add(Removal(record, event))
        except InvalidMessage as error:
            return refuse(record, error)
        self._intake.begin()
        return Outcome(record, (), done=False)

    def advance(self, timeout_s: float) -> list[Outcome]:
        """Process all fetched files, and what decoders send within `timeout_s`. Returns the outcomes."""
        outcomes = self._deletions.make()
        self._intake.begin()
        outcomes += self._erase_removed() + self._on_fetched()
        self._submit_to_decoders()
        can_wait = len(self._in_flight) > 0 and not outcomes and not self._deletions
        progress = self._pool.poll(timeout_s if can_wait else 0.0)
        frames = [event for event in progress if isinstance(event, FramesDecoded)]
        finished = self._describer.describe_and_cut([self._in_flight.job(one.job).track(one) for one in frames])
        failed: list[Outcome] = []
        for event in progress:
            match event:
                case CheckpointReached():
                    self._progress.note(self._in_flight.job(event.job), event)
                case DecodeFinished():
                    finished.append(self._on_decoded(event.job).finish(event))
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
        for job in self._in_flight.drop(partition):
            self._fetches.cancel(job.name)
            self._pool.cancel(job.name)
            job.close()
        self._deletions.drop(partition)

    def erase_again(self, removal: Removal) -> None:
        """Erase what was stored of an asset after its removal, which was acknowledged already."""
        self._store.erase(removal)

    def drop_unfetched(self) -> list[Record]:
        """Drop the records without a file that can be decoded, which is no loss, and return them."""
        return self._intake.drop_unfetched()

    def _end_upload(self, record: Record, event: UploadEnded) -> Outcome:
        """Announce the end of an upload of segment files; it is done when its tail is deleted."""
        generation, count = generation_of(record), event.segment_count
        ended = build_asset_ended(event, generation=generation, model_version=self._version, segment_count=count)
        self._deletions.add(record, [make_tail(event, segment_count=count, generation=generation)])
        return announce(record, [ended], done=False)

    def _erase_removed(self) -> list[Outcome]:
        """Erase the assets that are to be removed, and announce it."""
        outcomes = []
        for removal in self._in_flight.removals:
            self._store.erase(removal)
            self._in_flight.end(removal)
            erased = build_asset_erased(removal.event, generation=removal.generation, model_version=self._version)
            outcomes.append(announce(removal.record, [erased], done=True))
        return outcomes

    def _on_fetched(self) -> list[Outcome]:
        """Handle the ended fetches. Returns the outcomes of files that need no decoding or cannot be fetched."""
        outcomes = []
        polled = [(self._in_flight.job(fetched.job), fetched.result) for fetched in self._fetches.poll()]
        for job, result in polled:  # all have their files before any work that may fail
            job.media = result if isinstance(result, Media) else None
        for job, result in polled:
            rows = self._store.read_rows(job.upload)
            stored_s = find_uploaded_s(rows, job.upload, job.stamp if job.media else None)
            job.uploaded_s = self._in_flight.find_uploaded_s(job) if stored_s is None else stored_s
            if isinstance(result, InvalidMessage):
                outcomes.append(self._fail(self._end(job.name), result))
            elif outcome := self._announce_stored(job, rows):
                outcomes.append(outcome)
        return outcomes

    def _announce_stored(self, job: Job, rows: Sequence[SegmentRow]) -> Outcome | None:
        """Announce again what is stored of this upload, which ends it if that is all. None if nothing is."""
        upload, generation = job.upload, job.generation
        job.replaced = find_replaced(rows, upload, content=job.content, generation=generation)
        whole = find_stored(rows, upload, job.stamp)
        stored = whole or find_begun(rows, upload, job.content)
        with self.ownership.storing([job]):
            stored = self._store.refresh(stored, role=upload.role, generation=generation, uploaded_s=job.uploaded_s)
        if not stored or not self.ownership.owns(job.record):
            return None
        job.skip_stored(stored)
        if not whole:
            self._progress.load(job)
        return self._announce(self._end(job.name) if whole else job, stored, None, last=bool(whole))

    def _submit_to_decoders(self) -> None:
        """Pass fetched files to free decoders, oldest record first."""
        for job in self._in_flight.jobs:
            if self._pool.free and job.media is not None and job.waits_for_decoder:
                limits = {"max_duration_s": job.max_duration_s, "checkpoint_s": job.checkpoint_s}
                self._pool.submit(job.name, job.media.file, **limits, resume=job.resume)
                job.started_s = time.monotonic()

    def _end(self, name: str) -> Job:
        """Remove a job, for whose file no process has any use, and return it."""
        job = self._in_flight.job(name)
        self._in_flight.end(job)
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
        if not event.may_pass or job.attempt >= MAX_ATTEMPTS:
            times = f", in each of {MAX_ATTEMPTS} attempts" if event.may_pass else ""
            return [self._fail(job, InvalidMessage(event.reason + times, stage="decode"))]
        metrics.retries.labels("decode").inc()
        log.warning("decoded again", asset=job.key, attempt=job.attempt, reason=event.reason)
        self._in_flight.add_again(job.next_attempt())
        return []

    def _store_and_announce(self, finished: Sequence[FinishedSegment]) -> list[Outcome]:
        """Store these segments together. Returns the outcomes that announce them, one per segment."""
        if not finished:
            return []
        rows = [segment.job.row(segment.cut, last=segment.last) for segment in finished]
        with metrics.time_stage("encode"):
            described = self._describer.encode_segments(rows, [segment.cut.descriptor for segment in finished])
        with metrics.time_stage("store"), self.ownership.storing([segment.job for segment in finished]):
            timestamp = self._store.store(described)
        metrics.media_seconds.inc(sum(row.end_s - row.start_s for row in rows))
        return [
            self._announce(segment.job, [row], timestamp, last=segment.last)
            for segment, row in zip(finished, rows, strict=True)
            if self.ownership.owns(segment.job.record)
        ]

    def _announce(self, job: Job, rows: Sequence[SegmentRow], timestamp: int | None, *, last: bool) -> Outcome:
        """The outcome that announces these rows. If they are the `last` ones, what they replace is deleted next."""
        self._progress.save(job)
        events = build_stored_events(job, rows, model_version=self._version, index_timestamp=timestamp, ended=last)
        return announce(job.record, events, done=last and self._conclude(job))

    def _fail(self, job: Job, error: InvalidMessage) -> Outcome:
        """End a job: the outcome is its dead letter and the events without which its asset would never be complete."""
        events = build_failure_events(job, error, model_version=self._version)
        return refuse(job.record, error, events, done=self._conclude(job))

    def _conclude(self, job: Job) -> bool:
        """Arrange what is left to do for a job that has ended. Returns False if its record is not done before."""
        self._progress.drop(job)
        obsolete = list_obsolete(job)
        self._deletions.add(job.record, obsolete)
        return not obsolete

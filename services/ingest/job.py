"""A record in flight: the progress of its upload, and the rows of its segments; or the removal of an asset."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from services.contracts.events import AssetRemoved, SegmentUploaded
from services.contracts.fields import MAX_UPLOADED_SEGMENT_S
from services.contracts.generations import generation_of
from services.contracts.ports import Record
from services.contracts.segments import SegmentKey, SegmentRow, make_content
from services.ingest.decode.events import DecodeFinished, FramesDecoded
from services.ingest.fetch.media import Media, redact
from services.ingest.progress import Progress
from services.ingest.replaced import Replaced
from tca_model.types import FloatArray, Times
from tca_model.video.segments import CutSegment, SegmentCutter
from tca_model.video.stills import Stills

CHECKPOINT_S = 120.0  # of video, which is decoded in a few seconds
MAX_ATTEMPTS = 3  # to decode a file if the machine may be to blame


@dataclass(frozen=True, slots=True)
class DescribeOptions:
    """How every upload is described.

    `dimension`: of frame descriptors. `segment_s`: length of the segments of a whole file. `panels`: whether pictures
    in the picture are described on their own.
    """

    dimension: int
    segment_s: float
    panels: bool


def name_record(record: Record) -> str:
    """Identifies the record; the same if it is delivered again."""
    return f"{record.message.topic}/{record.partition}/{record.offset}"


@dataclass(frozen=True, slots=True, eq=False)
class Removal:
    """The removal of an asset, from its record until nothing older is stored."""

    record: Record
    event: AssetRemoved

    @property
    def name(self) -> str:
        return name_record(self.record)

    @property
    def key(self) -> str:
        return self.event.key

    @property
    def generation(self) -> int:
        return generation_of(self.record)


@dataclass(slots=True, eq=False)
class Job:
    """An upload, from its record to its last segment.

    `uploaded_s`: when the first segment of its asset was uploaded, in seconds since the epoch; as this one until its
    file is fetched. `replaced`: what is to be deleted when all of its content is announced.
    """

    record: Record
    upload: SegmentUploaded
    options: DescribeOptions
    cutter: SegmentCutter
    uploaded_s: float
    stills: Stills = field(default_factory=Stills)
    media: Media | None = None  # None until it is fetched
    started_s: float | None = None  # when its decoding began, time.monotonic(); None before
    attempt: int = 1  # to decode its file
    stored_before: int = 0  # segments, before this attempt to decode it
    resume_s: float = 0.0  # frames before this time are in stored segments
    progress: Progress | None = None  # where its decoder is to go on
    reached: list[Progress] = field(default_factory=list)  # where another could, once the frames before are stored
    replaced: tuple[Replaced, ...] = ()
    decoded_share: float | None = None  # of the time of its file; None before it was decoded

    @classmethod
    def of(cls, record: Record, upload: SegmentUploaded, options: DescribeOptions) -> "Job":
        """The job of an upload on which no work has begun."""
        if upload.segment_index is None or upload.start_s is None:
            cutter = SegmentCutter(dimension=options.dimension, segment_s=options.segment_s)
        else:
            cutter = SegmentCutter(
                dimension=options.dimension,
                segment_s=math.inf,
                first_index=upload.segment_index,
                start_s=upload.start_s,
            )
        return cls(record, upload, options, cutter, upload.uploaded_at.timestamp())

    def next_attempt(self) -> "Job":
        """The job of the same record from the start."""
        again = Job.of(self.record, self.upload, self.options)
        return replace(again, attempt=self.attempt + 1, stored_before=self.stored_count)

    @property
    def name(self) -> str:
        return name_record(self.record)

    @property
    def key(self) -> str:
        return self.upload.key

    @property
    def generation(self) -> int:
        return generation_of(self.record)

    @property
    def stored_count(self) -> int:
        """How many of its segments are stored and announced."""
        return max(self.stored_before, self.cutter.segment_count)

    @property
    def waits_for_decoder(self) -> bool:
        return self.media is not None and self.started_s is None

    @property
    def max_duration_s(self) -> float:
        return math.inf if self.upload.is_whole_file else MAX_UPLOADED_SEGMENT_S

    @property
    def checkpoint_s(self) -> float:
        """How much video may be decoded again if it is interrupted."""
        return CHECKPOINT_S if self.upload.is_whole_file else math.inf

    @property
    def resume(self) -> bytes | None:
        """The checkpoint at which its decoder is to go on."""
        return self.progress.checkpoint if self.progress else None

    @property
    def stamp(self) -> str:
        """The content stamp: what the segments are made from, apart from the model. File, cut or start, panels.

        A stored segment with an equal stamp is not described again.
        """
        assert self.media is not None, "not fetched yet"
        bounds = f"cut at {self.options.segment_s!r}" if self.upload.is_whole_file else f"from {self.upload.start_s!r}"
        return f"{self.media.stamp} {bounds} {'with' if self.options.panels else 'without'} panels"

    @property
    def content(self) -> str:
        """The content part of its segments' keys."""
        return make_content(self.stamp, self.upload.role)

    @property
    def progress_key(self) -> SegmentKey:
        """The key of its first segment, under which its progress is kept."""
        return SegmentKey(self.upload.tenant, f"{self.upload.asset_id}:0", self.content)

    def has_stored_until(self, time_s: float) -> bool:
        """Whether the segment of this time, and all before, are stored."""
        return time_s // self.options.segment_s < self.stored_count

    def row(self, cut: CutSegment, *, last: bool) -> SegmentRow:
        """The index row of a segment; `last` for the last one of this upload."""
        return SegmentRow(
            tenant=self.upload.tenant,
            asset_id=self.upload.asset_id,
            segment_index=cut.segment_index,
            role=self.upload.role,
            start_s=cut.start_s,
            end_s=cut.end_s,
            frame_count=len(cut.descriptor),
            stamp=self.stamp,
            uri=redact(self.upload.uri),
            uploaded_at=self.uploaded_s,
            segment_count=self.cutter.segment_count if last and self.upload.is_whole_file else 0,
            generation=self.generation,
            is_whole_file=self.upload.is_whole_file,
        )

    def skip_stored(self, rows: Sequence[SegmentRow]) -> None:
        """Go on behind these rows, the first segments of a whole file: do not describe their frames again."""
        self.stored_before = max(self.stored_before, len(rows))
        self.resume_s = rows[-1].end_s
        self.cutter = SegmentCutter(
            dimension=self.options.dimension, segment_s=self.options.segment_s, segment_count=len(rows)
        )

    def track(self, frames: FramesDecoded) -> "FramesToDescribe":
        """Take in the next frames. Returns those that must be described."""
        timestamps_s, images = frames.timestamps_s, frames.images
        if self.progress is not None:
            if timestamps_s[0] >= self.progress.time_s:  # otherwise the decoder had to begin at the start
                self.stills = Stills(self.progress.shown)
            self.progress = None
        # Those of stored segments too: a picture that was first shown in one of them is shown again later.
        first_shown_s = self.stills.track(timestamps_s, images)
        new = timestamps_s >= self.resume_s
        return FramesToDescribe(self, timestamps_s[new], images[new], first_shown_s[new])

    def finish(self, end: DecodeFinished) -> "FinishedSegment":
        """The last segment, when all of the file is decoded."""
        self.decoded_share = round(end.decoded_share, 4)
        return FinishedSegment(self, self.cutter.finish(end.duration_s), last=True)

    def has_same_segments_as(self, other: "Job") -> bool:
        """Whether both write the same segments: done at the same time, they would leave a mixture of the two."""
        if self.key != other.key:
            return False
        is_whole_file = self.upload.is_whole_file or other.upload.is_whole_file
        return is_whole_file or self.upload.segment_index == other.upload.segment_index

    def close(self) -> None:
        """Close the file and release its bytes; call it when no decoder has it open."""
        if self.media is not None:
            self.media.close()


@dataclass(frozen=True, slots=True, eq=False)
class FramesToDescribe:
    """The next frames (N, H, W, 3) of a job, their times (N,), and when the picture of each was first shown (N,)."""

    job: Job
    timestamps_s: Times
    images: NDArray[np.uint8]
    first_shown_s: Times

    def cut(self, frames: FloatArray) -> "list[FinishedSegment]":
        """The segments that these frames, which are described by `frames` (N, D), complete."""
        cuts = self.job.cutter.add(self.timestamps_s, frames, self.first_shown_s)
        return [FinishedSegment(self.job, cut, last=False) for cut in cuts]


@dataclass(frozen=True, slots=True, eq=False)
class FinishedSegment:
    """A complete segment of a job that is to be stored; `last` for the last one of its record."""

    job: Job
    cut: CutSegment
    last: bool

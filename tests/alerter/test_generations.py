"""However an asset was uploaded before, its last content alone decides; what came late of older content does nothing.

The asset in the middle copies an original, and is copied itself.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from services.contracts.events import AssetEnded, Event, Role
from services.contracts.segments import DescribedSegment
from tca_model.types import FloatArray
from tests.alerter.outcomes import assert_same_outcome
from tests.alerter.stages import Stages, end_event, frames, original, segment_events, upload
from tests.descriptors import SEGMENT_S, UPLOADED_AT, cut, described, work

Upload = tuple[Sequence[DescribedSegment], Sequence[Event]]


def middle() -> FloatArray:
    return frames(work(2, 0, 22), work(1, 20, 50), work(2, 22, 60))


def whole(shown: FloatArray, generation: int, role: Role = Role.UPLOAD) -> Upload:
    """A whole file of the asset in the middle."""
    stamp = f"{shown[0, 0]} {len(shown)}"
    segments = cut("middle", shown, generation=generation, role=role, stamp=stamp, uploaded_at=UPLOADED_AT + 60)
    return segments, upload(segments)


def files(shown: FloatArray, generation: int, *indices: int, stamp: str = "file") -> Upload:
    """Segment files of it, each an upload of its own, and its end if it has the last index."""
    count = -(-len(shown) // SEGMENT_S)
    segments = [
        described(
            "middle",
            index,
            shown[index * SEGMENT_S : (index + 1) * SEGMENT_S],
            uploaded_at=UPLOADED_AT + 60,
            generation=generation + number,
            stamp=f"{stamp} {index}",
            is_whole_file=False,
        )
        for number, index in enumerate(indices or range(count))
    ]
    ends = [] if indices else [end_event(segments)]
    return segments, [*segment_events(segments), *ends]


def turn_around(upload: Upload) -> Upload:
    """The upload, with its events in the order in which they may come from several decoders."""
    segments, events = upload
    return segments, events[::-1]


def later() -> list[DescribedSegment]:
    """Copies the beginning of the asset in the middle, and what may replace it."""
    return cut("later", frames(work(2, 0, 20), work(5, 0, 30), work(8, 10, 40)), uploaded_at=UPLOADED_AT + 120)


UNLIKE = work(8, 0, 150)
MENDED = frames(middle()[:32], UNLIKE[32:64], middle()[64:])
HISTORIES: dict[str, tuple[Sequence[Upload], Sequence[Upload]]] = {
    # name: all uploads, and those that are left of them
    "shorter": ([whole(middle(), 1), whole(UNLIKE[:20], 2)], [whole(UNLIKE[:20], 2)]),
    "something else": ([whole(middle(), 1), whole(work(6, 0, 90), 2)], [whole(work(6, 0, 90), 2)]),
    "longer": ([whole(middle(), 1), whole(UNLIKE, 2)], [whole(UNLIKE, 2)]),
    "back again": ([whole(middle(), 1), whole(UNLIKE, 2), whole(middle(), 3)], [whole(middle(), 3)]),
    "the same again": ([whole(middle(), 1), whole(middle(), 2)], [whole(middle(), 2)]),
    "another role": (
        [whole(middle(), 1), whole(middle(), 2, Role.REFERENCE)],
        [whole(middle(), 2, Role.REFERENCE)],
    ),
    "segment files": ([whole(UNLIKE, 1), files(middle(), 2)], [files(middle(), 2)]),
    "segment files, the latest first": ([whole(UNLIKE, 1), turn_around(files(middle(), 2))], [files(middle(), 2)]),
    "fewer segment files": ([files(UNLIKE, 1, stamp="unlike"), files(middle(), 9)], [files(middle(), 9)]),
    "a whole file": ([files(middle(), 1), whole(UNLIKE[:40], 9)], [whole(UNLIKE[:40], 9)]),
    "a mended file": ([files(middle(), 1), files(MENDED, 7, 1, stamp="mended")], [files(MENDED, 1)]),
    "the same files again": ([files(middle(), 1), files(middle(), 9)], [files(middle(), 9)]),
}


def run_uploads(uploads: Sequence[Upload], *, seed: int | None = None) -> Stages:
    """The outcome of these uploads of the asset in the middle, between those of the others.

    With a seed: in batches of any size, and with what a stopped matcher has to say about older uploads in between.
    """
    random = Random(seed)
    stages = Stages(partitions=2)
    late: list[Any] = []
    for other in (original(), later()):
        stages.store(other)
        stages.process(*upload(other))
    for segments, events in uploads:
        stages.store(segments)
        if seed is not None:
            late += stages.search(*upload(original()), *events, *upload(later()))
        left = list(events)
        while left:
            count = len(left) if seed is None else random.randint(1, len(left))
            stages.process(*left[:count])
            del left[:count]
            replace_rows(stages, segments)
            for end in (event for event in events if isinstance(event, AssetEnded)):
                stages.index.delete("default", "middle", before=end.generation, from_index=end.segment_count)
            if seed is not None and segments is not uploads[0][0]:
                stages.deliver(random.sample(late, min(3, len(late))))
    stages.deliver(late)
    return stages


def replace_rows(stages: Stages, segments: Sequence[DescribedSegment]) -> None:
    """Delete what these segments replace, as ingest does once they are announced."""
    for one in segments:
        row = one.row
        if row.is_whole_file:
            stages.index.delete("default", row.asset_id, before=row.generation)
            return
        for old in stages.index.read_rows("default", [row.asset_id]):
            if old.is_whole_file or old.segment_index == row.segment_index:
                index = old.segment_index
                stages.index.delete(
                    "default", row.asset_id, before=row.generation, from_index=index, to_index=index + 1
                )


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("name", HISTORIES)
def test_the_outcome_is_that_of_the_last_content_alone(name: str, seed: int | None) -> None:
    uploads, last = HISTORIES[name]
    assert_same_outcome(run_uploads(uploads, seed=seed), run_uploads(last))

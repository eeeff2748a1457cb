"""Checks of the log: every record led to something, was committed, and left no transaction open."""

from collections.abc import Iterator, Sequence

from services.contracts.topics import VIDEO_SEGMENTS
from tests.chaos.observed import Announced, AnnouncedKind, Observed
from tests.chaos.problems import Problem, lost, wrong
from tests.chaos.steps import End, Removal, Step, Upload


def check_log(steps: Sequence[Step], observed: Observed) -> Iterator[Problem]:
    yield from _check_inputs(steps, observed)
    for unread in observed.unread:
        yield lost(
            f"group {unread.group} has not committed {unread.records} records of {unread.topic}, partition "
            f"{unread.partition}"
        )
    for hanging in observed.open_transactions:
        yield wrong(
            f"a transaction in {hanging.topic}, partition {hanging.partition}, never ended: readers stop at offset "
            f"{hanging.committed_end} of {hanging.end}"
        )


def _check_inputs(steps: Sequence[Step], observed: Observed) -> Iterator[Problem]:
    """Every record is announced under its own generation, and those that cannot be decoded are dead letters."""
    dead = {letter.place for letter in observed.dead_letters if letter.topic == VIDEO_SEGMENTS}
    for one in observed.inputs:
        step = steps[one.step]
        name = f"{_describe(step)} at partition {one.place.partition}, offset {one.place.offset}"
        if Announced(expected_kind(step), step.asset, one.generation) not in observed.announced:
            yield lost(f"{name}: nothing was announced about it")
        is_broken = isinstance(step, Upload) and step.film.broken_after_s is not None
        if is_broken and one.place not in dead:
            yield lost(f"{name}: it cannot be decoded, but there is no dead letter")
        if not is_broken and one.place in dead:
            yield wrong(f"{name}: it is a dead letter")
    published = {one.step for one in observed.inputs}
    for number, step in enumerate(steps):
        if number not in published:
            yield wrong(f"{_describe(step)} was never published: the run itself is wrong")
    for letter in observed.dead_letters:
        if letter.topic != VIDEO_SEGMENTS:
            yield wrong(f"a dead letter of {letter.topic}: {letter.reason}")


def expected_kind(step: Step) -> AnnouncedKind:
    """The last event that ingest announces about a step."""
    match step:
        case Removal():
            return "AssetErased"
        case Upload() if step.segment_index is not None and not step.is_last:
            return "SegmentEncoded"
        case _:
            return "AssetEnded"


def _describe(step: Step) -> str:
    match step:
        case Removal():
            return f"the removal of {step.asset.key}"
        case End():
            return f"the end of {step.asset.key}"
        case Upload(segment_index=None):
            return f"the upload of {step.asset.key}"
        case _:
            return f"the upload of segment {step.segment_index} of {step.asset.key}"

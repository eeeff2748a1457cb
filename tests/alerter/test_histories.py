"""No history of replays, crashes, failed commits and late matchers changes what is left in the end.

Three assets, each of which copies the one before, are uploaded, replaced, removed and uploaded again.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts import topics
from services.contracts.envelope import to_event
from services.contracts.events import AssetErased, AssetEvent, SegmentEncoded
from services.contracts.ports import Message
from services.contracts.segments import DescribedSegment
from services.runtime.group_lag import name_matcher_group
from tca_model.types import FloatArray
from tests.alerter.by_hand import erased
from tests.alerter.outcomes import assert_same_outcome
from tests.alerter.stages import MODEL, Stages, frames, upload
from tests.descriptors import UPLOADED_AT, cut, work

Step = tuple[str, Any]
Announced = tuple[DescribedSegment | None, AssetEvent]

UPLOADED_S = {"original": 0, "middle": 60, "later": 120}
FIRST = {
    "original": work(1, 0, 40),
    "middle": frames(work(2, 0, 22), work(1, 10, 38)),
    "later": frames(work(3, 0, 8), work(2, 0, 20)),
}
OTHERS = {
    "original": frames(work(4, 0, 20), work(1, 8, 28)),
    "middle": frames(work(5, 0, 10), work(2, 4, 18)),
    "later": frames(work(1, 0, 20), work(6, 0, 30)),
}
SCRIPTS = st.lists(
    st.tuples(st.sampled_from(sorted(FIRST)), st.sampled_from(["again", "other", "first", "removed"])),
    min_size=1,
    max_size=4,
)


def content(asset_id: str, shown: FloatArray, generation: int, stamp: str) -> list[DescribedSegment]:
    return cut(asset_id, shown, generation=generation, stamp=stamp, uploaded_at=UPLOADED_AT + UPLOADED_S[asset_id])


def write_uploads(script: Sequence[tuple[str, str]]) -> list[list[Announced]]:
    """What ingest announces: of each asset a first upload, then what the script says. "again" is what there is."""
    uploads: list[list[Announced]] = []
    current = dict.fromkeys(FIRST, "first")
    whole = [*((asset_id, "first") for asset_id in FIRST), *script]
    for generation, (asset_id, what) in enumerate(whole, 1):
        if what == "removed":
            uploads.append([(None, erased(generation, asset_id=asset_id))])
            continue
        stamp = current[asset_id] = current[asset_id] if what == "again" else what
        segments = content(asset_id, (FIRST if stamp == "first" else OTHERS)[asset_id], generation, stamp)
        *events, end = upload(segments)
        uploads.append([*zip(segments, events, strict=True), (None, end)])
    return uploads


def announce(stages: Stages, uploads: Sequence[Sequence[Announced]]) -> Iterator[None]:
    """Store and announce as ingest does, one event at a time, and then delete what was replaced."""
    for announced in uploads:
        event = announced[-1][1]
        assert not isinstance(event, SegmentEncoded)
        for segment, one in announced:
            if segment:
                stages.store([segment])
            if isinstance(one, AssetErased):
                stages.index.erase("default", one.asset_id, before=one.generation)
            stages.publish(one)
            yield
        stages.index.delete("default", event.asset_id, before=event.generation)  # type: ignore[attr-defined]


steps: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.tuples(st.just("announce"), st.integers(1, 5)),
        st.tuples(st.just("again"), st.tuples(st.integers(0, 12), st.integers(1, 6))),
        st.tuples(st.just("search late"), st.tuples(st.integers(0, 6), st.integers(4, 30))),
        st.tuples(st.just("deliver late"), st.integers(1, 30)),
        st.tuples(st.sampled_from(["match", "decide", "restart", "rebalance", "read all again"]), st.none()),
        st.tuples(st.just("fail"), st.sampled_from(["before", "after"])),
    ),
    min_size=6,
    max_size=20,
)


class History:
    """Stages to which all kinds of things happen while ingest goes on."""

    def __init__(self, uploads: Sequence[Sequence[Announced]], partitions: int) -> None:
        self.stages = Stages(partitions=partitions)
        self._ingest = announce(self.stages, uploads)
        self._late: list[Message] = []

    def take(self, step: str, value: Any) -> None:
        stages = self.stages
        published = [record.message for record in stages.bus.records(topics.ENCODED_SEGMENTS)]
        match step:
            case "announce":
                for _ in range(value):
                    next(self._ingest, None)
            case "again":
                stages.bus.publish(published[value[0] : sum(value)])
            case "search late":
                events = [to_event(message) for message in published[value[0] : sum(value)]]
                self._late += stages.search(*events)
            case "deliver late":
                stages.bus.publish(self._late[:value])
                del self._late[:value]
            case "match":
                stages.matcher.run_once(0)
            case "decide":
                stages.alerter.run_once(0)
            case "restart":
                stages.restart()
            case "rebalance":
                stages.consumer.rebalance()
            case "read all again":
                for partition in stages.bus.partitions:
                    stages.bus.committed[topics.ENCODED_SEGMENTS, name_matcher_group(MODEL), partition] = 0
                stages.restart()
            case "fail":
                stages.bus.fail_next(value)

    def finish(self) -> Stages:
        for _ in self._ingest:
            pass
        self.stages.run()
        self.stages.deliver(self._late)
        return self.stages


def run_undisturbed(uploads: Sequence[Sequence[Announced]]) -> Stages:
    stages = Stages()
    for _ in announce(stages, uploads):
        stages.run()
    return stages


@pytest.mark.timeout(300)  # to find a short example if it fails
@settings(deadline=None, max_examples=60)
@given(script=SCRIPTS, history=steps, partitions=st.integers(1, 3))
def test_the_outcome_is_that_of_an_undisturbed_run(
    script: list[tuple[str, str]], history: list[Step], partitions: int
) -> None:
    uploads = write_uploads(script)
    disturbed = History(uploads, partitions)
    for step, value in history:
        disturbed.take(step, value)
    assert_same_outcome(disturbed.finish(), run_undisturbed(uploads))

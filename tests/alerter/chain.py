"""Three assets in a chain: "later" copies "middle", which copies "original"; and messages that are held back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from services.contracts.events import AssetErased, Event
from services.contracts.ports import Message
from services.contracts.segments import DescribedSegment
from tests.alerter.by_hand import erased
from tests.alerter.stages import Stages, copy, frames, original, upload
from tests.descriptors import UPLOADED_AT, cut, work


def middle(**fields: int) -> list[DescribedSegment]:
    return copy("middle", **fields)  # type: ignore[arg-type]


def later() -> list[DescribedSegment]:
    """Copies what is not from the original."""
    return cut("later", frames(work(5, 0, 10), work(2, 0, 20)), uploaded_at=UPLOADED_AT + 120)


def unlike(generation: int = 2) -> list[DescribedSegment]:
    """Replaces the asset in the middle."""
    return cut("middle", work(8, 0, 40), stamp="unlike", uploaded_at=UPLOADED_AT + 60, generation=generation)


def chain(partitions: int = 1) -> Stages:
    """The three assets, decided on."""
    stages = Stages(partitions=partitions)
    for segments in (original(), middle(), later()):
        stages.store(segments)
        stages.process(*upload(segments))
    return stages


def removal(generation: int = 5) -> AssetErased:
    return erased(generation, asset_id="middle", reason="by court order")


def remove_middle(stages: Stages, generation: int = 5) -> None:
    """Remove the asset in the middle as ingest does."""
    stages.index.erase("default", "middle", before=generation)
    stages.process(removal(generation))


def replace_middle(stages: Stages, segments: Sequence[DescribedSegment]) -> None:
    """Replace it as ingest does."""
    stages.store(segments)
    stages.index.delete("default", "middle", before=segments[0].row.generation)
    stages.process(*upload(segments))


@contextmanager
def hold_back(stages: Stages, kind: type[Event]) -> Iterator[list[Message]]:
    """The messages of this kind that the stages publish meanwhile; they are published only after that."""
    publish, held = stages.bus.publish, list[Message]()

    def publish_others(messages: Sequence[Message]) -> None:
        of_kind = [message for message in messages if message.headers["ce_type"] == f"copydetect.{kind.__name__}.v1"]
        held.extend(of_kind)
        publish([message for message in messages if message not in of_kind])

    stages.bus.publish = publish_others  # type: ignore[method-assign]
    try:
        yield held
    finally:
        stages.bus.publish = publish  # type: ignore[method-assign]
    stages.deliver(held)

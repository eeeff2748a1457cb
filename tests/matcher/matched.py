"""Assets for the matcher, and what it has to say about them."""

from services.contracts import topics
from services.contracts.envelope import to_event
from services.contracts.events import AssetEvent
from tests.alerter.stages import Stages, upload
from tests.descriptors import cut, work


class Clock:
    """A clock that stands still until it is set, in seconds."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def three_assets(stages: Stages) -> list[AssetEvent]:
    """Events of three assets that the index holds, one asset after the other."""
    assets = [cut(f"a{number}", work(number, 0, 40)) for number in range(3)]
    stages.store(*assets)
    return [event for segments in assets for event in upload(segments)]


def read_evidence(stages: Stages) -> list[tuple[str, str]]:
    """Type and asset of all that the matcher published."""
    events = [to_event(record.message) for record in stages.bus.records(topics.MATCH_EVIDENCE)]
    return [(type(event).__name__, event.asset_id) for event in events if isinstance(event, AssetEvent)]

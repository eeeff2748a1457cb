"""What a run plays: the seeded one, and for each control a short one that shows reliably what its guarantee is for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.chaos.faults import Fault, FaultKind, make_faults
from tests.chaos.films import Film, Piece
from tests.chaos.plan import make_plan
from tests.chaos.steps import SEGMENT_S, Asset, Step, Upload

UPLOADS_PER_MINUTE: Final = 100
# Services are members of their groups by then.
_READY_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What uploaders do and what goes wrong meanwhile. `control`: a guarantee that is taken away (controls.py)."""

    steps: Sequence[Step]
    faults: Sequence[Fault] = ()
    control: str = ""
    partitions: int = 6
    milvus_tick_ms: int = 50


def make_scenario(seed: int, minutes: float) -> Scenario:
    """Uploads and faults of every kind for so many minutes."""
    return Scenario(make_plan(seed, round(UPLOADS_PER_MINUTE * minutes), 60 * minutes), make_faults(seed, 60 * minutes))


def make_control_scenario(control: str) -> Scenario:
    """The scenario that turns red without the guarantee of that name, and is green with it."""
    return _SCENARIOS[control]()


def show_lost_uploads(control: str, fail_point: str) -> Scenario:
    """Both ingest processes are killed while they work on long files, and are done with short ones that came later."""
    steps: list[Step] = []
    for number in range(60):
        # The short ones are finished before the long ones that came before them.
        seconds = SEGMENT_S * (20 if number % 3 == 0 else 1)
        steps.append(_upload(_READY_S + 0.1 * number, f"a{number}", Piece(number + 1, 0, seconds)))
    kills = [Fault(FaultKind.FAIL_POINT, f"ingest-{number}", 0.0, 0.0, fail_point) for number in (1, 2)]
    return Scenario(steps, kills, control, partitions=2)


def show_unstored_segments() -> Scenario:
    """A few uploads, one after the other: a search for an announced segment needs it in the index."""
    steps = [_upload(_READY_S + number, f"a{number}", Piece(1, 0, 3 * SEGMENT_S)) for number in range(5)]
    return Scenario(steps, control="announce-before-store")


def show_missed_twins() -> Scenario:
    """Pairs of copies that arrive together, in an index that shows writes late to searches that do not wait.

    One partition, so that both are stored together and searched for together.
    """
    steps = [
        _upload(_READY_S + number, f"{name}{number}", Piece(number + 1, 0, SEGMENT_S), noise=noise)
        for number in range(24)
        for noise, name in enumerate(("a", "b"))
    ]
    return Scenario(steps, control="bounded-search", partitions=1, milvus_tick_ms=500)


def show_zombie() -> Scenario:
    """An alerter stands still between a decision and its commit, until another one has decided the same."""
    steps = list(_copies(_READY_S, 40, every_s=0.2))
    hang = Fault(FaultKind.FAIL_POINT, "alerter-1", 0.0, 0.0, "decide:after:3:hang")
    return Scenario(steps, [hang], "membership-at-commit", partitions=2)


def show_dropped_records() -> Scenario:
    """Each broker in turn answers nothing for longer than a client keeps a record, while alerts are published."""
    steps = list(_copies(_READY_S, 240, every_s=0.35))
    silences = [
        Fault(FaultKind.HALF_OPEN, f"kafka-{number % 3 + 1}", _READY_S + 2 + 14 * number, 11.0) for number in range(6)
    ]
    return Scenario(steps, silences, "unguarded-transactions")


_SCENARIOS: Final[Mapping[str, Callable[[], Scenario]]] = {
    "auto-commit": lambda: show_lost_uploads("auto-commit", "store:after:10:kill"),
    "announce-before-store": show_unstored_segments,
    "commit-ahead": lambda: show_lost_uploads("commit-ahead", "commit:after:4:kill"),
    "bounded-search": show_missed_twins,
    "membership-at-commit": show_zombie,
    "unguarded-transactions": show_dropped_records,
}


def _copies(begin_s: float, count: int, *, every_s: float) -> Iterator[Upload]:
    """Copies of a few works, most of which therefore lead to alerts."""
    for number in range(count):
        work = Piece(number // 4 + 1, 0, 2 * SEGMENT_S)
        yield _upload(begin_s + every_s * number, f"a{number}", work, noise=number)


def _upload(at_s: float, name: str, piece: Piece, *, noise: int = 0) -> Upload:
    return Upload(at_s, Asset("north", name), Film((piece,), noise), uploaded_s=at_s)

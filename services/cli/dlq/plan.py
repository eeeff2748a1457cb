"""Decides which dead letters are replayed, without publishing anything."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from services.cli.dlq.later import Original, read_original
from services.cli.dlq.letters import Filters
from services.cli.dlq.lines import to_line
from services.contracts.dead_letters import DeadLetter, Place, find_obstacle

MAX_REPLAYS: Final = 3

FindLater: TypeAlias = Callable[[Iterable[Original | None]], Mapping[Place, str]]


class Chosen(NamedTuple):
    """A letter to replay; not its content, which may be large. `line` shows it to people.

    `original`: if the order of the records of its asset matters.
    """

    topic: str
    place: Place
    target: str
    line: str
    original: Original | None = None


class Refused(NamedTuple):
    """A letter that cannot be replayed, and why, in words that begin with a verb."""

    name: str
    why: str


@dataclass(slots=True)
class Plan:
    """`chosen` are to be replayed, `refused` cannot be.

    `outdated`: how many were replayed before and failed again, so that a newer letter stands for them. `beyond_limit`:
    how many more would be replayed without the limit.
    """

    chosen: list[Chosen] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    outdated: int = 0
    beyond_limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a user wants to be replayed: the letters at `places`, or if there are none, those that the filters match.

    Refused without `force`: a letter that was replayed `max_replays` times, a named one whose replay has failed, and
    one that would undo what came later.
    """

    places: Collection[Place] = ()
    filters: Filters = field(default_factory=Filters)
    max_replays: int = MAX_REPLAYS
    force: bool = False
    limit: int | None = None

    def wants(self, letter: DeadLetter) -> bool:
        return letter.place in self.places if self.places else self.filters.match(letter)


def make_plan(letters: Iterable[DeadLetter], topics: Collection[str], wish: Wish, find_later: FindLater) -> Plan:
    """What is to be done with these letters, which must be all that there are in these topics.

    `find_later`: tells which originals a later record outdates, and its type.
    """
    plan = Plan()
    wanted: list[tuple[Chosen, str | None]] = []
    newer: dict[tuple[str, str], Place] = {}  # the latest letter of a replay of the letter at this topic and place
    for letter in letters:
        if letter.replay_of:
            newer[letter.topic, letter.replay_of] = letter.place
        if wish.wants(letter):
            chosen = Chosen(letter.topic, letter.place, letter.origin, to_line(letter), read_original(letter))
            wanted.append((chosen, _refuse(letter, wish)))
    for chosen, refusal in wanted:
        successor = newer.get((chosen.topic, str(chosen.place)))
        if successor and not wish.places:
            plan.outdated += 1
        elif successor and not wish.force:
            plan.refused.append(Refused(_name(chosen), f"was replayed and failed again as {successor}"))
        elif refusal:
            plan.refused.append(Refused(_name(chosen), refusal))
        else:
            plan.chosen.append(chosen)
    missing = set(wish.places) - {chosen.place for chosen, _ in wanted}
    plan.refused += [Refused(f"{' or '.join(topics)} {place}", "is not there") for place in sorted(missing)]
    if not wish.force:
        _refuse_outdated(plan, find_later)
    if wish.limit is not None:
        plan.beyond_limit = max(0, len(plan.chosen) - wish.limit)
        plan.chosen = plan.chosen[: wish.limit]
    return plan


def _refuse_outdated(plan: Plan, find_later: FindLater) -> None:
    later = find_later([chosen.original for chosen in plan.chosen])
    kept = []
    for chosen in plan.chosen:
        if chosen.original and chosen.original.place in later:
            why = f"is outdated by a later {later[chosen.original.place]}, which it would undo: --force replays it"
            plan.refused.append(Refused(f"{_name(chosen)} of {chosen.original.asset}", why))
        else:
            kept.append(chosen)
    plan.chosen = kept


def _refuse(letter: DeadLetter, wish: Wish) -> str | None:
    if obstacle := find_obstacle(letter):
        return obstacle
    if letter.replays >= wish.max_replays and not wish.force:
        return (
            f"was replayed {letter.replays} times and failed each time: --force replays it, --max-replays allows more"
        )
    return None


def _name(chosen: Chosen) -> str:
    return f"{chosen.topic} {chosen.place}"

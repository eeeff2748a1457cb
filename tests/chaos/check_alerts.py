"""Checks of duplicate-alerts: every revision once, and one live alert for each true pair and no other."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from services.contracts.events import CopiedInterval, DuplicateAlert, Event, Side
from tests.chaos.observed import Observed
from tests.chaos.problems import Problem, doubled, lost, wrong
from tests.chaos.steps import Asset
from tests.chaos.truth import Shared, TruePair, Truth

TOLERANCE_S: Final = 2.0  # of the bounds of an interval
_ROUNDING: Final = timedelta(milliseconds=1)
_WHEN: Final = {"revision", "detected_at", "decided_at", "removed_at", "latency_s"}

EventT = TypeVar("EventT", bound=Event)


def check_alerts(truth: Truth, observed: Observed, claimed: Mapping[Asset, datetime]) -> Iterator[Problem]:
    """`claimed`: when each asset was uploaded, as its uploader says."""
    yield from _check_revisions(observed.alerts)
    live: dict[frozenset[Asset], list[DuplicateAlert]] = {}
    for alert in find_live(observed.alerts):
        live.setdefault(frozenset(sides_of(alert)), []).append(alert)
    for pair in truth.pairs:
        found = live.pop(frozenset((pair.query, pair.reference)), [])
        name = f"{pair.query.key} copies {pair.reference.key}"
        if not found:
            yield lost(f"{name}: no live alert says so")
        if len(found) > 1:
            yield doubled(f"{name}: {len(found)} live alerts say so: {', '.join(one.alert_id for one in found)}")
        for alert in found:
            yield from _check_alert(name, pair, alert, claimed)
    for others in live.values():
        for alert in others:
            query, reference = sides_of(alert)
            yield wrong(
                f"{query.key} and {reference.key} share nothing: alert {alert.alert_id} is live "
                f"(revision {alert.revision}, score {alert.score:.2f})"
            )


def find_live(alerts: Iterable[DuplicateAlert]) -> list[DuplicateAlert]:
    """The highest revision of each alert that still holds."""
    newest: dict[str, DuplicateAlert] = {}
    for alert in alerts:
        known = newest.get(alert.alert_id)
        if known is None or alert.revision > known.revision:
            newest[alert.alert_id] = alert
    return [alert for alert in newest.values() if alert.is_live]


def sides_of(alert: DuplicateAlert) -> tuple[Asset, Asset]:
    """Query and reference."""
    return Asset(alert.tenant, alert.query.asset_id), Asset(alert.tenant, alert.reference.asset_id)


def find_wrong_order(name: str, revisions: Sequence[int]) -> Iterator[Problem]:
    """What is wrong with revisions, in the order in which they were published: each once, and they rise."""
    highest = 0
    for revision in revisions:
        if revision > highest:
            highest = revision
        elif revisions.count(revision) > 1:
            yield doubled(f"{name}: revision {revision} was published {revisions.count(revision)} times")
        else:
            yield wrong(f"{name}: revision {revision} was published after {highest}")


def _check_revisions(alerts: Sequence[DuplicateAlert]) -> Iterator[Problem]:
    revisions: dict[str, list[int]] = {}
    names: dict[str, str] = {}
    for alert in alerts:
        revisions.setdefault(alert.alert_id, []).append(alert.revision)
        query, reference = sides_of(alert)
        names[alert.alert_id] = f"alert {alert.alert_id} ({query.key} and {reference.key})"
    for alert_id, published in revisions.items():
        yield from find_wrong_order(names[alert_id], published)
    for alert in find_repeated(alerts, lambda one: one.alert_id):
        yield doubled(f"{names[alert.alert_id]}: revision {alert.revision} says what the one before it said")


def find_repeated(events: Iterable[EventT], key: Callable[[EventT], str]) -> Iterator[EventT]:
    """The events that say the same as the event before them with the same key, apart from when they say it."""
    said: dict[str, dict[str, object]] = {}
    for event in events:
        says = event.model_dump(exclude=_WHEN)
        if said.get(key(event)) == says:
            yield event
        said[key(event)] = says


def _check_alert(
    name: str, pair: TruePair, alert: DuplicateAlert, claimed: Mapping[Asset, datetime]
) -> Iterator[Problem]:
    if sides_of(alert) != (pair.query, pair.reference):
        yield wrong(f"{name}: alert {alert.alert_id} has the sides the other way round")
        return
    sides: list[tuple[Side, Asset]] = [(alert.query, pair.query), (alert.reference, pair.reference)]
    for side, asset in sides:
        if abs(side.uploaded_at - claimed[asset]) > _ROUNDING:
            yield wrong(f"{name}: {asset.key} was uploaded at {claimed[asset]}, the alert says {side.uploaded_at}")
    unmatched = list(alert.intervals)
    for shared in pair.shared:
        fitting = next((one for one in unmatched if is_close(one, shared)), None)
        if fitting is None:
            yield wrong(f"{name}: {_describe(shared)} are shared, the alert says {_list(alert.intervals)}")
        else:
            unmatched.remove(fitting)
    if unmatched and len(alert.intervals) > len(pair.shared):
        yield wrong(f"{name}: nothing else is shared, but the alert also says {_list(unmatched)}")


def is_close(interval: CopiedInterval, shared: Shared) -> bool:
    """Whether the interval is the stretch, within the tolerance."""
    pairs = (
        (interval.query_start_s, shared.query_start_s),
        (interval.query_end_s, shared.query_start_s + shared.length_s),
        (interval.reference_start_s, shared.reference_start_s),
        (interval.reference_end_s, shared.reference_start_s + shared.length_s),
    )
    return all(abs(found - true) <= TOLERANCE_S for found, true in pairs)


def _describe(shared: Shared) -> str:
    query_end, reference_end = shared.query_start_s + shared.length_s, shared.reference_start_s + shared.length_s
    return f"seconds {shared.query_start_s}-{query_end} and {shared.reference_start_s}-{reference_end}"


def _list(intervals: Sequence[CopiedInterval]) -> str:
    return ", ".join(
        f"{one.query_start_s:g}-{one.query_end_s:g} and {one.reference_start_s:g}-{one.reference_end_s:g}"
        for one in intervals
    )

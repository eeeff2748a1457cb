"""Checks of asset-verdicts: every revision once, and the last word on each asset is the truth about its last upload."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from services.contracts.events import AssetRemovedAck, AssetVerdict
from tests.chaos.check_alerts import find_live, find_repeated, find_wrong_order, sides_of
from tests.chaos.observed import Observed, asset_of
from tests.chaos.problems import Problem, doubled, lost, wrong
from tests.chaos.steps import Asset
from tests.chaos.truth import FinalAsset, Truth


def check_verdicts(
    truth: Truth, observed: Observed, published: Mapping[Asset, datetime], uploads: Mapping[Asset, int]
) -> Iterator[Problem]:
    """`published`: when the last record of each asset was. `uploads`: how many records each has."""
    of_asset: dict[Asset, list[AssetVerdict | AssetRemovedAck]] = {}
    for event in observed.verdicts:
        of_asset.setdefault(asset_of(event), []).append(event)
    as_query: dict[Asset, set[str]] = {}
    as_reference: dict[Asset, set[str]] = {}
    for alert in find_live(observed.alerts):
        query, reference = sides_of(alert)
        as_query.setdefault(query, set()).add(alert.alert_id)
        as_reference.setdefault(reference, set()).add(alert.alert_id)
    for asset, final in truth.assets.items():
        events = of_asset.pop(asset, [])
        yield from _check_revisions(asset, events, uploads.get(asset, 0))
        if not events:
            yield lost(f"{asset.key}: nothing was ever published about it, expected {final.outcome}")
            continue
        last = events[-1]
        if isinstance(last, AssetRemovedAck):
            yield from _check_ack(final, last, published.get(asset))
        else:
            yield from _check_verdict(final, last, published.get(asset))
            if final.outcome != "removed":
                yield from _check_alert_ids(asset, last, as_query.get(asset, set()), as_reference.get(asset, set()))
    for asset in of_asset:
        yield wrong(f"{asset.key}: a verdict on an asset that was never uploaded")


def _check_revisions(asset: Asset, events: Sequence[AssetVerdict | AssetRemovedAck], uploads: int) -> Iterator[Problem]:
    revisions = [event.revision for event in events if isinstance(event, AssetVerdict)]
    yield from find_wrong_order(f"verdict on {asset.key}", revisions)
    # Every record is answered, if need be by what was said before.
    repeated = list(find_repeated(events, lambda _: asset.key))
    if len(repeated) >= max(1, uploads):
        yield doubled(f"verdict on {asset.key}: said {len(repeated)} times more than once, after {uploads} records")
    acks = sum(isinstance(event, AssetRemovedAck) for event in events)
    if acks > 1:  # the plan removes an asset at most once
        yield doubled(f"{asset.key}: its removal was acknowledged {acks} times")


def _check_ack(final: FinalAsset, ack: AssetRemovedAck, published: datetime | None) -> Iterator[Problem]:
    name = final.asset.key
    if final.outcome != "removed":
        yield lost(f"{name}: expected {final.outcome}, but the last word on it is that it was removed")
    elif published is not None and ack.removed_at < published:
        yield wrong(f"{name}: its removal was acknowledged at {ack.removed_at}, but published at {published}")


def _check_verdict(final: FinalAsset, verdict: AssetVerdict, published: datetime | None) -> Iterator[Problem]:
    name = final.asset.key
    if final.outcome == "removed":
        yield lost(f"{name}: it was removed, but the last word on it is the verdict {_describe(verdict)}")
        return
    if verdict.verdict != final.outcome:
        yield wrong(f"{name}: expected {final.outcome}, the verdict is {_describe(verdict)}")
    if published is not None and verdict.decided_at < published:
        yield lost(
            f"{name}: no verdict on its last upload, of {published}: {_describe(verdict)} is of {verdict.decided_at}"
        )
    if final.is_stale:
        return  # of which upload the segments are counted is not promised
    counts = {
        "described": (verdict.segments_described, len(final.segments)),
        "compared": (verdict.segments_compared, len(final.segments)),
        "undecidable": (verdict.segments_undecidable, 0),
        "failed": (verdict.segments_failed, 0),
    }
    for what, (found, expected) in counts.items():
        if found != expected:
            yield wrong(f"{name}: {expected} segments {what} expected, {_describe(verdict)} says {found}")


def _check_alert_ids(
    asset: Asset, verdict: AssetVerdict, as_query: set[str], as_reference: set[str]
) -> Iterator[Problem]:
    """The verdict and the live alerts must tell the same, true or not."""
    if set(verdict.alert_ids) != as_query:
        yield wrong(
            f"{asset.key}: {_describe(verdict)} names the alerts {sorted(verdict.alert_ids)}, live are "
            f"{sorted(as_query)}"
        )
    if verdict.copied_by != len(as_reference):
        yield wrong(
            f"{asset.key}: {_describe(verdict)} says that it is copied by {verdict.copied_by}, live alerts by "
            f"{len(as_reference)}"
        )


def _describe(verdict: AssetVerdict) -> str:
    reason = f" ({verdict.reason})" if verdict.reason else ""
    return f"{verdict.verdict}{reason}, revision {verdict.revision}"

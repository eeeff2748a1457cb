"""What services without a fault would leave behind for a plan: the checker finds nothing wrong with it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from services.contracts.events import (
    AssetRemovedAck,
    AssetVerdict,
    CopiedInterval,
    DuplicateAlert,
    PairSimilarity,
    Side,
)
from services.contracts.segments import SegmentRow
from services.contracts.topics import VIDEO_SEGMENTS
from tca_model.types import FloatArray
from tests.chaos.check_alerts import sides_of
from tests.chaos.check_log import expected_kind
from tests.chaos.films import make_descriptor
from tests.chaos.observed import Announced, DeadLetter, Input, Observed, Place
from tests.chaos.steps import Step, Upload
from tests.chaos.truth import FinalAsset, Segment, TruePair, Truth, find_truth

STARTED_AT: Final = datetime(2026, 7, 1, 12, tzinfo=UTC)
DECIDED_AT: Final = STARTED_AT + timedelta(hours=1)
DIMENSION: Final = 16


def make_observed(steps: Sequence[Step]) -> Observed:
    """The ideal outcome, with one revision of everything."""
    truth = find_truth(steps)
    inputs = tuple(_make_inputs(steps))
    alerts = tuple(_make_alert(truth, pair) for pair in truth.pairs)
    stored = [(segment, _make_row(final, segment)) for final in truth.assets.values() for segment in final.segments]
    return Observed(
        inputs=inputs,
        announced=frozenset(
            Announced(expected_kind(steps[one.step]), steps[one.step].asset, one.generation) for one in inputs
        ),
        alerts=alerts,
        verdicts=tuple(_make_last_word(final, alerts) for final in truth.assets.values()),
        dead_letters=tuple(
            DeadLetter(VIDEO_SEGMENTS, one.place, "broken") for one in inputs if _is_broken(steps[one.step])
        ),
        rows=tuple(row for _, row in stored),
        frames={row.key: _make_frames(segment) for segment, row in stored},
        frame_counts={},
        unread=(),
        open_transactions=(),
    )


def _make_inputs(steps: Sequence[Step]) -> Iterator[Input]:
    for number, step in enumerate(steps):
        yield Input(number, Place(0, number), number + 1, STARTED_AT + timedelta(seconds=step.at_s))


def _is_broken(step: Step) -> bool:
    return isinstance(step, Upload) and step.film.broken_after_s is not None


def _make_alert(truth: Truth, pair: TruePair) -> DuplicateAlert:
    query, reference = (Side(asset_id=asset.asset_id, uploaded_at=_claimed(truth.assets[asset])) for asset in pair[:2])
    name = f"{pair.query.key} {pair.reference.key}"
    return DuplicateAlert(
        tenant=pair.query.tenant,
        alert_id=name,
        pair_id=name,
        revision=1,
        status="final",
        model_version="v1",
        query=query,
        reference=reference,
        score=0.99,
        similarity=PairSimilarity(chamfer_query_to_reference=1, chamfer_reference_to_query=1, segment_cosine=1),
        intervals=tuple(
            CopiedInterval(
                query_start_s=shared.query_start_s,
                query_end_s=shared.query_start_s + shared.length_s,
                reference_start_s=shared.reference_start_s,
                reference_end_s=shared.reference_start_s + shared.length_s,
                score=0.9,
            )
            for shared in pair.shared
        ),
        query_coverage=1,
        reference_coverage=1,
        first_detected_at=DECIDED_AT,
        detected_at=DECIDED_AT,
        latency_s=1,
    )


def _make_last_word(final: FinalAsset, alerts: Sequence[DuplicateAlert]) -> AssetVerdict | AssetRemovedAck:
    asset = final.asset
    if final.outcome == "removed":
        return AssetRemovedAck(tenant=asset.tenant, asset_id=asset.asset_id, removed_at=DECIDED_AT)
    return AssetVerdict(
        tenant=asset.tenant,
        asset_id=asset.asset_id,
        verdict=final.outcome,
        alert_ids=tuple(alert.alert_id for alert in alerts if sides_of(alert)[0] == asset),
        copied_by=sum(sides_of(alert)[1] == asset for alert in alerts),
        segments_described=len(final.segments),
        segments_compared=len(final.segments),
        segments_undecidable=0,
        segments_failed=0,
        decided_at=DECIDED_AT,
    )


def _make_row(final: FinalAsset, segment: Segment) -> SegmentRow:
    return SegmentRow(
        tenant=final.asset.tenant,
        asset_id=final.asset.asset_id,
        segment_index=segment.segment_index,
        role=final.role,
        start_s=segment.start_s,
        end_s=segment.end_s,
        frame_count=segment.film.length_s,
        stamp=segment.file_name,
        uri=f"/films/{segment.file_name}",
        uploaded_at=_claimed(final).timestamp(),
        generation=1,
        is_whole_file=segment.is_whole_file,
    )


def _make_frames(segment: Segment) -> FloatArray:
    film = segment.film
    return np.array([make_descriptor(*frame, film.noise, DIMENSION) for frame in film.frames()], np.float32)


def _claimed(final: FinalAsset) -> datetime:
    return STARTED_AT + timedelta(seconds=final.uploaded_s)

"""Hypothesis strategies for states of assets."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from services.alerter.pair import Pair, Unit, UnitKey
from services.alerter.state import AssetState, SegmentState
from services.contracts.events import (
    AssetEnded,
    AssetErased,
    AssetVerdict,
    CopiedInterval,
    DuplicateAlert,
    PairSimilarity,
    Role,
    SegmentStatus,
    Side,
)
from services.contracts.evidence import AssetFacts, ComparedSegment
from tca_model.matching.calibration import Calibration, Curve
from tca_model.matching.evidence import ReferenceEvidence, SegmentEvidence
from tca_model.types import Match

ids = st.text("abcXYZ019_.-", min_size=1, max_size=12)
indices = st.integers(0, 2**31 - 1)
generations = st.integers(0, 2**63 - 1)
numbers = st.floats(-1e9, 1e9)
seconds = st.floats(0, 1e9)
shares = st.floats(0, 1)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
words = st.none() | st.text(max_size=20)

matches = st.builds(
    lambda start, length, other, score: Match(start, start + length, other, other + length, score),
    st.floats(0, 1e5),
    st.floats(1, 1e5),
    st.floats(0, 1e5),
    shares,
)
evidence = st.builds(
    SegmentEvidence,
    indices,
    st.integers(1, 10**4),
    numbers,
    st.lists(st.builds(ReferenceEvidence, indices, st.integers(1, 10**4), numbers), min_size=1, max_size=3).map(tuple),
    st.lists(matches, max_size=3).map(tuple),
)
compared = st.builds(ComparedSegment, segment_index=indices, generation=generations, start_s=seconds, end_s=seconds)
units = st.builds(Unit, generations, evidence, st.lists(compared, max_size=2).map(tuple), shares)
unit_keys = st.builds(UnitKey, st.sampled_from(["query", "reference"]), indices)
sides = st.builds(Side, asset_id=ids, uploaded_at=moments)
intervals = st.builds(
    CopiedInterval,
    query_start_s=seconds,
    query_end_s=seconds,
    reference_start_s=seconds,
    reference_end_s=seconds,
    score=shares,
)
alerts = st.builds(
    DuplicateAlert,
    tenant=ids,
    alert_id=ids,
    pair_id=ids,
    revision=st.integers(1, 2**40),
    status=st.sampled_from(["open", "final", "withdrawn"]),
    model_version=ids,
    query=sides,
    reference=sides,
    score=shares,
    joined_score=st.none() | shares,
    similarity=st.builds(
        PairSimilarity, chamfer_query_to_reference=shares, chamfer_reference_to_query=shares, segment_cosine=shares
    ),
    intervals=st.lists(intervals, max_size=2).map(tuple),
    query_coverage=shares,
    reference_coverage=shares,
    first_detected_at=moments,
    detected_at=moments,
    latency_s=numbers,
)
facts = st.builds(
    AssetFacts,
    asset_id=ids,
    role=st.sampled_from(Role),
    uploaded_at=moments,
    duration_s=seconds,
    frame_count=indices,
)
curves = st.builds(Curve, slope=st.floats(0.1, 10), intercept=st.floats(-9, 9))
calibrations = st.builds(Calibration, alert_threshold=shares, curve=st.none() | curves, basis=ids)
pairs = st.builds(Pair, facts, ids, calibrations, st.dictionaries(unit_keys, units, max_size=2), st.none() | alerts)
segments = st.builds(
    SegmentState,
    indices,
    st.none() | ids,
    generations,
    generations,
    st.booleans(),
    st.sampled_from(SegmentStatus),
    words,
    indices,
    seconds,
    moments,
    st.booleans(),
)
ends = st.builds(
    AssetEnded,
    tenant=ids,
    asset_id=ids,
    segment_count=indices,
    duration_s=st.none() | seconds,
    status=st.sampled_from(["complete", "failed"]),
    reason=words,
    generation=generations,
    model_version=st.none() | ids,
    uploaded_at=st.none() | moments,
)
verdicts = st.builds(
    AssetVerdict,
    tenant=ids,
    asset_id=ids,
    revision=st.integers(1, 2**40),
    verdict=st.sampled_from(["unique", "copies", "undecidable", "failed"]),
    reason=words,
    alert_ids=st.lists(ids, max_size=2).map(tuple),
    copied_by=indices,
    segments_described=indices,
    segments_compared=indices,
    segments_undecidable=indices,
    segments_failed=indices,
    uploaded_at=st.none() | moments,
    decided_at=moments,
)
_PARTS: dict[str, Any] = {
    "found_as": st.none() | facts,
    "floor": generations,
    "cut_at": st.none() | ends,
    "ended": st.none() | ends,
    "removed": st.none()
    | st.builds(AssetErased, asset_id=ids, reason=words, generation=generations, model_version=ids),
    "is_removal_acknowledged": st.booleans(),
    "answered": generations,
    "verdict": st.none() | verdicts,
    "verdict_revision": indices,
    "touched_at": seconds,
    "segments": st.dictionaries(indices, segments, max_size=3),
    "pairs": st.dictionaries(ids, pairs, max_size=2),
    "links": st.dictionaries(ids, ids, max_size=2),
}
states = st.builds(AssetState, tenant=ids, asset_id=ids, **_PARTS)
# Two states of one asset, of which any part may be the same object.
state_pairs = states.flatmap(
    lambda state: st.tuples(
        st.just(state),
        st.builds(
            AssetState,
            tenant=st.just(state.tenant),
            asset_id=st.just(state.asset_id),
            **{name: st.just(getattr(state, name)) | part for name, part in _PARTS.items()},
        ),
    )
)

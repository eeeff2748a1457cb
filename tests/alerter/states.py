"""Hypothesis strategies for states of assets."""

from datetime import UTC, datetime

from hypothesis import strategies as st
from services.matcher.state import AssetState, Pair, SegmentRecord

from services.contracts.events import (
    AssetEnded,
    CopiedInterval,
    DuplicateAlert,
    PairSimilarity,
    Role,
    SegmentStatus,
    Side,
)
from tca_model.matching.evidence import ReferenceEvidence, SegmentEvidence
from tca_model.types import Match

ids = st.text("abcXYZ019_.-", min_size=1, max_size=12)
indices = st.integers(0, 2**31 - 1)
numbers = st.floats(-1e9, 1e9)
seconds = st.floats(0, 1e9)
shares = st.floats(0, 1)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
words = st.none() | st.text(max_size=20)

segment_records = st.builds(
    SegmentRecord, st.sampled_from(SegmentStatus), st.sampled_from(Role), words, ids, words, indices, seconds, moments
)
matches = st.builds(
    lambda start, length, other, score: Match(start, start + length, other, other + length, score),
    st.floats(0, 1e5),
    st.floats(1, 1e5),
    st.floats(0, 1e5),
    shares,
)
references = st.builds(ReferenceEvidence, indices, st.integers(1, 10**4), numbers)
evidence = st.builds(
    SegmentEvidence,
    indices,
    st.integers(1, 10**4),
    numbers,
    st.lists(references, min_size=1, max_size=3).map(tuple),
    st.lists(matches, max_size=3).map(tuple),
)
sides = st.builds(Side, asset_id=ids, uploaded_at=moments)
alerts = st.builds(
    DuplicateAlert,
    tenant=ids,
    alert_id=ids,
    pair_id=ids,
    revision=st.integers(1, 1000),
    status=st.sampled_from(["open", "final"]),
    model_version=ids,
    query=sides,
    reference=sides,
    score=shares,
    similarity=st.builds(
        PairSimilarity, chamfer_query_to_reference=shares, chamfer_reference_to_query=shares, segment_cosine=shares
    ),
    intervals=st.lists(
        st.builds(
            CopiedInterval,
            query_start_s=seconds,
            query_end_s=seconds,
            reference_start_s=seconds,
            reference_end_s=seconds,
            score=shares,
        ),
        max_size=2,
    ).map(tuple),
    query_coverage=shares,
    reference_coverage=shares,
    first_detected_at=moments,
    detected_at=moments,
    latency_s=numbers,
)
pairs = st.builds(
    Pair,
    ids,
    st.sampled_from(Role),
    seconds,
    st.dictionaries(indices, evidence, max_size=2),
    st.dictionaries(indices, shares, max_size=2),
    st.none() | alerts,
)
ends = st.builds(
    AssetEnded,
    tenant=ids,
    asset_id=ids,
    segment_count=indices,
    duration_s=st.none() | seconds,
    status=st.sampled_from(["complete", "failed"]),
    reason=words,
)
states = st.builds(
    AssetState,
    tenant=ids,
    asset_id=ids,
    role=st.sampled_from(Role),
    segments=st.dictionaries(indices, segment_records, max_size=4),
    pairs=st.dictionaries(ids, pairs, max_size=2),
    ended=st.none() | ends,
    decided=st.booleans(),
    touched_at=seconds,
)

"""Reads everything that a run left behind."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pymilvus import MilvusClient

from services.backends.milvus.index import MilvusIndex
from services.contracts.events import AssetRemovedAck, AssetVerdict, DuplicateAlert
from services.contracts.generations import generation_of
from services.contracts.ports import Message, Record
from services.contracts.segments import SegmentRow
from services.contracts.topics import (
    ASSET_VERDICTS,
    DEAD_LETTER_SUFFIX,
    DUPLICATE_ALERTS,
    ENCODED_SEGMENTS,
    MATCH_EVIDENCE,
    VIDEO_SEGMENTS,
)
from tca_model.bundle import Bundle
from tests.chaos.observed import Announced, DeadLetter, Input, Observed, Place
from tests.chaos.plan import TENANTS
from tests.chaos.publish import STEP_HEADER
from tests.chaos.steps import Asset, Removal, Step
from tests.chaos.topics import TopicReader

_AT_ONCE = 64  # segments whose frames are read together


def list_inputs(bundle: Bundle) -> dict[str, str]:
    """The topic that each group reads."""
    return {
        "ingest": VIDEO_SEGMENTS,
        f"matcher-{bundle.model_version}": ENCODED_SEGMENTS,
        "alerter": MATCH_EVIDENCE,
    }


def observe(steps: Sequence[Step], topics: TopicReader, milvus: str, bundle: Bundle) -> Observed:
    """What is on the topics and in the index at the address `milvus`."""
    names = topics.list_topics()
    rows, frames = _read_index(milvus, bundle)
    verdict_types = {f"copydetect.{kind.__name__}.v1": kind for kind in (AssetVerdict, AssetRemovedAck)}
    return Observed(
        inputs=tuple(map(_to_input, topics.read(VIDEO_SEGMENTS))),
        announced=frozenset(map(_to_announced, topics.read(ENCODED_SEGMENTS))),
        alerts=tuple(DuplicateAlert.model_validate_json(one.value()) for one in topics.read(DUPLICATE_ALERTS)),
        verdicts=tuple(
            verdict_types[_headers(one)["ce_type"]].model_validate_json(one.value())
            for one in topics.read(ASSET_VERDICTS)
        ),
        dead_letters=tuple(
            _to_dead_letter(one) for name in names if name.endswith(DEAD_LETTER_SUFFIX) for one in topics.read(name)
        ),
        rows=rows,
        frames=frames,
        frame_counts=_count_frames(milvus, {step.asset for step in steps if isinstance(step, Removal)}),
        unread=tuple(one for group, topic in list_inputs(bundle).items() for one in topics.find_unread(group, topic)),
        open_transactions=tuple(topics.find_open_transactions(names)),
    )


def _headers(message: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers() or ()}


def _to_input(message: Any) -> Input:
    _, timestamp_ms = message.timestamp()
    place = Place(message.partition(), message.offset())
    record = Record(Message(VIDEO_SEGMENTS, "", b""), *place, timestamp_ms=timestamp_ms)
    published_at = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return Input(int(_headers(message)[STEP_HEADER]), place, generation_of(record), published_at)


def _to_announced(message: Any) -> Announced:
    kind = _headers(message)["ce_type"].split(".")[1]
    value = json.loads(message.value())
    return Announced(kind, Asset(value["tenant"], value["asset_id"]), value["generation"])  # type: ignore[arg-type]


def _to_dead_letter(message: Any) -> DeadLetter:
    headers = _headers(message)
    place = Place(int(headers["dlq_partition"]), int(headers["dlq_offset"]))
    return DeadLetter(headers["dlq_topic"], place, headers["dlq_reason"])


def _read_index(milvus: str, bundle: Bundle) -> tuple[tuple[SegmentRow, ...], Mapping[Any, Any]]:
    """All rows, and the frames of those that can be read whole."""
    dimension = bundle.manifest.descriptor.frame.dimension
    index = MilvusIndex(milvus, model_version=bundle.model_version, dimension=dimension)
    try:
        rows = [row for tenant in sorted(set(TENANTS)) for row in index.read_rows(tenant)]
        keys = [row.key for row in rows]
        frames = {}
        for start in range(0, len(keys), _AT_ONCE):
            for key, segment in index.read(keys[start : start + _AT_ONCE]).items():
                frames[key] = segment.descriptor.frames
    finally:
        index.close()
    return tuple(rows), frames


def _count_frames(milvus: str, assets: set[Asset]) -> dict[Asset, int]:
    """The rows of these assets in all collections of frames, whichever segment they belong to."""
    client = MilvusClient(milvus)
    try:
        counts = dict.fromkeys(assets, 0)
        for collection in client.list_collections():
            if "frames" not in collection:
                continue
            for asset in assets:
                own = f'tenant == "{asset.tenant}" and asset_id == "{asset.asset_id}"'
                found = client.query(collection, filter=own, output_fields=["pk"], consistency_level="Strong")
                counts[asset] += len(found)
        return counts
    finally:
        client.close()

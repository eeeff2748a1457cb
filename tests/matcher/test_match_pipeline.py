"""Events in whatever order, batch or repetition lead to the same alerts, and to one verdict an asset."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import permutations
from random import Random
from typing import Any

import numpy as np
import pytest

from services.backends.memory import MemoryBus, MemoryCache
from services.backends.memory_index import MemoryIndex
from services.contracts import topics
from services.contracts.envelope import to_event, to_message
from services.contracts.errors import TransientError
from services.contracts.events import AssetEnded, AssetVerdict, DuplicateAlert, Event, Role, SegmentEncoded, Side
from services.contracts.ports import DescribedSegment, Message
from services.ingest.announce import asset_ended, segment_encoded
from services.matcher.candidates import NearestCandidates
from services.matcher.pipeline import MatchPipeline
from services.matcher.worker import GROUP, MatchWorker
from tca_model.types import FloatArray
from tests.descriptors import UPLOADED_AT, cut, described, unit, work

MODEL = "v1"
THRESHOLD = 0.45
FLOOR = 0.3
MOMENTS = {"detected_at", "first_detected_at", "latency_s", "decided_at"}


class Matcher:
    """The matcher over an index in memory, an event at a time or many."""

    def __init__(self, **options: Any) -> None:
        self.index = MemoryIndex(model_version=MODEL)
        self.bus = MemoryBus()
        self._options = options
        self.restart()

    def restart(self) -> None:
        self.pipeline = MatchPipeline(
            index=self.index,
            cache=MemoryCache(10**8),
            candidates=NearestCandidates(self.index),
            alert_threshold=THRESHOLD,
            evidence_floor=FLOOR,
            **self._options,
        )
        self.worker = MatchWorker(self.bus, self.pipeline)

    def store(self, *assets: Sequence[DescribedSegment]) -> None:
        for segments in assets:
            self.index.store(segments)

    def tell(self, *events: Event) -> None:
        """Publish these together, and process them."""
        self.bus.publish([to_message(topics.ENCODED_SEGMENTS, event, source="copydetect/test") for event in events])
        self.run()

    def run(self) -> None:
        while self.worker.run_once(0):
            pass

    def alerts(self) -> list[DuplicateAlert]:
        events = [to_event(record.message) for record in self.bus.records(topics.DUPLICATE_ALERTS)]
        assert all(isinstance(event, DuplicateAlert) for event in events)
        return events  # type: ignore[return-value]

    def latest(self) -> dict[str, DuplicateAlert]:
        """By alert id what its highest revision says; revisions are published without a gap."""
        said: dict[str, DuplicateAlert] = {}
        for alert in self.alerts():
            assert alert.revision == (said[alert.alert_id].revision + 1 if alert.alert_id in said else 1)
            said[alert.alert_id] = alert
        return said

    def verdicts(self) -> dict[str, AssetVerdict]:
        events = [to_event(record.message) for record in self.bus.records(topics.ASSET_VERDICTS)]
        assert all(isinstance(event, AssetVerdict) for event in events)
        by_asset = {event.key: event for event in events}
        assert len(by_asset) == len(events), "one verdict an asset"
        return by_asset  # type: ignore[return-value]

    def dead(self) -> list[Message]:
        return [record.message for record in self.bus.records(f"{topics.ENCODED_SEGMENTS}.dlq")]


def announced(segments: Iterable[DescribedSegment], *, model_version: str = MODEL) -> list[SegmentEncoded]:
    return [segment_encoded(one.row, model_version=model_version, index_timestamp=None) for one in segments]


def ended(segments: Sequence[DescribedSegment], count: int | None = None) -> AssetEnded:
    last = segments[-1].row
    return asset_ended(last.tenant, last.asset_id, segment_count=count or len(segments), duration_s=last.end_s)


def frames(*parts: FloatArray) -> FloatArray:
    return np.concatenate(parts)


def like(number: int, start_s: int, end_s: int, similarity: float) -> FloatArray:
    """A stretch of a work with that similarity to the original."""
    other = work(1000 + number, start_s, end_s)
    return unit(similarity * work(number, start_s, end_s) + np.sqrt(1 - similarity**2) * other)


def original() -> list[DescribedSegment]:
    return cut("original", work(1, 0, 100))


def copy(asset_id: str = "copy", **changes: Any) -> list[DescribedSegment]:
    """30 s of the original's 20th to 50th second, from 22 s on, across a segment border, then something else."""
    late = {"uploaded_at": UPLOADED_AT + 60, **changes}
    return cut(asset_id, frames(work(2, 0, 22), work(1, 20, 50), work(2, 22, 60)), **late)


def bounds(alert: DuplicateAlert) -> list[tuple[float, ...]]:
    return [(one.query_start_s, one.query_end_s, one.reference_start_s, one.reference_end_s) for one in alert.intervals]


def stated(alert: DuplicateAlert) -> dict[str, Any]:
    """What must be exactly the same, whatever the order of events."""
    fields = {"alert_id", "pair_id", "status", "query", "reference"}
    return {**alert.model_dump(include=fields), "intervals": bounds(alert)}


def measured(alert: DuplicateAlert) -> list[float]:
    """What moves a little with whether descriptors come from the index or, rounded, from the cache."""
    similarity = alert.similarity.model_dump().values()
    return [alert.score, alert.query_coverage, alert.reference_coverage, *similarity]


def test_an_alert_grows_by_revisions_across_a_segment_border() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    first, second, third = announced(segments)
    matcher.tell(first)
    matcher.tell(second)
    matcher.tell(third)
    assert [(one.revision, one.status, bounds(one)) for one in matcher.alerts()] == [
        (1, "open", [(22, 32, 20, 30)]),
        (2, "open", [(22, 52, 20, 50)]),
    ], "the third segment shows nothing of the original"
    assert matcher.verdicts() == {}
    matcher.tell(ended(segments))
    alert = matcher.alerts()[-1]
    assert (alert.revision, alert.status, bounds(alert)) == (3, "final", [(22, 52, 20, 50)])
    assert (alert.query.asset_id, alert.reference.asset_id) == ("copy", "original")
    assert alert.query.uploaded_at == datetime.fromtimestamp(UPLOADED_AT + 60, UTC)
    assert alert.query_coverage == pytest.approx(30 / 90)
    assert alert.reference_coverage == pytest.approx(30 / 100)
    assert alert.score == pytest.approx(1, abs=1e-3)
    assert alert.model_version == MODEL
    assert alert.first_detected_at == matcher.alerts()[0].detected_at < alert.detected_at
    assert len(matcher.latest()) == 1
    verdict = matcher.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.alert_ids, verdict.segments_described) == ("copies", (alert.alert_id,), 3)


def test_a_copy_that_only_its_two_halves_together_prove_is_found() -> None:
    matcher = Matcher()
    segments = cut("copy", frames(work(2, 0, 27), like(1, 40, 50, 0.6), work(2, 40, 67)), uploaded_at=UPLOADED_AT + 1)
    matcher.store(original(), segments)
    first, second = announced(segments)
    matcher.tell(first)
    assert matcher.alerts() == [], "five seconds of such similarity may be chance"
    matcher.tell(second)
    [alert] = matcher.alerts()
    [(query_start, query_end, *_)] = bounds(alert)
    assert query_start == pytest.approx(27, abs=2)
    assert query_end == pytest.approx(37, abs=2)


@pytest.mark.parametrize(("together", "orders"), [(1, slice(None)), (3, slice(None, None, 5))])
def test_every_order_and_batch_leads_to_the_same_final_alert(together: int, orders: slice) -> None:
    segments = copy()
    events: list[Event] = [*announced(segments), ended(segments)]
    finals = []
    for order in list(permutations(events))[orders]:
        matcher = Matcher()
        matcher.store(original(), segments)
        for start in range(0, len(order), together):
            matcher.tell(*order[start : start + together])
        [alert] = matcher.latest().values()
        finals.append(alert)
        assert stated(alert) == stated(finals[0])
        assert measured(alert) == pytest.approx(measured(finals[0]), abs=1e-3)
        assert alert.status == "final"
        assert matcher.verdicts()["default/copy"].alert_ids == (alert.alert_id,)


@pytest.mark.parametrize("seed", range(6))
def test_mixed_events_of_both_assets_give_two_alerts_that_say_the_same(seed: int) -> None:
    old, new = original(), copy()
    events: list[Event] = [*announced(old), *announced(new), ended(old), ended(new)]
    Random(seed).shuffle(events)
    matcher = Matcher()
    matcher.store(old, new)
    for event in events:
        matcher.tell(event)
    one, other = matcher.latest().values()
    assert one.alert_id != other.alert_id
    assert one.pair_id == other.pair_id
    assert (one.query, one.reference) == (other.query, other.reference)
    assert one.query.asset_id == "copy"
    assert bounds(one) == bounds(other) == [(22, 52, 20, 50)]
    assert one.query_coverage == pytest.approx(other.query_coverage)
    assert one.reference_coverage == pytest.approx(other.reference_coverage)
    assert one.status == other.status == "final"
    assert {verdict.verdict for verdict in matcher.verdicts().values()} == {"copies"}


def said(messages: Iterable[Message]) -> list[dict[str, Any]]:
    return [to_event(message).model_dump(exclude=MOMENTS) for message in messages]


def test_records_whose_messages_were_not_published_give_them_again() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    events = [*announced(segments), ended(segments)]
    matcher.bus.publish([to_message(topics.ENCODED_SEGMENTS, event, source="test") for event in events])
    records = matcher.bus.records(topics.ENCODED_SEGMENTS)
    before, after = records[:1], records[1:]
    first = matcher.pipeline(before)
    matcher.pipeline.keep(first)
    failed = matcher.pipeline(after)
    again = matcher.pipeline(after)
    assert [one["revision"] for one in said(failed.messages) if "revision" in one] == [2]
    for one, other in zip(said(failed.messages), said(again.messages), strict=True):
        # The second time, descriptors come from the cache, rounded.
        assert one.pop("similarity", {}) == pytest.approx(other.pop("similarity", {}), abs=1e-3)
        assert one == other
    matcher.pipeline.keep(again)
    assert matcher.pipeline(after).messages == (), "said and kept: nothing more to say"


def test_a_failed_publication_leaves_the_offsets_and_the_state() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)

    class FailsOnce(MemoryBus):
        down = False

        def publish(self, messages: Sequence[Message]) -> None:
            if self.down:
                raise TransientError("the bus is down")
            super().publish(messages)

    bus = matcher.bus = FailsOnce()
    matcher.restart()
    events = [*announced(segments), ended(segments)]
    bus.publish([to_message(topics.ENCODED_SEGMENTS, event, source="test") for event in events])
    bus.down = True
    with pytest.raises(TransientError):
        matcher.run()
    assert len(bus.consumer(topics.ENCODED_SEGMENTS, GROUP).poll(99, 0)) == len(events)
    bus.down = False
    matcher.worker = MatchWorker(bus, matcher.pipeline)  # the consumer starts again where it committed
    matcher.run()
    [alert] = matcher.alerts()
    assert (alert.revision, alert.status) == (1, "final")
    assert matcher.verdicts()["default/copy"].verdict == "copies"
    assert bus.consumer(topics.ENCODED_SEGMENTS, GROUP).poll(99, 0) == []


def test_what_another_model_described_is_a_dead_letter_and_the_next_is_processed() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    matcher.tell(*announced(segments, model_version="v2")[:1], *announced(segments), ended(segments))
    [dead] = matcher.dead()
    assert dead.headers["dlq_stage"] == "parse"
    assert "v2" in dead.headers["dlq_reason"]
    assert MODEL in dead.headers["dlq_reason"]
    assert dead.value == matcher.bus.records(topics.ENCODED_SEGMENTS)[0].message.value
    assert len(matcher.latest()) == 1


def test_messages_that_do_not_belong_here_are_dead_letters() -> None:
    matcher = Matcher()
    matcher.bus.publish([Message(topics.ENCODED_SEGMENTS, "k", b"{}", {"ce_type": "copydetect.SegmentEncoded.v1"})])
    alien = AssetVerdict(
        asset_id="a",
        verdict="unique",
        alert_ids=(),
        segments_described=1,
        segments_undecidable=0,
        segments_failed=0,
        decided_at=datetime.now(UTC),
    )
    matcher.tell(alien)
    assert [dead.headers["dlq_offset"] for dead in matcher.dead()] == ["0", "1"]
    assert "AssetVerdict does not belong" in matcher.dead()[1].headers["dlq_reason"]
    assert matcher.alerts() == []


@pytest.mark.parametrize("order", sorted(set(permutations("AaBb"))), ids="".join)
def test_of_two_simultaneous_uploads_at_least_one_finds_the_other(order: tuple[str, ...]) -> None:
    """A and B store an upload, a and b process its events; storing comes before announcing, nothing else is sure."""
    if order.index("A") > order.index("a") or order.index("B") > order.index("b"):
        return
    matcher = Matcher()
    uploads = {"a": cut("one", work(1, 0, 40)), "b": cut("two", work(1, 0, 40))}
    for step in order:
        segments = uploads[step.lower()]
        if step.isupper():
            matcher.store(segments)
        else:
            matcher.tell(*announced(segments), ended(segments))
    alerts = matcher.latest().values()
    assert 1 <= len(alerts) <= 2
    assert len({alert.pair_id for alert in alerts}) == 1
    assert {(alert.query.asset_id, alert.reference.asset_id) for alert in alerts} == {("two", "one")}, "by id"
    assert len(matcher.verdicts()) == 2


def test_tenants_never_meet() -> None:
    matcher = Matcher()
    tenants = [cut("a", work(1, 0, 40), tenant="red"), cut("b", work(1, 0, 40), tenant="blue")]
    matcher.store(*tenants)
    for segments in tenants:
        matcher.tell(*announced(segments), ended(segments))
    assert matcher.alerts() == []
    assert {key: verdict.verdict for key, verdict in matcher.verdicts().items()} == {
        "red/a": "unique",
        "blue/b": "unique",
    }


def test_an_asset_of_one_name_is_another_in_each_tenant() -> None:
    matcher = Matcher()
    red, blue = cut("a", work(1, 0, 20), tenant="red"), cut("a", work(1, 0, 60), tenant="blue")
    matcher.store(red, blue, cut("b", work(1, 0, 60), tenant="blue"))
    matcher.tell(*announced(red), *announced(blue), ended(red), ended(blue))
    assert {key: verdict.verdict for key, verdict in matcher.verdicts().items()} == {
        "red/a": "unique",
        "blue/a": "copies",
    }
    assert {alert.tenant for alert in matcher.alerts()} == {"blue"}


def test_only_finders_are_searched_for_and_the_others_count_as_done() -> None:
    matcher = Matcher(finders=frozenset({Role.PROBE}))
    reference = cut("reference", work(1, 0, 40), role=Role.REFERENCE)
    probe = cut("probe", work(1, 5, 35), role=Role.PROBE, uploaded_at=UPLOADED_AT + 1)
    matcher.store(reference, probe, cut("upload", work(1, 0, 40)))
    for segments in (reference, probe):
        matcher.tell(*announced(segments), ended(segments))
    assert {alert.query.asset_id for alert in matcher.alerts()} == {"probe"}
    assert {alert.reference.asset_id for alert in matcher.alerts()} == {"reference", "upload"}
    assert matcher.verdicts()["default/reference"].verdict == "unique"
    assert matcher.verdicts()["default/reference"].segments_described == 2


def test_a_probe_finds_and_is_never_found() -> None:
    matcher = Matcher()
    probe, upload = cut("probe", work(1, 0, 40), role=Role.PROBE), cut("upload", work(1, 0, 40))
    matcher.store(probe, upload)
    matcher.tell(*announced(upload), ended(upload))
    assert matcher.alerts() == []
    matcher.tell(*announced(probe), ended(probe))
    assert len(matcher.latest()) == 1


def test_a_reference_that_is_described_after_its_copy_finds_it() -> None:
    matcher = Matcher()
    early = copy(uploaded_at=UPLOADED_AT)
    late = cut("reference", work(1, 0, 100), role=Role.REFERENCE, uploaded_at=UPLOADED_AT + 99)
    matcher.store(early)
    matcher.tell(*announced(early), ended(early))
    assert matcher.alerts() == []
    matcher.store(late)
    matcher.tell(*announced(late), ended(late))
    [alert] = matcher.latest().values()
    assert (alert.query.asset_id, alert.reference.asset_id) == ("copy", "reference")
    assert bounds(alert) == [(22, 52, 20, 50)]


def test_redelivered_events_say_nothing_new() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    events = [*announced(segments), ended(segments)]
    matcher.tell(*events)
    before = matcher.alerts()
    for event in events:
        matcher.tell(event)
    matcher.tell(*events)
    assert matcher.alerts() == before
    assert len(matcher.verdicts()) == 1


def test_a_matcher_that_forgot_its_state_says_the_same_again() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    matcher.tell(*announced(segments), ended(segments))
    matcher.restart()
    matcher.bus.publish([record.message for record in matcher.bus.records(topics.ENCODED_SEGMENTS)])
    matcher.run()
    first, again = matcher.alerts()
    assert (first.alert_id, first.pair_id, bounds(first)) == (again.alert_id, again.pair_id, bounds(again))


def test_late_segments_after_the_verdict_continue_the_revisions() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments)
    first, second, _ = announced(segments)
    matcher.tell(first, ended(segments, count=1))
    verdict = matcher.verdicts()["default/copy"]
    matcher.tell(second)
    assert [(one.revision, one.status, bounds(one)) for one in matcher.alerts()] == [
        (1, "final", [(22, 32, 20, 30)]),
        (2, "final", [(22, 52, 20, 50)]),
    ]
    assert matcher.verdicts() == {"default/copy": verdict}


def test_what_is_unlike_everything_is_unique_and_what_shows_nothing_undecidable() -> None:
    matcher = Matcher()
    new = cut("new", work(7, 0, 64))
    black = [described("black", index, work(7, 0, 0)) for index in range(2)]
    matcher.store(original(), new, black)
    matcher.tell(*announced(new), *announced(black), ended(new), ended(black))
    assert matcher.alerts() == []
    verdicts = matcher.verdicts()
    assert (verdicts["default/new"].verdict, verdicts["default/new"].segments_described) == ("unique", 2)
    assert (verdicts["default/black"].verdict, verdicts["default/black"].segments_undecidable) == ("undecidable", 2)


def test_an_asset_that_failed_still_gets_the_alerts_of_what_was_described() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original(), segments[:1])
    failed = AssetEnded(asset_id="copy", segment_count=1, duration_s=None, status="failed", reason="cut off")
    matcher.tell(*announced(segments[:1]), failed)
    [alert] = matcher.alerts()
    verdict = matcher.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.reason, verdict.alert_ids) == ("failed", "cut off", (alert.alert_id,))


def test_a_segment_that_is_gone_from_the_index_counts_as_done() -> None:
    matcher = Matcher()
    segments = copy()
    matcher.store(original())
    matcher.tell(*announced(segments), ended(segments))
    assert matcher.alerts() == []
    assert matcher.verdicts()["default/copy"].segments_described == 3


def test_every_original_is_named() -> None:
    matcher = Matcher()
    others = [cut(f"other-{number}", work(1, 0, 60), uploaded_at=UPLOADED_AT - number) for number in range(3)]
    segments = copy()
    matcher.store(*others, segments)
    matcher.tell(*announced(segments), ended(segments))
    alerts = matcher.latest().values()
    assert {alert.reference for alert in alerts} == {
        Side(asset_id=f"other-{number}", uploaded_at=datetime.fromtimestamp(UPLOADED_AT - number, UTC))
        for number in range(3)
    }
    assert matcher.verdicts()["default/copy"].alert_ids == tuple(sorted(alert.alert_id for alert in alerts))


def test_the_trace_of_an_event_goes_on_and_keys_keep_the_order() -> None:
    matcher = Matcher()
    segments = cut("copy", work(1, 0, 30), uploaded_at=UPLOADED_AT + 1)
    matcher.store(original(), segments)
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    for event in (*announced(segments), ended(segments)):
        sent = to_message(topics.ENCODED_SEGMENTS, event, source="test")
        matcher.bus.publish([Message(sent.topic, sent.key, sent.value, {**sent.headers, **trace})])
    matcher.run()
    [alert] = [record.message for record in matcher.bus.records(topics.DUPLICATE_ALERTS)]
    [verdict] = [record.message for record in matcher.bus.records(topics.ASSET_VERDICTS)]
    assert alert.headers["traceparent"] == verdict.headers["traceparent"] == trace["traceparent"]
    assert alert.key == matcher.alerts()[0].pair_id
    assert verdict.key == "default/copy"


def test_a_segment_that_shows_nothing_by_now_is_not_compared() -> None:
    matcher = Matcher()
    matcher.store(original(), [described("copy", 0, work(1, 0, 0))])
    replaced = cut("copy", work(1, 0, 30))
    matcher.tell(*announced(replaced), ended(replaced))
    assert matcher.alerts() == []
    assert matcher.verdicts()["default/copy"].verdict == "unique"


def test_no_records_no_messages() -> None:
    matcher = Matcher()
    assert not matcher.worker.run_once(0)
    assert matcher.pipeline([]).messages == ()

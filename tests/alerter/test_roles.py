"""Which assets find each other: by role, by tenant, and when two arrive at the same time."""

from itertools import permutations

import pytest

from services.contracts.events import Role
from tests.alerter.stages import Stages, bounds, copy, end_event, segment_events
from tests.descriptors import UPLOADED_AT, cut, work


@pytest.mark.parametrize("order", sorted(set(permutations("AaBb"))), ids="".join)
def test_of_two_simultaneous_uploads_at_least_one_finds_the_other(order: tuple[str, ...]) -> None:
    """A and B store an upload, a and b process its events; only storing before announcing is guaranteed."""
    if order.index("A") > order.index("a") or order.index("B") > order.index("b"):
        return
    stages = Stages()
    uploads = {"a": cut("one", work(1, 0, 40)), "b": cut("two", work(1, 0, 40))}
    for step in order:
        segments = uploads[step.lower()]
        if step.isupper():
            stages.store(segments)
        else:
            stages.process(*segment_events(segments), end_event(segments))
    alerts = stages.latest().values()
    assert 1 <= len(alerts) <= 2
    assert len({alert.pair_id for alert in alerts}) == 1
    assert {(alert.query.asset_id, alert.reference.asset_id) for alert in alerts} == {("two", "one")}, "by id"
    assert len(stages.verdicts()) == 2


def test_assets_of_different_tenants_are_never_compared() -> None:
    stages = Stages()
    tenants = [cut("a", work(1, 0, 40), tenant="red"), cut("b", work(1, 0, 40), tenant="blue")]
    stages.store(*tenants)
    for segments in tenants:
        stages.process(*segment_events(segments), end_event(segments))
    assert stages.alerts() == []
    assert {key: verdict.verdict for key, verdict in stages.verdicts().items()} == {
        "red/a": "unique",
        "blue/b": "unique",
    }


def test_the_same_asset_id_is_a_different_asset_in_each_tenant() -> None:
    stages = Stages()
    red, blue = cut("a", work(1, 0, 20), tenant="red"), cut("a", work(1, 0, 60), tenant="blue")
    stages.store(red, blue, cut("b", work(1, 0, 60), tenant="blue"))
    stages.process(*segment_events(red), *segment_events(blue), end_event(red), end_event(blue))
    assert {key: verdict.verdict for key, verdict in stages.verdicts().items()} == {
        "red/a": "unique",
        "blue/a": "unique",  # b has the same time, and the larger id
    }
    assert stages.verdicts()["blue/a"].copied_by == 1
    assert {alert.tenant for alert in stages.alerts()} == {"blue"}


def test_only_searching_roles_search_and_other_segments_count_as_complete() -> None:
    stages = Stages(searching_roles=frozenset({Role.PROBE}))
    reference = cut("reference", work(1, 0, 40), role=Role.REFERENCE)
    probe = cut("probe", work(1, 5, 35), role=Role.PROBE, uploaded_at=UPLOADED_AT + 1)
    stages.store(reference, probe, cut("upload", work(1, 0, 40)))
    for segments in (reference, probe):
        stages.process(*segment_events(segments), end_event(segments))
    assert {alert.query.asset_id for alert in stages.alerts()} == {"probe"}
    assert {alert.reference.asset_id for alert in stages.alerts()} == {"reference", "upload"}
    assert stages.verdicts()["default/reference"].verdict == "unique"
    assert stages.verdicts()["default/reference"].segments_described == 2


def test_a_probe_finds_others_and_is_never_found() -> None:
    stages = Stages()
    probe, upload = cut("probe", work(1, 0, 40), role=Role.PROBE), cut("upload", work(1, 0, 40))
    stages.store(probe, upload)
    stages.process(*segment_events(upload), end_event(upload))
    assert stages.alerts() == []
    stages.process(*segment_events(probe), end_event(probe))
    assert len(stages.latest()) == 1


def test_a_reference_that_is_described_after_its_copy_finds_it() -> None:
    stages = Stages()
    early = copy(uploaded_at=UPLOADED_AT)
    late = cut("reference", work(1, 0, 100), role=Role.REFERENCE, uploaded_at=UPLOADED_AT + 99)
    stages.store(early)
    stages.process(*segment_events(early), end_event(early))
    assert stages.alerts() == []
    stages.store(late)
    stages.process(*segment_events(late), end_event(late))
    [alert] = stages.latest().values()
    assert (alert.query.asset_id, alert.reference.asset_id) == ("copy", "reference")
    assert bounds(alert) == [(22, 52, 20, 50)]

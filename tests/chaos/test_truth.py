"""The plan is what it promises, and the truth about small plans is what a reader sees in them."""

from collections import Counter
from dataclasses import replace

import pytest

from services.contracts.events import Role
from tests.chaos.films import Film, Piece
from tests.chaos.plan import MOST_SEGMENTS, make_plan
from tests.chaos.steps import SEGMENT_S, Asset, End, Removal, Step, Upload, cut_film
from tests.chaos.truth import FinalAsset, Shared, TruePair, cut_segments, find_truth

A, B, C = (Asset("north", name) for name in "abc")
WORK = Piece(1, 0, 40)


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_has_a_truth(seed: int) -> None:
    steps = make_plan(seed, 200, 180)
    truth = find_truth(steps)
    assert truth.assets.keys() == {step.asset for step in steps}
    assert len(truth.pairs) > 20
    assert max(len(final.segments) for final in truth.assets.values()) <= MOST_SEGMENTS
    outcomes = Counter(final.outcome for final in truth.assets.values())
    assert set(outcomes) == {"unique", "copies", "failed", "removed"}


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    assert make_plan(1, 100, 60) == make_plan(1, 100, 60)
    assert make_plan(1, 100, 60) != make_plan(2, 100, 60)


def test_a_third_of_the_assets_changes_in_each_of_the_ways() -> None:
    steps = make_plan(3, 1500, 600)
    of_asset: dict[Asset, list[Step]] = {}
    for step in steps:
        of_asset.setdefault(step.asset, []).append(step)
    changed = [found for found in of_asset.values() if len(found) > 1]
    assert len(changed) / len(of_asset) == pytest.approx(1 / 3, abs=0.07)
    uploads = [step for step in steps if isinstance(step, Upload)]
    assert len(uploads) >= 1500
    assert all(step.at_s >= 0 for step in steps)
    removed = [found for found in changed if any(isinstance(step, Removal) for step in found)]
    assert {isinstance(found[-1], Removal) for found in removed} == {True, False}
    orders = [[one.segment_index for one in found if isinstance(one, Upload)] for found in changed]
    assert sum(None not in order and order != sorted(order, key=str) for order in orders) > 10
    assert sum(len(order) > len(set(order)) and None not in order for order in orders) > 5  # mended
    assert any(isinstance(step, End) for step in steps)
    assert {one.film.broken_after_s == 0 for one in uploads if one.film.broken_after_s is not None} == {True, False}
    roles = [{one.role for one in found if isinstance(one, Upload)} for found in changed]
    assert sum(len(found) == 2 for found in roles) > 5
    repeated = [found for found in changed if len({replace(one, at_s=0) for one in found}) == 1]
    assert len(repeated) > 5


def test_a_copy_is_the_query_of_the_pair_if_it_claims_a_later_time() -> None:
    steps = [upload(A, WORK, uploaded_s=5), upload(B, Piece(9, 0, 3), Piece(1, 8, 16), uploaded_s=4)]
    truth = find_truth(steps)
    assert truth.pairs == (TruePair(A, B, (Shared(8, 3, 16),)),)
    assert outcomes(truth.assets) == {A: "copies", B: "unique"}


def test_a_reference_is_never_the_query_of_an_upload() -> None:
    steps = [upload(A, WORK, uploaded_s=1), upload(B, WORK, uploaded_s=2, role=Role.REFERENCE)]
    assert find_truth(steps).pairs == (TruePair(A, B, (Shared(0, 0, 40),)),)


def test_other_tenants_share_nothing() -> None:
    assert not find_truth([upload(A, WORK), upload(Asset("south", "b"), WORK)]).pairs


def test_what_is_replaced_no_longer_counts() -> None:
    steps = [upload(A, WORK), upload(B, WORK, uploaded_s=1), upload(B, Piece(2, 0, 20), uploaded_s=2)]
    truth = find_truth(steps)
    assert not truth.pairs
    assert [segment.film.frames()[0] for segment in truth.assets[B].segments] == [(2, 0), (2, 8), (2, 16)]
    assert [segment.end_s for segment in truth.assets[B].segments] == [8, 16, 20]


def test_the_same_file_again_leaves_the_asset_as_old_as_it_is() -> None:
    first = upload(A, WORK, uploaded_s=1)
    steps = [first, upload(B, WORK, uploaded_s=2), replace(first, at_s=3, uploaded_s=3)]
    assert [pair.query for pair in find_truth(steps).pairs] == [B]
    steps[-1] = replace(steps[-1], role=Role.REFERENCE)
    final = find_truth(steps).assets[A]
    assert (final.uploaded_s, final.role) == (1, Role.REFERENCE)
    steps.insert(2, upload(A, Piece(2, 0, 8), uploaded_s=2.5))
    assert find_truth(steps).assets[A].uploaded_s == 3


def test_a_file_without_a_segment_leaves_the_former_segments() -> None:
    broken = upload(B, Piece(2, 0, 20), broken_after_s=8, uploaded_s=9)
    truth = find_truth([upload(A, WORK), upload(B, WORK, uploaded_s=1), broken])
    assert outcomes(truth.assets) == {A: "unique", B: "failed"}
    assert truth.assets[B].is_stale
    assert truth.assets[B].uploaded_s == 1
    assert [pair.query for pair in truth.pairs] == [B]


def test_a_file_that_breaks_off_has_the_segments_that_are_complete() -> None:
    truth = find_truth([upload(A, WORK), upload(B, Piece(1, 16, 24), broken_after_s=17, uploaded_s=1)])
    assert truth.pairs == (TruePair(B, A, (Shared(0, 16, 16),)),)
    assert truth.assets[B].outcome == "failed"
    assert not truth.assets[B].is_stale


def test_a_removed_asset_is_in_no_pair_until_it_is_uploaded_again() -> None:
    steps: list[Step] = [upload(A, WORK), upload(B, WORK, uploaded_s=1), Removal(2, A)]
    truth = find_truth(steps)
    assert outcomes(truth.assets) == {A: "removed", B: "unique"}
    assert not truth.pairs
    assert not truth.assets[A].segments
    again = find_truth([*steps, upload(A, WORK, uploaded_s=3)])
    assert outcomes(again.assets) == {A: "copies", B: "unique"}


def test_segment_files_make_one_asset_whose_time_is_that_of_the_first() -> None:
    parts: list[Step] = [
        replace(upload(A, Piece(1, 12 * n, 12), uploaded_s=9 - n), segment_index=n, start_s=12 * n) for n in (1, 0, 2)
    ]
    truth = find_truth([*parts, End(3, A, 2), upload(B, WORK, uploaded_s=8.5)])
    assert truth.pairs == (TruePair(B, A, (Shared(0, 0, 24),)),)
    assert truth.assets[A].uploaded_s == 8
    whole = upload(A, Piece(3, 0, 8))
    assert find_truth([whole, *parts, End(3, A, 3)]).assets[A].segments == find_truth(parts).assets[A].segments
    assert len(find_truth([*parts, whole]).assets[A].segments) == 1


def test_a_plan_that_leaves_the_truth_open_is_refused() -> None:
    with pytest.raises(ValueError, match="only 4 s are shared"):
        find_truth([upload(A, WORK), upload(B, Piece(1, 0, 4), uploaded_s=1)])
    with pytest.raises(ValueError, match="twice"):
        find_truth([upload(A, WORK, WORK), upload(B, WORK)])


def test_a_film_is_cut_where_its_pieces_meet() -> None:
    film = Film((Piece(1, 5, 10), Piece(2, 0, 10)), noise=1)
    assert cut_film(film, 8, SEGMENT_S) == Film((Piece(1, 13, 2), Piece(2, 0, 6)), noise=1)
    assert cut_film(film, 16, SEGMENT_S) == Film((Piece(2, 6, 4),), noise=1)
    assert [segment.start_s for segment in cut_segments(upload(A, *film.pieces))] == [0, 8, 16]


def upload(
    asset: Asset,
    *pieces: Piece,
    uploaded_s: float = 0,
    role: Role = Role.UPLOAD,
    broken_after_s: int | None = None,
) -> Upload:
    return Upload(uploaded_s, asset, Film(pieces, 1, broken_after_s), uploaded_s, role)


def outcomes(assets: object) -> dict[Asset, str]:
    assert isinstance(assets, dict)
    return {asset: final.outcome for asset, final in assets.items() if isinstance(final, FinalAsset)}

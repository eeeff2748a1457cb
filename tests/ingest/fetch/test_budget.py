"""The bytes that downloads hold together never exceed the budget, except those of one larger file alone."""

import threading

import pytest

from services.ingest.fetch.budget import ByteBudget, NoRoom


def test_reservations_fill_the_budget_and_no_more() -> None:
    budget = ByteBudget(1000)
    first, second, third = budget.open(), budget.open(), budget.open()
    first.require(600)
    second.require(400)
    assert budget.is_used_up
    with pytest.raises(NoRoom, match="1 bytes do not fit beside 1000 of 1000") as refused:
        third.require(1)
    assert refused.value.needs_bytes == 1
    first.shrink(500)
    third.require(100)
    assert (first.size_bytes, second.size_bytes, third.size_bytes) == (500, 400, 100)


def test_a_larger_file_goes_alone() -> None:
    budget = ByteBudget(1000)
    large, small = budget.open(), budget.open()
    small.require(1)
    with pytest.raises(NoRoom):
        large.require(5000)
    assert budget.reserved_bytes == 1
    small.release()
    large.require(5000)
    with pytest.raises(NoRoom):
        small.require(1)
    assert budget.reserved_bytes == 5000


def test_a_reservation_that_cannot_grow_keeps_what_it_holds() -> None:
    budget = ByteBudget(1000)
    first, second = budget.open(), budget.open()
    first.require(400)
    second.require(600)
    with pytest.raises(NoRoom):
        first.require(401)
    first.require(300)
    first.shrink(500)
    assert (first.size_bytes, budget.reserved_bytes) == (400, 1000)


def test_a_release_can_be_repeated_and_counts_once() -> None:
    budget = ByteBudget(1000)
    reservation = budget.open()
    reservation.release()
    assert budget.releases == 0, "there was no file"
    reservation.require(10)
    reservation.release()
    reservation.release()
    assert (budget.reserved_bytes, budget.releases) == (0, 1)


def test_threads_together_never_exceed_it() -> None:
    budget = ByteBudget(10)
    peaks = []

    def work(size_bytes: int) -> None:
        reservation = budget.open()
        for _ in range(300):
            try:
                reservation.require(size_bytes)
            except NoRoom:
                continue
            peaks.append(budget.reserved_bytes)
            reservation.release()

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 3, 4, 6, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(peaks) <= 10
    assert budget.reserved_bytes == 0

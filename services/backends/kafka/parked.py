"""Fixes how kafka-python 3.0.12 keeps the records of paused partitions.

It parks records that were fetched before a pause, and fetches no more of their partition until it has returned them.
"""

from collections.abc import Iterable
from typing import Any


def return_parked_records(client: Any) -> None:
    """Make a consumer return parked records after the pause, even if other partitions were not paused.

    The client looks at them only while it has no other partition's records in hand, and does not notice that it has
    used these up: the resumed partition would stand still for as long as nothing is paused
    (tests/backends/kafka/test_parked.py).
    """
    fetcher = client._fetcher
    fetched = fetcher.fetched_records

    def fetched_records(*arguments: Any, **options: Any) -> Any:
        if not fetcher._next_partition_records:  # used up
            fetcher._next_partition_records = None
        return fetched(*arguments, **options)

    fetcher.fetched_records = fetched_records


def drop_parked_records(client: Any, places: Iterable[Any]) -> None:
    """Forget what was parked of these partitions, so that they are fetched from their new position at once."""
    for place in places:
        client._fetcher._paused_partition_records.pop(place, None)
        client._fetcher._paused_completed_fetches.pop(place, None)

"""Fixes how kafka-python 3.0.12 joins a group."""

from typing import Any


def keep_join_results(client: Any) -> None:
    """Make a consumer use the answer to its JoinGroup even if it arrives between two polls.

    The client awaits the answer only during polls. It discards an answer that arrived between them and sends another
    JoinGroup, which makes all others rejoin: a group whose members work longer between polls than they poll never
    becomes stable. And if new metadata caused the JoinGroup, the client forgets that it sent one: it gets no
    partitions, and sends no heartbeats.
    Here the next poll gets the answer once more, and a JoinGroup is pending until it is answered
    (tests/backends/kafka: `share` in test_consumer.py, test_rejoin.py).
    """
    coordinator = client._coordinator
    join, need = coordinator.join_group_async, coordinator.need_rejoin

    async def answer(assignment: bytes) -> bytes:
        return assignment

    async def join_group_async(timeout_ms: float | None = None) -> Any:
        task = coordinator._join_task
        # After a failure, or if the membership was lost meanwhile, sending another JoinGroup is right.
        if task is not None and task.is_done and task.succeeded() and coordinator.rebalance_in_progress():
            coordinator._join_task = coordinator._manager.call_soon(answer, task.value)
        return await join(timeout_ms)

    def need_rejoin() -> bool:
        return bool(coordinator.rejoining or need())

    coordinator.join_group_async = join_group_async
    coordinator.need_rejoin = need_rejoin


def report_lost_partitions(client: Any) -> None:
    """Make a consumer tell its listener of every loss of its membership, also if it learns of it while it rejoins.

    The client asks only once per rebalance whether the membership is still there. If the group removed the member
    before its JoinGroup arrived, it joins as another member and may get partitions back as if it had kept them, without
    a word, although another consumer has gone on with them meanwhile: its states and positions would be old.
    Here the client asks again after each loss (tests/backends/kafka/test_rejoin.py).
    """
    coordinator = client._coordinator
    reset = coordinator.reset_generation

    def reset_generation(*arguments: Any, **options: Any) -> None:
        reset(*arguments, **options)
        coordinator.rejoining = False

    coordinator.reset_generation = reset_generation

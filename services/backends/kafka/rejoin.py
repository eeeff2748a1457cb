"""Mends how kafka-python 3.0.12 joins a group."""

from typing import Any


def keep_join_results(client: Any) -> None:
    """Let a consumer use the answer to its JoinGroup also when it comes between two polls.

    The client awaits the answer during polls only. One that came between them it throws away, and asks again, which
    makes all others ask again: a group whose members work for longer between polls than they poll never settles. And
    where new metadata made it ask, it forgets having asked: it gets no partitions, and sends no heartbeats either.
    Here the answer is handed to the next poll once more, and a question is open until it is answered
    (tests/backends/kafka/test_consumer.py, `share`; test_kafka_rejoin.py).
    """
    coordinator = client._coordinator
    join, need = coordinator.join_group_async, coordinator.need_rejoin

    async def answer(assignment: bytes) -> bytes:
        return assignment

    async def join_group_async(timeout_ms: float | None = None) -> Any:
        task = coordinator._join_task
        # After a failure, or when the membership was lost meanwhile, to ask again is right.
        if task is not None and task.is_done and task.succeeded() and coordinator.rebalance_in_progress():
            coordinator._join_task = coordinator._manager.call_soon(answer, task.value)
        return await join(timeout_ms)

    def need_rejoin() -> bool:
        return bool(coordinator.rejoining or need())

    coordinator.join_group_async = join_group_async
    coordinator.need_rejoin = need_rejoin

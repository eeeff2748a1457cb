"""Mends how kafka-python 3.0.12 joins a group."""

from typing import Any


def keep_join_results(client: Any) -> None:
    """Let a consumer use the answer to its JoinGroup also when it comes between two polls.

    The client awaits the answer during polls only, and throws away one that came between them: it asks again, which
    makes all others ask again. A group whose members work for longer between polls than they poll never settles
    (tests/backends/test_kafka_consumer.py, `share`). Here such an answer is handed to the next poll once more.
    """
    coordinator = client._coordinator
    original = coordinator.join_group_async

    async def answer(assignment: bytes) -> bytes:
        return assignment

    async def join_group_async(timeout_ms: float | None = None) -> Any:
        task = coordinator._join_task
        # After a failure, or when the membership was lost meanwhile, to ask again is right.
        if task is not None and task.is_done and task.succeeded() and coordinator.rebalance_in_progress():
            coordinator._join_task = coordinator._manager.call_soon(answer, task.value)
        return await original(timeout_ms)

    coordinator.join_group_async = join_group_async

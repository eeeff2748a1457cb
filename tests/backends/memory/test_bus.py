"""What is specific to the bus of one process."""

import time

from services.backends.memory.bus import MemoryBus
from services.contracts.generations import generation_of, published_s
from services.contracts.ports import Message


def test_records_have_the_time_of_their_publication_so_that_generations_rise() -> None:
    bus = MemoryBus()
    started_s = time.time()
    for number in range(3):
        bus.publish([Message("t", "k", str(number).encode()) for _ in range(2)])
    records = bus.open_consumer("t", "g").poll(9, 0)
    generations = [generation_of(record) for record in records]
    assert generations == sorted(set(generations))
    assert started_s - 0.001 <= published_s(generations[0]) <= published_s(generations[-1]) <= time.time()

"""A program: a state consumer that prints what it owns, and stops in the middle of its first transaction.

Its arguments are the address of Kafka, the topics of input, states and output, the group, and its instance.
"""

import sys
import time

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import Timeouts
from services.runtime.log import configure_for_commands
from tests.backends.kafka.cases import connect, join_and_restore, message, take

OWNS = "owns"
IN_TRANSACTION = "in a transaction"


def main(address: str, topic: str, states: str, output: str, group: str, instance: str) -> None:
    configure_for_commands()
    consumer = KafkaBus(connect(address, Timeouts()), instance).open_state_consumer(topic, group, states)
    join_and_restore(consumer)
    print(OWNS, flush=True)  # noqa: T201 - read by the test
    record = take(consumer, 1, patience_s=60)[0]
    consumer._transactions.prepare()
    producer = consumer._transactions._producer

    def stop() -> None:
        print(IN_TRANSACTION, flush=True)  # noqa: T201
        time.sleep(600)

    producer.commit_transaction = stop
    consumer.commit_all([record], [message(output, "half")], {record.partition: {"x": b"half"}})


if __name__ == "__main__":
    main(*sys.argv[1:])

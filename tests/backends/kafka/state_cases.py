"""What tests of states in Kafka share: topics for input, states and output, and consumers of one group."""

from kafka import KafkaProducer, OffsetAndMetadata, TopicPartition

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.state import KafkaStateConsumer
from tests.backends.kafka.cases import connect, make_topic, message, unique_name, values


class Place:
    """An input topic of two partitions with its states, an output topic, and a group."""

    def __init__(self, address: str) -> None:
        self.connection = connect(address)
        self.bus = KafkaBus(self.connection)
        self.input = make_topic(self.connection, "input", 2)
        self.states = make_topic(self.connection, "states", 2, compact=True)
        self.output = make_topic(self.connection, "output")
        self.group = unique_name("group")
        self.open: list[KafkaStateConsumer] = []

    def add_member(self, instance: str) -> KafkaStateConsumer:
        bus = KafkaBus(self.connection, instance)
        self.open.append(bus.open_state_consumer(self.input, self.group, self.states))
        return self.open[-1]

    def publish(self, *numbers: int) -> None:
        self.bus.publish([message(self.input, str(number), key=f"k{number}") for number in numbers])

    def output_values(self) -> list[str]:
        return values(list(self.bus.read([self.output])))

    def open_transaction(self, instance: str, state: bytes, offset: int) -> KafkaProducer:
        """The producer of a transaction of `instance` on partition 0 that is complete but not ended."""
        producer = KafkaProducer(
            **self.connection.producer_arguments(),
            transactional_id=f"{self.group}-{instance}",
            transaction_timeout_ms=6000,
        )
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(self.states, key=b"x", value=state, partition=0)
        producer.send(self.output, key=b"k", value=state)
        producer.flush(5)
        producer.send_offsets_to_transaction(
            {TopicPartition(self.input, 0): OffsetAndMetadata(offset, "", -1)}, self.group
        )
        return producer

    def close(self) -> None:
        for consumer in self.open:
            consumer.close()
        self.bus.close()

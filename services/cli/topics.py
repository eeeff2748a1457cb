"""`copydetect topics`: creates the topics of the services."""

from typing import Annotated

import typer

from services.backends.kafka import topics as kafka_topics
from services.backends.kafka.admin import count_brokers
from services.backends.kafka.connection import KafkaConnection
from services.cli.console import console
from services.runtime.settings import load_settings


def topics(
    partitions: Annotated[
        int, typer.Option(min=1, help="Partitions per topic, the limit of workers; changing it later moves keys")
    ] = kafka_topics.PARTITIONS,
    replication: Annotated[
        int | None,
        typer.Option(min=1, help="Copies of each record; by default one per broker, at most 3"),
    ] = None,
) -> None:
    """Create the missing topics of the services.

    Existing topics are not changed.

    Exit code 0; 1 if Kafka does not answer; 2 for wrong usage.
    """
    connection = KafkaConnection.from_settings(load_settings())
    if replication is None:
        replication = min(kafka_topics.REPLICATION, count_brokers(connection))
    created = kafka_topics.create(connection, kafka_topics.plan(partitions, replication))
    for name in created:
        console.print(f"created {name}")
    if not created:
        console.print("all topics exist; `copydetect doctor` checks their settings", soft_wrap=True)

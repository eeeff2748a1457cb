"""`copydetect topics`: creates the topics of the services."""

from typing import Annotated

import typer

from services.backends.kafka import topics as kafka_topics
from services.backends.kafka.connection import KafkaConnection
from services.cli.console import console
from services.runtime.settings import load_settings


def topics(
    partitions: Annotated[
        int, typer.Option(min=1, help="Of each topic: the most workers there can be; changing it later moves keys")
    ] = kafka_topics.PARTITIONS,
    replication: Annotated[
        int | None,
        typer.Option(min=1, help="Copies of each record; by default as many as there are brokers, at most 3"),
    ] = None,
) -> None:
    """Create the topics that are missing, with the settings they need; those that are there are left alone."""
    connection = KafkaConnection.from_settings(load_settings())
    if replication is None:
        replication = min(kafka_topics.REPLICATION, kafka_topics.broker_count(connection))
    made = kafka_topics.create(connection, kafka_topics.plan(partitions, replication))
    for name in made:
        console.print(f"created {name}")
    if not made:
        console.print(
            "all topics are there; `copydetect doctor` says whether they are as they should be", soft_wrap=True
        )

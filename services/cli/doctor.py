"""`copydetect doctor`: reports what is reachable and what is wrong."""

import time
from collections.abc import Callable, Iterator

import typer

from services.backends.kafka import topics as kafka_topics
from services.backends.kafka.admin import count_brokers
from services.backends.kafka.connection import KafkaConnection
from services.backends.kafka.group_lag import GroupLagReader
from services.backends.kafka.topic_problems import find_problems
from services.cli.console import console
from services.cli.waiting import print_waiting
from services.contracts.errors import CopydetectError
from services.runtime.group_lag import list_groups
from services.runtime.settings import Settings, load_settings, unknown_variables
from tca_model.bundle import load_bundle
from tca_model.errors import BundleError

CHECK_S = 5.0  # how long to wait for a backend that does not answer


def doctor() -> None:
    """Check settings, model, Kafka, Redis, Milvus and where uploads may come from. Show what waits in the topics.

    Exit code 0; 1 if something is wrong; 2 for wrong settings.
    """
    settings = load_settings().model_copy(update={"milvus_timeout_s": CHECK_S})
    console.print("ok     settings")
    for name in unknown_variables():  # not a failure: other programs may use the prefix
        console.print(f"note   settings: nothing reads {name}", soft_wrap=True)
    checks: dict[str, Callable[[Settings], Iterator[str]]] = {
        "model": _check_model,
        "kafka": _check_kafka,
        "redis": _check_redis,
        "milvus": _check_milvus,
        "uploads": _check_uploads,
    }
    failed = [name for name, check in checks.items() if not _report(name, check, settings)]
    if not {"model", "kafka"} & set(failed):
        _show_waiting(settings)
    raise typer.Exit(1 if failed else 0)


def _report(name: str, check: Callable[[Settings], Iterator[str]], settings: Settings) -> bool:
    """Print what a check found. Returns whether nothing is wrong."""
    try:
        problems = list(check(settings))
    except (CopydetectError, BundleError) as error:
        problems = [str(error)]
    for problem in problems:
        console.print(f"wrong  {name}: {problem}", soft_wrap=True)
    if not problems:
        console.print(f"ok     {name}")
    return not problems


def _check_model(settings: Settings) -> Iterator[str]:
    load_bundle(settings.bundle)
    yield from ()


def _check_kafka(settings: Settings) -> Iterator[str]:
    connection = KafkaConnection.from_settings(settings)
    brokers = count_brokers(connection)
    replication = min(kafka_topics.REPLICATION, brokers)
    yield from find_problems(connection, kafka_topics.plan(replication=replication))


def _show_waiting(settings: Settings) -> None:
    groups = list_groups(load_bundle(settings.bundle).model_version)
    reader = GroupLagReader(KafkaConnection.from_settings(settings), groups)
    try:
        print_waiting(reader(), time.time())
    except CopydetectError as error:
        console.print(f"note   kafka: how many records wait is not known: {error}", soft_wrap=True)
    finally:
        reader.close()


def _check_redis(settings: Settings) -> Iterator[str]:
    from services.backends.open import open_redis_cache

    yield from open_redis_cache(settings, load_bundle(settings.bundle)).problems()


def _check_milvus(settings: Settings) -> Iterator[str]:
    from services.backends.milvus.index import MilvusIndex  # importing pymilvus takes a second

    version = load_bundle(settings.bundle).model_version
    others = MilvusIndex.list_model_versions(settings.milvus_uri, token=_token(settings), timeout_s=CHECK_S) - {version}
    if others:
        yield (
            f"also holds descriptors of other models ({', '.join(sorted(others))}): {settings.bundle} is model "
            f"{version}, which never finds them"
        )


def _token(settings: Settings) -> str | None:
    return settings.milvus_token.get_secret_value() if settings.milvus_token else None


def _check_uploads(settings: Settings) -> Iterator[str]:
    if not settings.fetch_roots and not settings.fetch_hosts:
        yield "nothing can be fetched: set COPYDETECT_FETCH_ROOTS (folders) or COPYDETECT_FETCH_HOSTS (hosts)"
    for root in settings.fetch_roots:
        if not root.is_dir():
            yield f"COPYDETECT_FETCH_ROOTS names {root}, which is not a folder here"

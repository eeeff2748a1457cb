"""Whether memory stays flat under load: python -m tests.chaos.soak --minutes 30.

Made events of unique uploads, 64 a second, go to a real alerter, and ends of uploads, a quarter as many, to a real
ingest, which publishes and commits after each record. States are kept for a minute only, so that what is remembered
should be the same after the first minutes. Prints the memory of both processes, and exits with 1 if either grows by
more than a tenth from the first third after warming up to the last, or does not keep up.
"""

import argparse
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from services.backends.kafka import topics as kafka_topics
from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.backends.kafka.group_lag import GroupLagReader
from services.contracts import topics
from services.contracts.envelope import to_message
from services.contracts.events import AssetEnded, Role, SegmentStatus, UploadEnded
from services.contracts.evidence import SegmentSearched
from services.contracts.ports import Message
from services.runtime.group_lag import list_groups
from tca_model.bundle import load_bundle
from tests.chaos.fleet import Instance
from tests.servers.kafka_server import KafkaServer
from tests.servers.milvus_server import MilvusServer
from tests.servers.redis_server import RedisServer

ASSETS_PER_S: Final = 64
ASSETS_PER_END: Final = 4
RETENTION_S: Final = 60.0
WARM_UP_S: Final = 3 * RETENTION_S
SAMPLE_S: Final = 5.0
LARGEST_GROWTH: Final = 1.1
LONGEST_BACKLOG_S: Final = 10.0
SOURCE: Final = "tests/chaos"


def make_events(number: int, model_version: str) -> list[Message]:
    """A unique upload of one segment for the alerter, and now and then the end of another one for ingest."""
    calibration = load_bundle().manifest.calibration.model_copy(update={"basis": ""})
    segment = SegmentSearched(
        asset_id=f"soak-{number}",
        generation=number + 1,
        segment_index=0,
        content=f"{number:016x}",
        is_whole_file=True,
        role=Role.UPLOAD,
        start_s=0,
        end_s=32,
        status=SegmentStatus.DESCRIBED,
        frame_count=32,
        is_compared=True,
        model_version=model_version,
        uploaded_at=datetime.now(UTC),
        calibration=calibration,
    )
    ended = AssetEnded(
        asset_id=segment.asset_id, segment_count=1, duration_s=32, status="complete", generation=number + 1
    )
    messages = [to_message(topics.MATCH_EVIDENCE, event, source=SOURCE) for event in (segment, ended)]
    if number % ASSETS_PER_END == 0:
        end = UploadEnded(asset_id=f"end-{number}", segment_count=1)
        messages.append(to_message(topics.VIDEO_SEGMENTS, end, source=SOURCE))
    return messages


def read_memory_mib(instance: Instance) -> float:
    """The resident memory of a process."""
    status = Path(f"/proc/{instance.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def count_growth(samples: list[float]) -> float:
    """The median of the last third of the samples as a multiple of that of the first."""
    third = max(1, len(samples) // 3)
    return statistics.median(samples[-third:]) / statistics.median(samples[:third])


def main() -> int:
    """Returns the exit status: 1 if the memory of a process grows."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="of load after the warming up")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="copydetect-soak-") as folder:
        return _soak(Path(folder), minutes)


def _soak(folder: Path, minutes: float) -> int:
    servers = [KafkaServer(folder / "kafka"), RedisServer(folder / "redis"), MilvusServer(folder / "milvus")]
    kafka, redis, milvus = servers
    instances: list[Instance] = []
    try:
        for server in servers:
            server.start()
        connection = KafkaConnection(kafka.address)
        kafka_topics.create(connection, kafka_topics.plan(4, replication=1))
        environment = {
            "COPYDETECT_KAFKA_BROKERS": kafka.address,
            "COPYDETECT_REDIS_URL": redis.address,
            "COPYDETECT_MILVUS_URI": milvus.address,
            "COPYDETECT_FETCH_ROOTS": str(folder),
            "COPYDETECT_HTTP_PORT": "0",
            "COPYDETECT_STATE_RETENTION_S": str(RETENTION_S),
            "COPYDETECT_LOG_LEVEL": "WARNING",
        }
        instances = [Instance(f"{service}-1", folder, environment) for service in ("ingest", "alerter")]
        for instance in instances:
            instance.start()
        return _load(KafkaBus(connection), instances, minutes)
    finally:
        for instance in instances:
            instance.kill()
        for server in servers:
            server.kill()


def _load(bus: KafkaBus, instances: list[Instance], minutes: float) -> int:
    """Publish at the rate, and watch the memory of the processes."""
    version = load_bundle().model_version
    samples: dict[str, list[float]] = {instance.name: [] for instance in instances}
    started_s, number, sampled_s = time.monotonic(), 0, 0.0
    while (elapsed_s := time.monotonic() - started_s) < WARM_UP_S + 60 * minutes:
        due = int(elapsed_s * ASSETS_PER_S) - number
        bus.publish([message for one in range(number, number + due) for message in make_events(one, version)])
        number += due
        if elapsed_s - sampled_s >= SAMPLE_S:
            sampled_s = elapsed_s
            for instance in instances:
                if not instance.is_running:
                    sys.stdout.write(f"{instance.name} ended: {instance.log.read_text()[-2000:]}\n")
                    return 1
                if elapsed_s > WARM_UP_S:
                    samples[instance.name].append(read_memory_mib(instance))
        time.sleep(0.25)
    waiting = _count_waiting(bus, version)
    growth = {name: count_growth(taken) for name, taken in samples.items()}
    for name, taken in samples.items():
        line = f"{name}: {min(taken):.0f} to {max(taken):.0f} MiB, last third {growth[name]:.3f} times the first"
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{number} uploads; records that wait: {waiting}\n")
    keeps_up = max(waiting.values()) < LONGEST_BACKLOG_S * ASSETS_PER_S
    return 0 if max(growth.values()) <= LARGEST_GROWTH and keeps_up else 1


def _count_waiting(bus: KafkaBus, model_version: str) -> dict[str, int]:
    """How many records the two services have not committed: memory is flat for one that does nothing."""
    ingest, _, alerter = list_groups(model_version)
    reader = GroupLagReader(bus.connection, [ingest, alerter])
    try:
        return {one.group: one.lag for one in reader()}
    finally:
        reader.close()


if __name__ == "__main__":
    raise SystemExit(main())

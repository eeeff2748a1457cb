"""A cluster per test module: shared Redis and Milvus, and a Kafka of its own."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import apply_edit
from tests.e2e.cluster import Cluster
from tests.servers.fixtures import start_or_skip
from tests.servers.kafka_server import KafkaServer
from tests.servers.process import Backend

ORIGINALS = 4
# Copies by name: the number of the original, and how it was edited.
COPIES = {
    "copy-crop": (0, "crop"),
    "copy-flip": (1, "flip"),
    "copy-recompress": (2, "recompress"),
    "copy-letterbox": (3, "letterbox"),
    "copy-gray": (0, "gray"),
    "copy-trim": (1, "trim"),
    "copy-logo": (2, "logo"),
    "copy-noise": (3, "noise"),
}
UNRELATED = 5


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 4 originals, 8 edited copies of them and 5 unrelated clips, 12 s each."""
    folder = tmp_path_factory.mktemp("uploads")
    for seed in range(ORIGINALS):
        write_clip(folder / f"original-{seed}.mp4", seed, duration_s=12, size=(320, 180), fps=10)
    for seed in range(UNRELATED):
        write_clip(folder / f"unrelated-{seed}.mp4", 100 + seed, duration_s=12, size=(320, 180), fps=10)
    for name, (original, edit) in COPIES.items():
        apply_edit(edit, folder / f"original-{original}.mp4", folder / f"{name}.mp4", seed=1)
    return folder


@pytest.fixture(scope="module")
def module_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A Kafka per module, because the names of the topics are fixed."""
    server = start_or_skip(KafkaServer(tmp_path_factory.mktemp("kafka")))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def cluster(module_kafka: Backend, redis_server: Backend, milvus_server: Backend, clips: Path) -> Iterator[Cluster]:
    """Topics and a tenant for the module; its tests start the services."""
    made = Cluster(module_kafka, redis_server, milvus_server, clips, tenant=f"t{uuid4().hex}")
    yield made
    made.close()

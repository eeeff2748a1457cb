"""The indexes that the contract of DescriptorIndex is tested with."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymilvus import MilvusClient

from services.backends.memory.index import MemoryIndex
from services.backends.milvus.index import MilvusIndex
from services.contracts.ports import DescriptorIndex
from tests.contracts.index_cases import DIMENSION
from tests.servers.process import Backend


@pytest.fixture(scope="session")
def milvus_index(milvus_server: Backend) -> Iterator[MilvusIndex]:
    """One index for all tests: creating its collections takes the server many seconds."""
    version = f"v1_{uuid.uuid4().hex}"
    index = MilvusIndex(milvus_server.address, model_version=version, dimension=DIMENSION)
    yield index
    index.close()
    client = MilvusClient(milvus_server.address, dedicated=True)
    for collection in client.list_collections():
        if collection.endswith(version):
            client.drop_collection(collection)
    client.close()


@pytest.fixture(
    params=["memory", "milvus-lite", pytest.param("milvus", marks=[pytest.mark.integration, pytest.mark.timeout(180)])]
)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DescriptorIndex]:
    if request.param == "milvus":
        shared: MilvusIndex = request.getfixturevalue("milvus_index")
        yield shared
        for collection in shared._milvus.list_collections():
            if collection.endswith(shared.model_version):
                shared._milvus._client.delete(collection, filter='pk != ""')
        return
    opened: DescriptorIndex = (
        MemoryIndex(model_version="v1")
        if request.param == "memory"
        else MilvusIndex(str(tmp_path / "index.db"), model_version="v1", dimension=DIMENSION)
    )
    yield opened
    opened.close()

"""How tests of the Milvus index open it."""

from pathlib import Path

from services.backends.milvus.index import MilvusIndex
from tests.contracts.index_cases import DIMENSION


def open_index(path: Path, *, model_version: str = "v1") -> MilvusIndex:
    """An index in the Milvus Lite database at `path`."""
    return MilvusIndex(str(path), model_version=model_version, dimension=DIMENSION)

"""A Milvus Lite database file, served in this process for as long as it is open.

pymilvus would start the same server for a path that ends in .db, but it hides why a database does not open, shares the
server implicitly, and stops it only when the process ends. Milvus Lite serves one process at a time.
"""

from pathlib import Path

from milvus_lite.adapter.grpc.server import start_server_in_thread
from milvus_lite.exceptions import DataDirLockedError, MilvusLiteError

from services.contracts.errors import UsageError

_LOCK_FILE = "LOCK"  # every Milvus Lite folder has one; without it we do not write into a folder
_GRACE_S = 2.0  # with none, the client side of the connection prints a complaint to stderr


def is_server(uri: str) -> bool:
    """Whether the URI is that of a server; otherwise it is the path of a Milvus Lite database."""
    return "://" in uri


class LiteFile:
    """A running server of the database at `path`, reachable at `uri`.

    Raises UsageError, saying what to do, if a database can neither be opened nor created at the path.
    """

    def __init__(self, path: Path) -> None:
        _check(path)
        try:
            self._server, self._db, port = start_server_in_thread(str(path))
        except DataDirLockedError as error:
            raise UsageError(f"{path} is in use: stop the other process that has it open, or name another") from error
        except (MilvusLiteError, OSError, ValueError) as error:
            raise UsageError(f"cannot open {path}: {error}") from error
        self.uri = f"http://127.0.0.1:{port}"

    def close(self) -> None:
        """Write everything to disk and release the file."""
        self._server.stop(grace=_GRACE_S).wait()
        self._db.close()
        del self._server  # its idle threads end with it


def _check(path: Path) -> None:
    if not path.parent.is_dir():
        raise UsageError(f"cannot open {path}: there is no folder {path.parent}")
    if path.is_file():
        raise UsageError(
            f"{path} is a file, but a Milvus Lite 3 database is a folder: name another path, or remove it "
            "(databases of Milvus Lite before 3.0 cannot be read; scan the videos again)"
        )
    if path.is_dir() and any(path.iterdir()) and not (path / _LOCK_FILE).exists():
        raise UsageError(f"{path} is a folder with other files in it, not a database: name another path")

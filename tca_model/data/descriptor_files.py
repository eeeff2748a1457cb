"""Frame descriptors of many videos on disk: a folder with one npz file per video, named by its id, nothing pickled.

    frames        (T, D) float16 or float32, unit rows
    timestamps_s  (T,) float64, seconds, ascending
    model_version of the bundle; descriptors of two versions are never compared

An id may be any text: characters that a file name cannot hold are percent-encoded (`9/9_1_Y` is in `9%2F9_1_Y.npz`).
YouTube's ids need a case-sensitive file system.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

from tca_model.files import replacing
from tca_model.types import VideoDescriptor

SUFFIX = ".npz"


class DescriptorFolder:
    """The stored descriptors of a folder, read one video at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, video: str) -> Path:
        return self.folder / (quote(video, safe=" ") + SUFFIX)

    def __contains__(self, video: str) -> bool:
        return self.path(video).is_file()

    def videos(self) -> Iterator[str]:
        """The ids of all stored videos, in the order of their file names."""
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            yield unquote(path.name.removesuffix(SUFFIX))

    def read(self, video: str) -> tuple[VideoDescriptor, str]:
        """The descriptor of a video, in float32, and its model version.

        Raises KeyError if the video is not stored, ValueError if its file is damaged or holds something else.
        """
        path = self.path(video)
        try:
            # Opened here, because numpy leaves its own handle of a damaged file open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                frames, timestamps_s, version = (arrays[name] for name in ("frames", "timestamps_s", "model_version"))
            descriptor = VideoDescriptor(timestamps_s.astype(np.float64), frames.astype(np.float32))
        except FileNotFoundError:
            raise KeyError(video) from None
        except KeyError as error:
            raise ValueError(f"{path} is not a file of frame descriptors: {error.args[0]}") from error
        except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path} is damaged or not a file of frame descriptors ({error}): describe it again"
            ) from error
        return descriptor, str(version)

    def write(self, video: str, descriptor: VideoDescriptor, model_version: str) -> None:
        """Store a video's descriptor, with frames in float16. An existing file is replaced whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.path(video)) as new:
            np.savez(
                new,
                frames=descriptor.frames.astype(np.float16),
                timestamps_s=descriptor.timestamps_s,
                model_version=np.array(model_version),
            )

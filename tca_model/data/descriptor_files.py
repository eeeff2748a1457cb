"""Frame descriptors of many videos on disk: a folder with one npz file a video, named after its id, nothing pickled.

    frames        (T, D) float16 or float32, unit rows
    timestamps_s  (T,) float64, seconds, ascending
    model_version the bundle that described them; descriptors of two versions are never compared

An id may be any text: what a file name cannot hold is percent-encoded (`9/9_1_Y` lies in `9%2F9_1_Y.npz`). YouTube's
ids need a file system that tells upper case from lower.
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
        """The ids of all videos stored, in the order of their file names."""
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            yield unquote(path.name.removesuffix(SUFFIX))

    def read(self, video: str) -> tuple[VideoDescriptor, str]:
        """The descriptor of a video, in float32, and the model version that it is of.

        Raises KeyError when the video is not stored, ValueError when its file is damaged or holds something else.
        """
        path = self.path(video)
        try:
            # Opened here: of a damaged file, numpy would leave its own handle open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                frames, timestamps_s, version = (arrays[name] for name in ("frames", "timestamps_s", "model_version"))
            descriptor = VideoDescriptor(timestamps_s.astype(np.float64), frames.astype(np.float32))
        except FileNotFoundError:
            raise KeyError(video) from None
        except KeyError as error:
            raise ValueError(f"{path} is no file of frame descriptors: {error.args[0]}") from error
        except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path} is damaged or no file of frame descriptors ({error}): describe it again"
            ) from error
        return descriptor, str(version)

    def write(self, video: str, descriptor: VideoDescriptor, model_version: str) -> None:
        """Store a video's descriptor, with frames in float16; a file that is there is replaced whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.path(video)) as new:
            np.savez(
                new,
                frames=descriptor.frames.astype(np.float16),
                timestamps_s=descriptor.timestamps_s,
                model_version=np.array(model_version),
            )

"""Turns a decoded frame into an upright RGB picture of the requested size."""

import struct

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from tca_model.errors import DecodeError
from tca_model.types import Image
from tca_model.video.bars import inside_bars
from tca_model.video.panels import Panel

# Bicubic in swscale widens its kernel when it shrinks, so it anti-aliases (measured on a one-pixel checkerboard,
# 1920x1080 to 224x224: deviation 0.1 of 255; area 0.9; fast bilinear 43) and it is what image models are trained with.
# Full chroma keeps colour from being halved once more in the small picture.
SHRINK = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
# The matrices that swscale knows. It refuses the others (YCgCo, reserved); slightly wrong colours are better than an
# error.
COLORSPACES = {0, 1, 2, 4, 5, 6, 7, 9}
UNSPECIFIED = 2
# Bars and panels are looked for in a picture of at most this width: fine enough for half a pixel of what is described.
LOOK_PX = 320


class PictureConverter:
    """Converts the frames of one video; `size` is (width, height), None the stored size."""

    def __init__(self, size: tuple[int, int] | None, *, remove_bars: bool) -> None:
        self._size = size
        self._remove_bars = remove_bars
        self._rescale = VideoReformatter()

    def convert(self, frame: VideoFrame, panel: Panel | None = None) -> Image:
        """The frame or a panel of it, (H, W, 3), without bars, turned and mirrored as the display matrix says.

        It is scaled before it is turned, because turning a small one is cheap. Raises DecodeError.
        """
        if frame.colorspace not in COLORSPACES:
            frame.colorspace = UNSPECIFIED
        a, b, _, c, d = _display_matrix(frame)
        turned = abs(b) + abs(c) > abs(a) + abs(d)  # browsers also support only quarter turns
        size = self._size and (self._size[::-1] if turned else self._size)
        shown = frame if panel is None else self._part(frame, panel)
        image = self._rgb(self._inside(shown) if self._remove_bars else shown, size)
        # The matrix sends a stored point (x, y) to (a x + c y, b x + d y), y downwards.
        if turned:
            image, a, d = image.swapaxes(0, 1), c, b
        image = image[:: 1 if d > 0 else -1, :: 1 if a > 0 else -1]
        return np.ascontiguousarray(image)

    def shrink(self, frame: VideoFrame) -> Image:
        """The frame as it is stored, (H, W, 3), small enough to be searched quickly. Raises DecodeError."""
        scale = min(1.0, LOOK_PX / frame.width)
        return self._rgb(frame, (round(frame.width * scale), max(1, round(frame.height * scale))))

    def _part(self, frame: VideoFrame, panel: Panel) -> VideoFrame:
        height, width = frame.height, frame.width
        rows = slice(round(panel.top * height), round(panel.bottom * height))
        columns = slice(round(panel.left * width), round(panel.right * width))
        return VideoFrame.from_ndarray(np.ascontiguousarray(self._rgb(frame)[rows, columns]), format="rgb24")

    def _rgb(self, frame: VideoFrame, size: tuple[int, int] | None = None) -> Image:
        width, height = size or (frame.width, frame.height)
        try:
            rgb = self._rescale.reformat(frame, width, height, "rgb24", interpolation=SHRINK, threads=1)
        except av.error.FFmpegError as error:
            raise DecodeError(f"its pixels cannot be converted to RGB ({error.strerror})") from error
        return rgb.to_ndarray().astype(np.uint8, copy=False)

    def _inside(self, frame: VideoFrame) -> VideoFrame:
        """The frame without its bars; the frame itself if it has none."""
        look = self.shrink(frame)
        scale = look.shape[1] / frame.width
        rows, columns = inside_bars(look)
        if (rows.stop - rows.start, columns.stop - columns.start) == look.shape[:2]:
            return frame
        picture = self._rgb(frame)[_scale(rows, scale), _scale(columns, scale)]
        return VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")


def _scale(inside: slice, scale: float) -> slice:
    return slice(round(inside.start / scale), round(inside.stop / scale))


def _display_matrix(frame: VideoFrame) -> tuple[int, ...]:
    """The upper two rows of the matrix that browsers apply: (a, b, _, c, d)."""
    try:
        # Not `frame.side_data`: the frame would keep what it returns, which refers to the frame, and a whole picture
        # would stay in memory until the garbage collector finds the two.
        matrix = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    except ValueError:  # PyAV does not know every type that FFmpeg writes, and one unknown hides them all
        quarters = round(frame.rotation / 90) % 4  # counterclockwise
        return ((1, 0, 0, 0, 1), (0, -1, 0, 1, 0), (-1, 0, 0, 0, -1), (0, 1, 0, -1, 0))[quarters]
    return (1, 0, 0, 0, 1) if matrix is None else struct.unpack_from("=5i", matrix)

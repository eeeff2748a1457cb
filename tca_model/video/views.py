"""Turns sampled frames into pictures: the whole frame, then one view per panel, all with the frame's time."""

from collections.abc import Iterator

from av.video.frame import VideoFrame

from tca_model.types import Frame
from tca_model.video.panels import ENOUGH_FRAMES, PanelFinder, PanelMemory
from tca_model.video.picture import PictureConverter


class Views:
    """The views of one video's frames; up to ENOUGH_FRAMES are held back until their panels are known."""

    def __init__(
        self, size: tuple[int, int] | None, *, remove_bars: bool, panels: bool, memory: PanelMemory | None = None
    ) -> None:
        """`size` is (width, height), None the stored size; without `panels`, whole frames only.

        `memory`: of views that these continue.
        """
        self._converter = PictureConverter(size, remove_bars=remove_bars)
        self._finder = PanelFinder(memory) if panels else None
        self._held: list[tuple[float, VideoFrame]] = []

    @property
    def memory(self) -> PanelMemory | None:
        """What is remembered of the frames so far, unless some are held back; None without panels."""
        return self._finder.memory if self._finder else None

    @property
    def holds_frames(self) -> bool:
        return bool(self._held)

    def add_frame(self, time_s: float, frame: VideoFrame) -> Iterator[Frame]:
        """Take in the next frame, and yield the views that are ready, in time order. Raises DecodeError."""
        self._held.append((time_s, frame))
        if self._finder is not None:
            self._finder.add_frame(self._converter.shrink(frame))
            if not self._finder.has_seen_enough and len(self._held) < ENOUGH_FRAMES:
                return
        yield from self.flush()

    def flush(self) -> Iterator[Frame]:
        """Yield the views of the held frames. Raises DecodeError."""
        held, self._held = self._held, []
        for time_s, frame in held:
            yield Frame(time_s, self._converter.convert(frame))
            for panel in self._finder.panels if self._finder else ():
                yield Frame(time_s, self._converter.convert(frame, panel))

"""What is no video, or a damaged one: words instead of crashes, the frames that are there, and no playlist opened."""

import io
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from tca_model.errors import DecodeError
from tca_model.video.decode import sample_frames
from tests.clips import steady, write_clip, write_sound
from tests.tca_model.video.cases import assert_pictures_belong, sample, times


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"hello", "not a video"),
        (bytes(np.random.default_rng(0).integers(0, 256, 50_000, np.uint8)), "not a video"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a video"),
    ],
)
def test_what_is_not_a_video_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        list(sample_frames(io.BytesIO(content)))


def test_audio_only(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="audio only"):
        sample(write_sound(tmp_path / "a.m4a"))


def cut(path: Path, part: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    return path


def test_an_mp4_without_its_index_is_truncated(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="truncated"):
        sample(cut(write_clip(tmp_path / "a.mp4", steady(3, 25)), 0.6))


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4"])
def test_a_truncated_stream_gives_the_frames_that_are_there(tmp_path: Path, name: str) -> None:
    faststart = {"movflags": "faststart"} if name == "a.mp4" else {}
    clip = write_clip(tmp_path / name, steady(10, 25), options={"g": "10"}, container_options=faststart)
    frames = sample(cut(clip, 0.6))
    assert 2 <= len(frames) < 10
    # The frame of the last second may be among those that the cut took; then a later one of that second stands for it.
    assert times(frames) == pytest.approx([float(n) for n in range(len(frames))], abs=0.2)
    assert_pictures_belong(frames)


def test_damage_in_the_middle_does_not_lose_the_rest(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (250, 48, 64, 3), np.uint8)
    clip = write_clip(tmp_path / "a.mp4", steady(10, 25), images=noise, options={"g": "10"})
    data = bytearray(clip.read_bytes())
    middle = slice(len(data) // 3, len(data) // 3 + 20_000)
    data[middle] = bytes(20_000)
    frames = sample_frames(io.BytesIO(bytes(data)))
    assert times(list(frames))[-1] == 9.0


@pytest.fixture
def requests() -> Iterator[list[str]]:
    """What is asked of a local web server, whose address is the first item."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    seen.append(f"http://127.0.0.1:{server.server_port}/a.ts")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("kind", ["hls", "concat", "dash", "sdp"])
@pytest.mark.parametrize("target", ["file", "http"])
def test_a_playlist_opens_nothing(tmp_path: Path, requests: list[str], kind: str, target: str) -> None:
    local = write_clip(tmp_path / "secret.ts", steady(1, 25))
    url = requests[0] if target == "http" else str(local)
    text = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{url}'\n",
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}</BaseURL></MPD>',
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\na=control:{url}\nm=video 0 RTP/AVP 96\n",
    }[kind]
    playlist = tmp_path / "a.mp4"
    playlist.write_text(text)
    with pytest.raises(DecodeError, match="not a video"):
        sample(playlist)
    assert len(requests) == 1


def test_an_error_of_the_file_itself_is_not_the_videos_fault(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        """Fails after its first 8 bytes."""

        def read(self, _size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError("disk on fire")
            return super().read(8)

    clip = write_clip(tmp_path / "a.mp4", [0])
    with pytest.raises(OSError, match="disk on fire"):
        list(sample_frames(Broken(clip.read_bytes())))

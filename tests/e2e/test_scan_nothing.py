"""Videos that share only uninformative pictures (black, title cards, test pictures, stills) cause no alerts."""

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL import ImageDraw, ImageFont

from services.cli.files import VideoFile
from services.cli.scan import Scan
from services.runtime.settings import Settings
from tca_model.synthetic.clips import clip_frames
from tca_model.synthetic.writer import write_video
from tca_model.types import Image

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

FPS = 4
SIZE = (320, 180)
BARS = ["#c0c0c0", "#c0c000", "#00c0c0", "#00c000", "#c000c0", "#c00000", "#0000c0"]


def black() -> Image:
    return np.full((SIZE[1], SIZE[0], 3), 16, np.uint8)


def card() -> Image:
    picture = PIL.Image.new("RGB", SIZE, "#101828")
    ImageDraw.Draw(picture).text((90, 70), "PREVIOUSLY", fill="white", font=ImageFont.load_default(24))
    return np.asarray(picture)


def bars() -> Image:
    picture = PIL.Image.new("RGB", SIZE)
    draw = ImageDraw.Draw(picture)
    width = SIZE[0] / len(BARS)
    for number, colour in enumerate(BARS):
        draw.rectangle((number * width, 0, (number + 1) * width, 130), fill=colour)
        draw.rectangle((number * width, 130, (number + 1) * width, 180), fill=BARS[-number])
    draw.ellipse((100, 30, 220, 150), outline="white", width=3)
    return np.asarray(picture)


def photograph() -> Image:
    return next(clip_frames(77, 1, SIZE, FPS))


def show(image: Image, seconds: int) -> Iterator[Image]:
    return repeat(image, seconds * FPS)


def add_noise(images: Iterator[Image], seed: int) -> Iterator[Image]:
    random = np.random.default_rng(seed)
    for image in images:
        yield np.clip(image + random.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def move(seed: int, seconds: int) -> Iterator[Image]:
    return clip_frames(seed, seconds, SIZE, FPS)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[frozenset[str]], dict[str, str]]:
    """The pairs that alert, and the reason of each file that was not compared; there are two files of each kind."""
    folder = tmp_path_factory.mktemp("nothing")
    for n in (0, 1):
        for name, image in (("black", black()), ("card", card()), ("bars", bars()), ("photograph", photograph())):
            write_video(folder / f"{name}-{n}.mp4", add_noise(show(image, 40), seed=n), fps=FPS, crf=20 + 10 * n)
        beginning = [*show(card(), 8), *move(n, 24)]
        write_video(folder / f"title-{n}.mp4", beginning, fps=FPS, crf=20 + 10 * n)
        end = [*move(10 + n, 24), *add_noise(show(photograph(), 20), seed=n), *show(black(), 10)]
        write_video(folder / f"end-{n}.mp4", end, fps=FPS, crf=20 + 10 * n)
    copied = [*show(card(), 8), *move(0, 24)]
    write_video(folder / "copy.mp4", copied, fps=FPS, crf=32)
    files = [VideoFile(str(path)) for path in sorted(folder.glob("*.mp4"))]
    rows, problems = Scan(files, None, Settings(), exhaustive=True).run()
    pairs = {frozenset((Path(row.query).stem, Path(row.reference).stem)) for row in rows}
    return pairs, {Path(problem.path).stem: problem.reason for problem in problems}


def test_only_copied_content_alerts(scanned: tuple[set[frozenset[str]], dict[str, str]]) -> None:
    assert scanned[0] == {frozenset(("title-0", "copy"))}


def test_files_that_show_nothing_are_reported_with_the_reason(
    scanned: tuple[set[frozenset[str]], dict[str, str]],
) -> None:
    undecidable = {f"{name}-{n}" for name in ("black", "card", "bars", "photograph") for n in (0, 1)}
    assert scanned[1].keys() == undecidable
    assert all("shows nothing" in reason for reason in scanned[1].values())

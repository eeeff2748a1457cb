"""Damaged files of every accepted container fail in words, or are decoded as far as they can be; no decoder dies."""

from pathlib import Path

import pytest

from services.ingest.decode.events import DecodeFinished
from tca_model.video.containers import CONTAINERS
from tests.clips import steady, write_clip
from tests.ingest.decode.decoding import MakePool
from tests.ingest.decode.fuzzing import damage, decode_damaged, find_deaths

# A suffix and a codec of each container.
FILMS = {
    "mov": (".mp4", "libx264"),
    "matroska": (".mkv", "libx264"),
    "webm": (".webm", "libvpx"),
    "avi": (".avi", "mpeg4"),
    "flv": (".flv", "flv"),
    "ogg": (".ogv", "libvpx"),
    "mpegts": (".ts", "libx264"),
    "mpeg": (".mpg", "mpeg2video"),
    "asf": (".wmv", "wmv2"),
    "gif": (".gif", "gif"),
}


def test_every_container_is_tried() -> None:
    assert FILMS.keys() == CONTAINERS.keys()


def test_damage_is_the_same_each_time_and_differs_from_file_to_file() -> None:
    data = bytes(range(256)) * 20
    variants = list(damage(data, 28, seed=0))
    assert variants == list(damage(data, 28, seed=0))
    assert len({*variants, data}) == 29


@pytest.mark.integration
@pytest.mark.timeout(240)
@pytest.mark.parametrize("container", FILMS)
def test_damaged_files_end_no_decoder(make_pool: MakePool, tmp_path: Path, container: str) -> None:
    suffix, codec = FILMS[container]
    pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
    film = write_clip(tmp_path / f"a{suffix}", steady(4, 25), codec=codec, pix_fmt=pix_fmt)
    ends = decode_damaged(make_pool(workers=2, panels=True), tmp_path, film, 21)
    assert find_deaths(ends) == []
    assert sum(isinstance(end, DecodeFinished) for end in ends) >= 5, "otherwise the damage is too coarse to test much"

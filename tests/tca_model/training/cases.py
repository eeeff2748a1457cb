"""Shared by tests of training: folders of pictures, and a small backbone to run on them."""

from pathlib import Path

import numpy as np
from PIL import Image

NAME, SIDE, DIMENSION, PICTURES = "test_efficientnet", 64, 12, 60


def write_pictures(root: Path) -> list[Path]:
    """60 pictures in two folders, one nested, in RGB, grey and with transparency; also a broken one."""
    rng = np.random.default_rng(0)
    modes = {3: "L", 4: "RGBA"}
    for index in range(PICTURES):
        folder = root / ("first" if index < 20 else "second/deeper")
        folder.mkdir(parents=True, exist_ok=True)
        blocks = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(6, axis=0).repeat(5, axis=1)
        suffix = (".png", ".jpg", ".webp", ".bmp", ".png", ".PNG")[index % 6]
        Image.fromarray(blocks).convert(modes.get(index % 6 if index < 6 else 0, "RGB")).save(
            folder / f"{index:03}{suffix}"
        )
    (root / "second" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    (root / "first" / "notes.txt").write_text("not counted")
    return [root / "first", root / "second"]

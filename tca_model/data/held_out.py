"""The families of clips that the benchmark uses and no training may see.

A family is one room, robot, laboratory or person: clips of one family share what a network could memorise.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

MANIFEST = "manifest.csv"  # of a folder of clips: has at least the columns `clip` and `family`

# Do not change: every published quality figure depends on them.
ORIGINALS = (
    "video-captioni-5haf-inrfy0-3-25",
    "rerender-a-vid-pexels-koolshooters-7322716",
    "liveportrait-d11",
    "video-llava-sample-demo-1",
    "ask-anything-making-cake",
    "editly-assets-lofoten",
    "drift-aurora",
    "droid-20d7e5d4",
    "sample-videos-worker-zone-detection",
    "furg-fire-data-house6",
    "depthcrafter-g-4511004-uhd-3840-2160-24fps-rgb",
    "shape-of-motio-dance-jump-input",
    "video-captioni-je3v7u5ctj4-569-576",
    "liveportrait-s18",
    "video-llama-boat",
    "video-captioni-3qqektpxlns-1-15",
    "simpl-chrome",
    "videohash-rocket",
    "video-captioni-0lh-uwf9zp4-62-69",
    "shape-of-motio-rhino-input",
    "sample-videos-one-by-one-person-detection",
    "st-llm-monkey",
    "droid-bc15b34b",
    "imageio-binari-cockatoo",
)
DISTRACTORS = (
    "shape-of-motio-seal-hold",
    "depthcrafter-g-example-5927704",
    "liveportrait-d19",
    "shape-of-motio-baby-1",
    "omnimotion-git-car-roundabout-pseudo-depth",
    "shape-of-motio-sriracha-tree-ours",
    "shape-of-motio-cat-spinning",
    "depthcrafter-g-example-8398057",
    "mmaction2-test",
    "depthcrafter-g-example-5473765",
    "depthcrafter-g-example-5548030",
    "liveportrait-d12",
    "droid-f147f077",
    "droid-764db432",
    "processing-vid-launch2",
    "sample-videos-bottle-detection",
    "video-llava-demo",
    "depthcrafter-g-4154539-uhd-3840-2160-24fps-rgb",
    "fresco-dog",
    "shared-assets-tears-of-steel-battle-clip-medium",
    "st-llm-cooking",
    "omnimotion-git-birch",
    "sam2-02-cups",
    "video-captioni-wtf5egvy5uu-124-128",
    "depthcrafter-g-13-butterfly-rgb",
    "omnimotion-git-india",
    "shape-of-motio-cat-piano",
    "liveportrait-d6",
    "drift-rain-static",
    "gpmf-parser-max-heromode",
    "ask-anything-playing-guitar",
    "intel-headpose",
    "track-anything-test-sample4",
    "shared-assets-bug-video-640",
    "liveportrait-s13",
    "droid-36906660",
    "simpl-small",
    "gnm-general-naviga-nate-flight1-3pv",
    "shape-of-motio-breakdance-flare-input",
    "droid-4b1df5eb",
)
HELD_OUT = frozenset(ORIGINALS + DISTRACTORS)


def families(folder: Path) -> dict[str, list[Path]]:
    """The clips of a folder by family, from its manifest; empty if it names no families.

    Raises FileNotFoundError without a manifest.
    """
    found: dict[str, list[Path]] = {}
    with (folder / MANIFEST).open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row.get("family") and row.get("clip"):
                found.setdefault(row["family"], []).append(folder / row["clip"])
    return found


def without_held_out(videos: Sequence[Path]) -> tuple[list[Path], int]:
    """The videos that training may see, and the number of those it may not, because their families are held out.

    Manifests are looked up in the folder of each video and all folders above; links are resolved. A video that no
    manifest names is the user's own and allowed.
    """
    real = [video.resolve() for video in videos]
    refused = {
        clip
        for folder in {parent for video in real for parent in video.parents}
        if (folder / MANIFEST).is_file()
        for family, clips in families(folder).items()
        if family in HELD_OUT
        for clip in clips
    }
    allowed = [video for video, path in zip(videos, real, strict=True) if path not in refused]
    return allowed, len(videos) - len(allowed)

"""A report in a real browser: pictures load, text fits, sorting works, and nothing else is loaded.

Chromium runs without a window and prints the resulting page. A script in a copy of the page inspects what the browser
made of it.
"""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.cli.console import progress_bar
from services.cli.files import VideoFile
from services.cli.report.build import build_report
from services.cli.report.page import Scanned
from services.cli.results import FoundPair, Problem
from services.contracts.events import CopiedInterval
from services.runtime.settings import Settings
from tca_model.bundle import load_bundle
from tests.cli.found import alert
from tests.clips import steady, write_clip
from tests.descriptors import cut, work

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

NASTY = "<script>document.title='ran'<!-- \"quoted\" & 'x' " + "long-name-without-a-break_" * 5 + ".mp4"
WIDTHS_PX = (390, 1280)
FRAME = """<!doctype html><meta charset="utf-8">
<iframe src="{page}" style="width: {width_px}px; height: 900px; border: 0"></iframe><pre id="seen"></pre><script>
addEventListener("message", (event) => document.getElementById("seen").append(event.data));
</script>"""  # the windows of Chromium are 500 px wide or more
CHECK = """
<script>
const column = (n) => [...document.querySelectorAll("#pairs tbody tr")].map((row) => row.cells[n].dataset.value
  ?? row.cells[n].firstChild.textContent);
function isDrawn(image) {
  const canvas = document.createElement("canvas");
  if (!image.naturalWidth) return false;
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return context.getImageData(0, canvas.height - 1, 1, 1).data[3] === 255;
}
addEventListener("load", () => {
  const images = [...document.images];
  const wide = [...document.querySelectorAll("body, body *:not(svg *):not(script)")];
  const room = document.documentElement.clientWidth;
  const seen = {
    title: document.title,
    images: images.length,
    broken: images.filter((image) => !isDrawn(image)).map((image) => image.alt),
    room,
    page: document.documentElement.scrollWidth,
    overflowing: wide.filter((one) => one.clientWidth && one.scrollWidth > one.clientWidth + 1
      || one.getBoundingClientRect().right > room + 1).map((one) => one.outerHTML.slice(0, 200)),
    cut: [...document.querySelectorAll("svg")].flatMap((svg) => [...svg.querySelectorAll("text")].filter((label) => {
      const [inner, outer] = [label.getBoundingClientRect(), svg.getBoundingClientRect()];
      return inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.bottom > outer.bottom + 1;
    })).map((label) => label.textContent),
    requests: performance.getEntriesByType("resource").map((one) => one.name.slice(0, 100))
      .filter((name) => !name.startsWith("data:")),
    names: [...document.querySelectorAll("#pairs .path")].map((cell) => cell.firstChild.textContent),
    before: column(3),
    background: getComputedStyle(document.body).backgroundColor,
  };
  const [rank, query, , score] = document.querySelectorAll("#pairs th button");
  score.click();
  seen.descending = column(3);
  score.click();
  seen.ascending = column(3);
  seen.announced = score.closest("th").getAttribute("aria-sort");
  query.click();
  seen.byName = column(1);
  rank.focus();
  seen.focused = document.activeElement === rank;
  document.querySelector("#pairs tbody tr td:nth-child(4)").click();
  seen.jumped = location.hash;
  parent.postMessage(JSON.stringify(seen), "*");
});
</script>
"""


@dataclass(frozen=True)
class Report:
    path: Path
    html: str


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report on a clip with a nasty name, an upright one, a deleted one, and a file that is not a video."""
    folder = tmp_path_factory.mktemp("clips")
    paths = {
        "nasty": write_clip(folder / NASTY, steady(12, 5), size=(320, 180)),
        "upright": write_clip(folder / "upright.mp4", steady(40, 2), size=(90, 160)),
        "gone": folder / "gone.mp4",
    }
    described = {"nasty": cut("nasty", work(1, 0, 12)), "upright": cut("upright", work(1, 0, 40))}
    described["gone"] = cut("gone", work(1, 0, 12))
    many = tuple(interval(n, n + 1, 2 * n) for n in range(12))
    pairs = [
        pair(paths, "nasty", "upright", 0.95, (interval(0, 12, 0),)),
        pair(paths, "upright", "gone", 0.5, (interval(0, 10, 0), interval(20, 25, 3))),
        pair(paths, "gone", "nasty", 0.31, many),
        pair(paths, "upright", "nasty", 0.05, ()),
    ]
    manifest = load_bundle("default").manifest
    problems = [Problem(f"{folder}/no video {NASTY}", "not a video, or of a format that is not accepted")]
    scanned = Scanned(pairs, problems, 4, 2, 0.2, manifest, "0123456789ab")
    with progress_bar() as progress:
        pieces = build_report(scanned, described.__getitem__, Settings(), progress)
    path = folder / "report.html"
    path.write_text("".join(pieces), encoding="utf-8")
    return Report(path, "".join(pieces))


def interval(query_start_s: float, query_end_s: float, reference_start_s: float) -> CopiedInterval:
    return CopiedInterval(
        query_start_s=query_start_s,
        query_end_s=query_end_s,
        reference_start_s=reference_start_s,
        reference_end_s=reference_start_s + query_end_s - query_start_s,
        score=0.9,
    )


def pair(
    paths: dict[str, Path], query: str, reference: str, score: float, intervals: tuple[CopiedInterval, ...]
) -> FoundPair:
    found = alert(VideoFile(query), VideoFile(reference), score)
    sides = {
        "query": found.query.model_copy(update={"asset_id": query}),
        "reference": found.reference.model_copy(update={"asset_id": reference}),
    }
    found = found.model_copy(update={**sides, "intervals": intervals})
    return FoundPair(str(paths[query]), str(paths[reference]), found)


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., str]:
    """A function that opens a page in Chromium without a network and returns it as it is after loading."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium (sh deploy/system-packages.sh test installs it)")

    def run(page: Path, *options: str) -> str:
        done = subprocess.run(
            [
                *(
                    chromium,
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--no-first-run",
                ),
                *("--disable-extensions", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"),
                *(f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1300,900", "--hide-scrollbars"),
                *("--virtual-time-budget=10000", *options, "--dump-dom", page.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout

    return run


@pytest.fixture
def look(report: Report, browse: Callable[..., str], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A function that returns what CHECK finds in a copy of the page that allows it to run."""

    def run(width_px: int, *options: str) -> dict[str, Any]:
        page = re.sub(r"script-src '[^']+'", "script-src 'unsafe-inline'", report.html, count=1)
        copy = tmp_path / "copy.html"
        copy.write_text(page.replace("</body>", f"{CHECK}</body>"), encoding="utf-8")
        frame = tmp_path / "frame.html"
        frame.write_text(FRAME.format(page=copy.name, width_px=width_px))
        [said] = re.findall(r'<pre id="seen">(.+?)</pre>', browse(frame, *options), re.DOTALL)
        seen: dict[str, Any] = json.loads(html.unescape(said))
        return seen

    return run


@pytest.mark.parametrize("width_px", WIDTHS_PX)
def test_pictures_load_text_fits_and_the_table_sorts(look: Callable[..., dict[str, Any]], width_px: int) -> None:
    seen = look(width_px)

    assert seen["room"] == width_px
    assert seen["images"] >= 30
    assert seen["broken"] == []
    assert seen["page"] <= width_px
    assert seen["overflowing"] == []
    assert seen["cut"] == []
    assert seen["requests"] == []

    numbers = [0.05, 0.31, 0.5, 0.95]
    assert list(map(float, seen["before"])) == numbers[::-1]
    assert list(map(float, seen["descending"])) == numbers[::-1]
    assert list(map(float, seen["ascending"])) == numbers
    assert seen["announced"] == "ascending"
    assert seen["byName"] != seen["byName"][::-1]
    assert [name.casefold() for name in seen["byName"]] == sorted(name.casefold() for name in seen["byName"])
    assert seen["focused"]
    assert re.fullmatch(r"#match-[1-4]", seen["jumped"])

    assert NASTY in seen["names"]
    assert seen["title"].startswith("copydetect: ")  # no script in a name has run


def test_the_page_runs_its_own_script_under_its_policy(report: Report, browse: Callable[..., str]) -> None:
    loaded = browse(report.path)
    assert loaded.count('<button type="button">') == loaded.count('<th scope="col"') - 2  # of the table of problems
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', loaded)
    assert policy is not None
    assert "unsafe" not in policy[1]


def test_a_script_injected_into_the_page_does_not_run(
    report: Report, browse: Callable[..., str], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.html"
    copy.write_text(report.html.replace("</body>", "<script>document.title = 'ran'</script></body>"), encoding="utf-8")
    loaded = browse(copy)
    assert "document.title = 'ran'" in loaded
    assert "<title>copydetect: " in loaded


def test_the_page_is_dark_on_dark_screens(look: Callable[..., dict[str, Any]]) -> None:
    def brightness(colour: str) -> float:
        return float(np.mean([int(part) for part in re.findall(r"\d+", colour)[:3]]))

    assert brightness(look(1280)["background"]) > 200
    assert brightness(look(1280, "--blink-settings=preferredColorScheme=0")["background"]) < 60

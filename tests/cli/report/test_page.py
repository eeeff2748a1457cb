"""The page of a report: what it shows, nothing unescaped, and nothing from anywhere else."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

from services.cli.files import VideoFile
from services.cli.report.evidence import Moment
from services.cli.report.matrix import Matrix
from services.cli.report.page import Evidence, Scanned, render_page
from services.cli.report.pictures import Picture, Pictures
from services.cli.results import FoundPair, Problem
from tca_model.bundle import Manifest, find_bundle
from tests.cli.found import alert

AT = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
PIXEL = Picture("data:image/png;base64,AAAA", 160, 90)
NASTY = "/clips/<script>alert(1)<!-- \"a\" & 'b'.mp4"


class Elements(HTMLParser):
    """The start tags of a page, and the text that it shows."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.shown = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.shown += data


def make_scanned(*pairs: FoundPair, problems: tuple[Problem, ...] = (), threshold: float | None = 0.2) -> Scanned:
    manifest = Manifest.model_validate_json((find_bundle("default") / "bundle.json").read_bytes())
    return Scanned(pairs, problems, 3, None, threshold, manifest, "0123456789ab")


def pair(query: str = "/clips/q.mp4", reference: str = "/clips/r.mp4", score: float = 0.9) -> FoundPair:
    return FoundPair(query, reference, alert(VideoFile("q"), VideoFile("r"), score))


def html_of(found: Scanned, evidence: int = 1, pictures: Mapping[str, Pictures] | None = None) -> str:
    both = {one: Pictures({0.0: PIXEL}) for pair in found.pairs for one in (pair.query, pair.reference)}
    shown = Evidence(Matrix(PIXEL, 10, 20), [Moment(0.0, 0.0, 0.93)])
    return "".join(render_page(found, [shown] * evidence, both if pictures is None else pictures, AT))


def test_the_page_says_what_was_compared_and_how() -> None:
    shown = Elements(html_of(make_scanned(pair(), problems=(Problem("/b.mp4", "empty file"),)))).shown
    for fact in ("1 pair in 3 files", "0.20", "default", "0123456789ab", "2026-11-24 12:30 UTC", "empty file", "0.900"):
        assert fact in shown
    off = Elements(html_of(make_scanned(pair(), threshold=None))).shown
    assert "All pairs that were compared are listed" in off


def test_names_are_escaped_whatever_they_contain() -> None:
    plain = Elements(html_of(make_scanned(pair(), problems=(Problem("/b.mp4", "no"),))))
    nasty = Elements(
        html_of(
            make_scanned(pair(NASTY, "/clips/\udcff.mp4"), problems=(Problem(NASTY, "<b>no</b>"),)),
            pictures={NASTY: Pictures({}, "<i>gone</i>"), "/clips/\udcff.mp4": Pictures({0.0: PIXEL})},
        )
    )
    assert nasty.tags.count("script") == plain.tags.count("script") == 1
    assert nasty.tags.count("i") == nasty.tags.count("b") - plain.tags.count("b") == 0
    assert nasty.shown.count(NASTY.rpartition("/")[2]) >= 3
    assert "\\xff.mp4" in nasty.shown
    assert "<i>gone</i>" in nasty.shown


def test_the_page_loads_nothing() -> None:
    html = html_of(make_scanned(pair()))
    places = [value or "" for name, value in Elements(html).attributes if name in ("src", "href", "srcset", "action")]
    assert places
    assert all(place.startswith(("data:image/", "#")) for place in places)
    assert "url(" not in html.replace("url(#scale)", "")
    assert "default-src 'none'; img-src data:; style-src 'sha256-" in html


def test_missing_frames_are_reported_in_their_place() -> None:
    found = pair()
    pictures = {found.query: Pictures({}, "No such file or directory"), found.reference: Pictures({0.0: PIXEL})}
    shown = Elements(html_of(make_scanned(found), pictures=pictures))
    assert "No picture of the query /clips/q.mp4: No such file or directory" in shown.shown
    assert shown.shown.count("no picture") == 1
    assert shown.tags.count("img") == 1


def test_pairs_without_a_match_have_a_row_and_the_page_says_so() -> None:
    shown = Elements(html_of(make_scanned(pair(), pair(score=0.5), pair(score=0.4))))
    assert shown.tags.count("article") == 1
    assert [value for _, value in shown.attributes if value and value.startswith("#match-")] == ["#match-1"]
    assert "The best 1 pairs have a match below; 2 more only have a row." in shown.shown
    assert "0.400" in shown.shown


def test_without_pairs_the_page_says_so() -> None:
    shown = Elements(html_of(make_scanned(), evidence=0))
    assert "No pair of files shares content." in shown.shown
    assert "article" not in shown.tags


def test_a_pair_without_interval_has_its_matrix() -> None:
    found = pair()
    found = replace(found, alert=found.alert.model_copy(update={"intervals": ()}))
    shown = Elements("".join(render_page(make_scanned(found), [Evidence(Matrix(PIXEL, 10, 20), [])], {}, AT)))
    assert "no interval" in shown.shown
    assert shown.tags.count("image") == 1


def test_a_calibrated_pair_has_a_probability_and_a_joined_score() -> None:
    found = pair()
    found = replace(found, alert=found.alert.model_copy(update={"joined_score": 0.412}))
    shown = Elements(html_of(make_scanned(found))).shown
    assert "1. Probability 0.900, joined score 0.412" in shown
    assert "RankQueryReferenceProbabilityJoined scoreCopied" in shown


def test_an_uncalibrated_pair_has_a_joined_score_only() -> None:
    calibrated = make_scanned(pair())
    calibration = calibrated.bundle.calibration.model_copy(update={"curve": None})
    shown = Elements(
        html_of(replace(calibrated, bundle=calibrated.bundle.model_copy(update={"calibration": calibration})))
    ).shown
    assert "1. Joined score 0.900" in shown
    assert "Probability" not in shown

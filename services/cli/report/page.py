"""The page of a report: one file that loads nothing else, for light and dark, wide and narrow screens.

Everything from outside (paths, reasons, names) goes through `escape`. The page's policy allows only its own style and
script, by their hashes, so nothing else runs even if a path is not escaped.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from string import Template

from services.cli.report.evidence import Moment
from services.cli.report.markup import content_policy, escape, format_path
from services.cli.report.matrix import Matrix, render_legend, to_svg
from services.cli.report.pictures import Pictures
from services.cli.results import (
    JOINED_SCORE,
    PROBABILITY,
    FoundPair,
    Problem,
    clock,
    format_count,
    intervals_text,
    score_name,
)
from services.contracts.events import CopiedInterval
from tca_model.bundle import Manifest

TEMPLATE = Path(__file__).with_name("page.html")
OPEN_PROBLEMS = 5  # more are collapsed, so that they do not hide the pairs
LISTED_INTERVALS = 4  # in a row of the table; the match lists all


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan found, and how. `references` None: everything with everything; `threshold` None: every pair."""

    pairs: Sequence[FoundPair]  # best first
    problems: Sequence[Problem]
    files: int
    references: int | None
    threshold: float | None
    bundle: Manifest
    model_version: str

    @property
    def score_names(self) -> tuple[str, ...]:
        """The names of the scores of each pair: joined scores alone if the bundle is not calibrated."""
        name = score_name(self.bundle.calibration)
        return (name, JOINED_SCORE) if name == PROBABILITY else (name,)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence that a pair shares content; the frames of these moments are in the pictures of its files."""

    matrix: Matrix
    moments: Sequence[Moment]


def render_page(
    scanned: Scanned, evidence: Sequence[Evidence], pictures: Mapping[str, Pictures], at: datetime
) -> list[str]:
    """The page, in pieces. `evidence` is for the first pairs, `pictures` are by path, `at` is the time of writing."""
    template = TEMPLATE.read_text(encoding="utf-8")
    matches = [
        _match(number, pair, found, pictures, scanned.score_names)
        for number, (pair, found) in enumerate(zip(scanned.pairs, evidence, strict=False), 1)
    ]
    values = {
        "policy": content_policy(template),
        "title": f"{format_count(len(scanned.pairs), 'pair')} in {format_count(scanned.files, 'file')}",
        "lead": _lead(scanned),
        "facts": "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in _facts(scanned, at)
        ),
        "problems": _problems(scanned.problems),
        "pairs": _pairs(scanned, len(evidence)),
        "legend": f"<h2>Matches</h2>{render_legend()}" if matches else "",
    }
    head, foot = (Template(part).substitute(values) for part in template.split("<!-- matches -->"))
    return [head, *matches, foot]


def _lead(scanned: Scanned) -> str:
    if scanned.references is None:
        compared = "Everything was compared with everything."
    else:
        others = scanned.files - scanned.references
        compared = (
            f"{format_count(others, 'other file')} compared with {format_count(scanned.references, 'reference')}."
        )
    if scanned.threshold is None:
        return f"{compared} All pairs that were compared are listed, copies or not, best first."
    return f"{compared} Pairs that share content are listed, best first."


def _facts(scanned: Scanned, at: datetime) -> Iterator[tuple[str, str]]:
    yield "Files", str(scanned.files)
    yield "Pairs", str(len(scanned.pairs))
    yield "Not compared", str(len(scanned.problems))
    yield "Threshold", "off" if scanned.threshold is None else f"{scanned.threshold:.2f}"
    yield "Bundle", scanned.bundle.name
    yield "Model version", scanned.model_version
    yield "Calibration", str(scanned.bundle.calibration.version)
    yield "Written", f"{at:%Y-%m-%d %H:%M %Z}".rstrip()


def _problems(problems: Sequence[Problem]) -> str:
    if not problems:
        return ""
    rows = "".join(
        f'<tr><td class="path" data-label="File">{format_path(one.path)}</td><td class="reason'
        f'{" failed" if one.failed else ""}" data-label="Reason">{escape(one.reason)}</td></tr>'
        for one in problems
    )
    head = '<thead><tr><th scope="col">File or folder</th><th scope="col">Reason</th></tr></thead>'
    return (
        f'<details class="card"{" open" if len(problems) <= OPEN_PROBLEMS else ""}>'
        f"<summary>Not compared: {len(problems)}</summary><table>{head}<tbody>{rows}</tbody></table></details>"
    )


def _pairs(scanned: Scanned, shown: int) -> str:
    pairs = scanned.pairs
    if not pairs:
        return "<p>No pair of files shares content.</p>"
    left_out = len(pairs) - shown
    note = f"<p>The best {shown} pairs have a match below; {left_out} more only have a row.</p>" if left_out else ""
    heads = "".join(
        f'<th scope="col"{" class=number" if is_number else ""}>{name}</th>'
        for name, is_number in _columns(scanned.score_names)
    ).replace("class=number>Rank", "class=number aria-sort=ascending>Rank")
    rows = "".join(
        _row(number, pair, scanned.score_names, is_shown=number <= shown) for number, pair in enumerate(pairs, 1)
    )
    return (
        f'{note}<div class="card"><table id="pairs"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _columns(score_names: Sequence[str]) -> list[tuple[str, bool]]:
    """The columns of the table of pairs, and whether they contain numbers."""
    scores = [(name.capitalize(), True) for name in score_names]
    return [
        *(("Rank", True), ("Query", False), ("Reference", False), *scores, ("Copied", True)),
        *(("Query covered", True), ("Reference covered", True), ("Query = reference", True)),
    ]


def _row(number: int, pair: FoundPair, score_names: Sequence[str], *, is_shown: bool) -> str:
    alert = pair.alert
    copied = sum_copied_s(alert.intervals)
    rank = f'<a href="#match-{number}" aria-label="Match {number}">{number}</a>' if is_shown else str(number)
    lines = intervals_text(alert.intervals[:LISTED_INTERVALS]).splitlines()
    if len(alert.intervals) > LISTED_INTERVALS:
        lines.append(f"and {len(alert.intervals) - LISTED_INTERVALS} more")
    cells = (
        _number("Rank", rank, number),
        f'<td class="path" data-label="Query">{format_path(pair.query)}</td>',
        f'<td class="path" data-label="Reference">{format_path(pair.reference)}</td>',
        *(
            _number(name.capitalize(), f"{score:.3f}", score, kind="number score")
            for name, score in _scores(pair, score_names)
        ),
        _number("Copied", f"{copied:.0f} s", copied),
        _number("Query covered", f"{alert.query_coverage:.0%}", alert.query_coverage),
        _number("Reference covered", f"{alert.reference_coverage:.0%}", alert.reference_coverage),
        f'<td class="intervals" data-label="Query = reference" data-value="{len(alert.intervals)}">'
        f"{'<br>'.join(lines) or 'no interval'}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _scores(pair: FoundPair, names: Sequence[str]) -> list[tuple[str, float]]:
    assert pair.alert.joined_score is not None  # only alerts of older releases lack it
    return list(zip(names, (pair.alert.score, pair.alert.joined_score), strict=False))


def _number(label: str, shown: str, value: float, kind: str = "number") -> str:
    return f'<td class="{kind}" data-label="{label}" data-value="{value:.6g}">{shown}</td>'


def _match(
    number: int, pair: FoundPair, evidence: Evidence, pictures: Mapping[str, Pictures], score_names: Sequence[str]
) -> str:
    alert = pair.alert
    sides = {
        "Query": (pair.query, alert.query_coverage, evidence.matrix.query_s),
        "Reference": (pair.reference, alert.reference_coverage, evidence.matrix.reference_s),
    }
    named = "".join(
        f"<div><dt>{side}, {clock(duration_s)} long, {share:.0%} of it copied</dt>"
        f'<dd class="path">{format_path(path)}</dd></div>'
        for side, (path, share, duration_s) in sides.items()
    )
    notes = "".join(
        f'<p class="note">No picture of {side} {escape(path)}: {escape(found.problem)}</p>'
        for side, path in (("the query", pair.query), ("the reference", pair.reference))
        if (found := pictures.get(path)) is not None and found.problem is not None
    )
    scores = ", ".join(f"{name} {score:.3f}" for name, score in _scores(pair, score_names))
    moments = "".join(_moment(moment, pair, pictures) for moment in evidence.moments)
    intervals = intervals_text(alert.intervals).replace("\n", ", ") or "no interval aligns"
    frames = f'<ol class="moments">{moments}</ol>' if moments else "<p>No interval aligns, so no frames are shown.</p>"
    return (
        f'<article class="match card" id="match-{number}" tabindex="-1" aria-labelledby="name-{number}">'
        f'<header><h3 id="name-{number}">{number}. {scores.capitalize()}</h3><a href="#table">all pairs</a></header>'
        f'<dl class="sides">{named}</dl>{notes}<div class="evidence"><div>{frames}</div>'
        f"<figure>{to_svg(evidence.matrix, alert.intervals)}<figcaption>Copied, query = reference: {intervals}"
        "</figcaption></figure></div></article>\n"
    )


def _moment(moment: Moment, pair: FoundPair, pictures: Mapping[str, Pictures]) -> str:
    parts = []
    for side, path, time_s in (
        ("query", pair.query, moment.query_s),
        ("reference", pair.reference, moment.reference_s),
    ):
        picture = pictures[path].by_moment.get(time_s)
        parts.append(
            '<span class="missing">no picture</span>'
            if picture is None
            else f'<img src="{picture.uri}" width="{picture.width}" height="{picture.height}" decoding="async" '
            f'alt="Frame of the {side} at {clock(time_s)}">'
        )
        parts.append(f'<span class="when">{side} <b>{clock(time_s)}</b></span>')
    return f'<li>{"".join(parts)}<span class="when">similarity <b>{moment.similarity:.2f}</b></span></li>'


def sum_copied_s(intervals: Iterable[CopiedInterval]) -> float:
    """Seconds of the query that are copied; overlaps count once."""
    total = end = 0.0
    for interval in sorted(intervals, key=lambda interval: interval.query_start_s):
        total += max(0.0, interval.query_end_s - max(end, interval.query_start_s))
        end = max(end, interval.query_end_s)
    return total

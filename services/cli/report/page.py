"""The page of a report: one file that asks for nothing else, for light and dark, wide and narrow screens.

What comes from outside (paths, reasons, names) goes through `text`. The page's policy lets only its own style and
script act, by their hashes, so that nothing else would, should a path ever get through unescaped.
"""

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from string import Template

from services.cli.report.evidence import Moment
from services.cli.report.matrix import Matrix, drawn, legend
from services.cli.report.pictures import Pictures
from services.cli.results import FoundPair, Problem, clock, intervals_text, readable
from services.contracts.events import CopiedInterval
from tca_model.bundle import Manifest

TEMPLATE = Path(__file__).with_name("page.html")
COLUMNS = (  # of the table of pairs, and whether they hold numbers
    *(("Rank", True), ("Query", False), ("Reference", False), ("Score", True), ("Copied", True)),
    *(("Query covered", True), ("Reference covered", True), ("Query = reference", True)),
)
OPEN_PROBLEMS = 5  # more are folded, so that they do not hide the pairs
LISTED_INTERVALS = 4  # in a row of the table; the match has them all


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan found, and how; `references` None: everything with everything, `threshold` None: every pair."""

    pairs: Sequence[FoundPair]  # best first
    problems: Sequence[Problem]
    files: int
    references: int | None
    threshold: float | None
    bundle: Manifest
    model_version: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows that a pair shares content; the frames at these moments are in the pictures of its files."""

    matrix: Matrix
    moments: Sequence[Moment]


def page(scanned: Scanned, evidence: Sequence[Evidence], pictures: Mapping[str, Pictures], at: datetime) -> list[str]:
    """The page, in pieces. `evidence` is of the first pairs, `pictures` by path, `at` the time that it states."""
    template = TEMPLATE.read_text(encoding="utf-8")
    matches = [
        _match(number, pair, found, pictures)
        for number, (pair, found) in enumerate(zip(scanned.pairs, evidence, strict=False), 1)
    ]
    values = {
        "policy": policy(template),
        "title": f"{_count(len(scanned.pairs), 'pair')} in {_count(scanned.files, 'file')}",
        "lead": _lead(scanned),
        "facts": "".join(
            f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in _facts(scanned, at)
        ),
        "problems": _problems(scanned.problems),
        "pairs": _pairs(scanned.pairs, len(evidence)),
        "legend": f"<h2>Matches</h2>{legend()}" if matches else "",
    }
    head, foot = (Template(part).substitute(values) for part in template.split("<!-- matches -->"))
    return [head, *matches, foot]


def text(value: str) -> str:
    """The value as text of the page, in and outside of attributes, whatever is in it."""
    return html.escape(readable(value))


def policy(page_: str) -> str:
    """The content security policy: pictures within the page, and its one style and one script by their hashes."""
    hashes = {
        kind: base64.b64encode(hashlib.sha256(found.group(1).encode()).digest()).decode()
        for kind in ("style", "script")
        if (found := re.search(rf"<{kind}>(.*?)</{kind}>", page_, re.DOTALL))
    }
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashes['style']}'; "
        f"script-src 'sha256-{hashes['script']}'; base-uri 'none'; form-action 'none'"
    )


def _lead(scanned: Scanned) -> str:
    if scanned.references is None:
        compared = "Everything was compared with everything."
    else:
        others = scanned.files - scanned.references
        compared = f"{_count(others, 'other file')} compared with {_count(scanned.references, 'reference')}."
    if scanned.threshold is None:
        return f"{compared} Every pair that was compared is listed, copies or not, best first."
    return f"{compared} Listed are pairs that share content, best first."


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
        f'<tr><td class="path" data-label="File">{_path(one.path)}</td><td class="reason'
        f'{" failed" if one.failed else ""}" data-label="Reason">{text(one.reason)}</td></tr>'
        for one in problems
    )
    head = '<thead><tr><th scope="col">File or folder</th><th scope="col">Reason</th></tr></thead>'
    return (
        f'<details class="card"{" open" if len(problems) <= OPEN_PROBLEMS else ""}>'
        f"<summary>Not compared: {len(problems)}</summary><table>{head}<tbody>{rows}</tbody></table></details>"
    )


def _pairs(pairs: Sequence[FoundPair], shown: int) -> str:
    if not pairs:
        return "<p>No pair of files shares content.</p>"
    left_out = len(pairs) - shown
    note = f"<p>Matches are shown of the best {shown} pairs; {left_out} more have a row only.</p>" if left_out else ""
    heads = "".join(
        f'<th scope="col"{" class=number" if is_number else ""}>{name}</th>' for name, is_number in COLUMNS
    ).replace("class=number>Rank", "class=number aria-sort=ascending>Rank")
    rows = "".join(_row(number, pair, is_shown=number <= shown) for number, pair in enumerate(pairs, 1))
    return (
        f'{note}<div class="card"><table id="pairs"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(number: int, pair: FoundPair, *, is_shown: bool) -> str:
    alert = pair.alert
    copied = copied_s(alert.intervals)
    rank = f'<a href="#match-{number}" aria-label="Match {number}">{number}</a>' if is_shown else str(number)
    lines = intervals_text(alert.intervals[:LISTED_INTERVALS]).splitlines()
    if len(alert.intervals) > LISTED_INTERVALS:
        lines.append(f"and {len(alert.intervals) - LISTED_INTERVALS} more")
    cells = (
        _number("Rank", rank, number),
        f'<td class="path" data-label="Query">{_path(pair.query)}</td>',
        f'<td class="path" data-label="Reference">{_path(pair.reference)}</td>',
        _number("Score", f"{alert.score:.3f}", alert.score),
        _number("Copied", f"{copied:.0f} s", copied),
        _number("Query covered", f"{alert.query_coverage:.0%}", alert.query_coverage),
        _number("Reference covered", f"{alert.reference_coverage:.0%}", alert.reference_coverage),
        f'<td class="intervals" data-label="Query = reference" data-value="{len(alert.intervals)}">'
        f"{'<br>'.join(lines) or 'no interval'}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _number(label: str, shown: str, value: float) -> str:
    return f'<td class="number" data-label="{label}" data-value="{value:.6g}">{shown}</td>'


def _match(number: int, pair: FoundPair, evidence: Evidence, pictures: Mapping[str, Pictures]) -> str:
    alert = pair.alert
    sides = {
        "Query": (pair.query, alert.query_coverage, evidence.matrix.query_s),
        "Reference": (pair.reference, alert.reference_coverage, evidence.matrix.reference_s),
    }
    named = "".join(
        f"<div><dt>{side}, {clock(duration_s)} long, {share:.0%} of it copied</dt>"
        f'<dd class="path">{_path(path)}</dd></div>'
        for side, (path, share, duration_s) in sides.items()
    )
    notes = "".join(
        f'<p class="note">No picture of {side} {text(path)}: {text(found.problem)}</p>'
        for side, path in (("the query", pair.query), ("the reference", pair.reference))
        if (found := pictures.get(path)) is not None and found.problem is not None
    )
    moments = "".join(_moment(moment, pair, pictures) for moment in evidence.moments)
    intervals = intervals_text(alert.intervals).replace("\n", ", ") or "no interval aligns"
    frames = f'<ol class="moments">{moments}</ol>' if moments else "<p>No interval aligns, so no frames are shown.</p>"
    return (
        f'<article class="match card" id="match-{number}" tabindex="-1" aria-labelledby="name-{number}">'
        f'<header><h3 id="name-{number}">{number}. Score {alert.score:.3f}</h3><a href="#table">all pairs</a></header>'
        f'<dl class="sides">{named}</dl>{notes}<div class="evidence"><div>{frames}</div>'
        f"<figure>{drawn(evidence.matrix, alert.intervals)}<figcaption>Copied, query = reference: {intervals}"
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


def _path(path: str) -> str:
    """A path with its name in front: names tell files apart, folders rarely do."""
    folder, slash, name = path.rpartition("/")
    return f'{text(name)}<span class="folder">{text(folder + slash)}</span>' if folder else text(path)


def copied_s(intervals: Iterable[CopiedInterval]) -> float:
    """Seconds of the query that are copied, each counted once."""
    total = end = 0.0
    for interval in sorted(intervals, key=lambda interval: interval.query_start_s):
        total += max(0.0, interval.query_end_s - max(end, interval.query_start_s))
        end = max(end, interval.query_end_s)
    return total


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"

"""The project's own benchmark: can edited copies of held-out clips be distinguished from clips of other works?

Queries are copies of the originals, and unedited distractors. References are the originals and, as hard negatives, the
other clips of the held-out families. A copy and its original are a true pair. Other clips of a family that the query
shows are other takes of the scene or pieces of the same film, neither copies nor unrelated: such pairs are left out.
Copies are made once and kept, each with its truth in a JSON file beside it.
"""

import ast
import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

from tca_model.data.held_out import DISTRACTORS, ORIGINALS, families
from tca_model.files import replacing
from tca_model.synthetic import edits
from tca_model.synthetic import filters as edit_filters
from tca_model.synthetic import writer as video_writer
from tca_model.synthetic.edits import EDITS, Truth, apply_edit
from tca_model.types import Match

WITHIN_S = 40.0  # only this much from the start of a longer original is copied
Advance = Callable[[int, int], None]  # (done, total)


class Makeable(Protocol):
    """A file that can be made, in whatever process; `make` leaves it as it is if it exists."""

    @property
    def path(self) -> Path: ...

    def make(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Clip:
    """A source video and its family."""

    path: Path
    family: str


@dataclass(frozen=True, slots=True)
class Copy:
    """An edited copy, determined by edit, clips and `seed`; `other` is used only if the edit needs a second clip."""

    path: Path
    edit: str
    original: Clip
    other: Clip
    seed: int

    @property
    def families(self) -> frozenset[str]:
        """The families of all clips in it."""
        other = {self.other.family} if EDITS[self.edit].needs_other else set()
        return frozenset({self.original.family} | other)

    def make(self) -> None:
        """Make the video and its truth unless they exist. The video is written last: if it exists, both do."""
        if self.path.exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as new:
            truth = apply_edit(
                self.edit, self.original.path, new, seed=self.seed, other=self.other.path, within_s=WITHIN_S
            )
            self.truth_path.write_text(json.dumps(_to_json(truth)))

    @property
    def truth_path(self) -> Path:
        return self.path.with_suffix(".json")

    def truth(self) -> Truth:
        """Which parts of the video are copied from where. Raises ValueError if the file is missing or damaged."""
        try:
            content = json.loads(self.truth_path.read_bytes())
            matches = tuple(
                Match(float(query_start), float(query_end), float(reference_start), float(reference_end), 1.0)
                for query_start, query_end, reference_start, reference_end in content["intervals_s"]
            )
            return Truth(float(content["duration_s"]), matches)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.truth_path} does not say what {self.path.name} copies ({error}): remove the video to make both "
                "again"
            ) from error


@dataclass(frozen=True, slots=True)
class Pair:
    """A query, a reference, and whether one copies the other; `copy` is None if the query is a distractor."""

    query: Path
    reference: Path
    is_copy: bool
    copy: Copy | None


@dataclass(frozen=True, slots=True)
class Benchmark:
    copies: tuple[Copy, ...]
    distractors: tuple[Clip, ...]
    references: tuple[Clip, ...]

    @property
    def queries(self) -> tuple[Path, ...]:
        return tuple(copy.path for copy in self.copies) + tuple(clip.path for clip in self.distractors)

    def pairs(self) -> Iterator[Pair]:
        """Every query with every reference, except other clips of a family that the query shows."""
        for reference in self.references:
            for copy in self.copies:
                is_copy = copy.original == reference
                if is_copy or reference.family not in copy.families:
                    yield Pair(copy.path, reference.path, is_copy, copy)
            for distractor in self.distractors:
                if reference.family != distractor.family:
                    yield Pair(distractor.path, reference.path, False, None)


def plan(clips: Path, work: Path, *, names: Sequence[str] = tuple(EDITS), originals: int = len(ORIGINALS)) -> Benchmark:
    """The benchmark on a folder of clips with a manifest, with its copies in a folder below `work`; makes no files.

    Fewer `originals` make it smaller, with the same distractors. Raises ValueError if the folder has no manifest or
    lacks families, for an unknown edit, or for an impossible number of originals.
    """
    try:
        by_family = families(clips)
    except FileNotFoundError:
        raise ValueError(f"{clips} has no manifest that names the clips' families") from None
    missing = [family for family in (*ORIGINALS, *DISTRACTORS) if family not in by_family]
    if missing:
        raise ValueError(f"{clips} lacks {len(missing)} families of the benchmark, for example {missing[0]}")
    if not 1 <= originals <= len(ORIGINALS):
        raise ValueError(f"there are {len(ORIGINALS)} originals, {originals} were asked for")
    firsts = {family: Clip(paths[0], family) for family, paths in by_family.items()}
    chosen = [firsts[family] for family in ORIGINALS[:originals]]
    distractors = [firsts[family] for family in DISTRACTORS]
    takes = [Clip(path, family) for family in (*ORIGINALS, *DISTRACTORS) for path in by_family[family][1:]]
    return arrange(chosen, distractors, takes, work, names)


def arrange(
    originals: Sequence[Clip], distractors: Sequence[Clip], takes: Sequence[Clip], work: Path, names: Sequence[str]
) -> Benchmark:
    """Every original edited once in each of the named ways, into a folder below `work`; `takes` are further references.

    Edits that need a second video take the distractor with the original's number. Raises ValueError for an unknown
    edit, and if there are fewer distractors than originals.
    """
    unknown = [name for name in names if name not in EDITS]
    if unknown:
        raise ValueError(f"there is no edit {unknown[0]!r}; there are {', '.join(EDITS)}")
    folder = work / f"copies-{edits_digest()}"
    copies = [
        Copy(folder / f"{original.path.stem}-{name}.mp4", name, original, other, seed)
        for name in dict.fromkeys(names)
        for seed, (original, other) in enumerate(zip(originals, distractors[: len(originals)], strict=True))
    ]
    return Benchmark(tuple(copies), tuple(distractors), (*originals, *takes))


def edits_digest() -> str:
    """A hash of the code that makes copies: if the code changes, copies are made again."""
    return code_digest(edits, edit_filters, video_writer)


def code_digest(*modules: ModuleType) -> str:
    """A hash of code that makes files, comments apart: if the code changes, the files are made again."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update(_dump_code(Path(str(module.__file__)).read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:8]


def _dump_code(source: str) -> str:
    """The syntax tree of a module without its docstrings, as text."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


def make_copies(copies: Sequence[Makeable], workers: int, advance: Advance = lambda _done, _total: None) -> None:
    """Make the missing copies, or other files, in that many processes."""
    wanted = [copy for copy in copies if not copy.path.exists()]
    existing = len(copies) - len(wanted)
    advance(existing, len(copies))
    if not wanted:
        return
    # Not forked: the parent may have torch threads.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(copy.make) for copy in wanted]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                advance(existing + done, len(copies))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _to_json(truth: Truth) -> dict[str, object]:
    intervals = [
        [match.query_start_s, match.query_end_s, match.reference_start_s, match.reference_end_s]
        for match in truth.matches
    ]
    return {"duration_s": truth.duration_s, "intervals_s": intervals}

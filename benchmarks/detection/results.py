"""Scores by cell and judge, kept on disk so that an interrupted run goes on where it was.

A line is believed only if it was made by the very same code: its digest covers what is loaded of
the product's analysis, and this simulation.
"""

import json
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmarks.detection.rollouts import Score, score
from benchmarks.detection.traffic import Cell

ROOT = Path(__file__).resolve().parents[2]
SIMULATION = ("chance.py", "traffic.py", "judges.py", "rollouts.py")


@dataclass(frozen=True, slots=True)
class Job:
    """So many rollouts of one judge in one cell."""

    cell: Cell
    judge: str
    runs: int

    @property
    def key(self) -> str:
        return f"{self.cell.name}|{self.judge}|{self.runs}"


class Results:
    """Runs jobs and remembers their scores."""

    def __init__(self, path: Path, *, jobs: int) -> None:
        self._path, self._jobs = path, jobs
        self._digest = _digest()
        self._scores: dict[str, Score] = {}
        self._read()

    def run(self, jobs: Iterable[Job]) -> None:
        """Run what has no score yet; each score is written at once."""
        waiting = [job for job in jobs if job.key not in self._scores]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as out:
            # After an interrupted run the last line may have no end.
            out.write("\n")
            for job, made in self._made(waiting):
                self._scores[job.key] = made
                line = {"digest": self._digest, "key": job.key, "score": made.plain()}
                out.write(json.dumps(line) + "\n")
                out.flush()

    def __getitem__(self, job: Job) -> Score:
        return self._scores[job.key]

    def _made(self, jobs: list[Job]) -> Iterable[tuple[Job, Score]]:
        if self._jobs == 1:
            return ((job, _score(job)) for job in jobs)
        return self._made_beside(jobs)

    def _made_beside(self, jobs: list[Job]) -> Iterable[tuple[Job, Score]]:
        with ProcessPoolExecutor(self._jobs) as pool:
            yield from zip(jobs, pool.map(_score, jobs), strict=True)

    def _read(self) -> None:
        if not self._path.exists():
            return
        for text in self._path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                # The line that an interrupted run was writing.
                continue
            if line["digest"] == self._digest:
                self._scores[line["key"]] = Score(**line["score"])


def _score(job: Job) -> Score:
    return score(job.cell, job.judge, job.runs)


def _digest() -> str:
    here = Path(__file__).parent
    judging = sorted(name for name in sys.modules if name.startswith("analysis."))
    files = [Path(sys.modules[name].__file__ or "") for name in judging]
    files += [here / name for name in SIMULATION]
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]

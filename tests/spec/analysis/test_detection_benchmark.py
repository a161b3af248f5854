"""The benchmark's own parts: draws, cells, results that go on, gates that know about chance."""

import json
from math import sqrt
from random import Random
from statistics import fmean, pvariance

import pytest

from benchmarks.detection import grids
from benchmarks.detection.chance import binomial, clumped, geometric, poisson
from benchmarks.detection.gates import Gate, Scored, false_rollbacks
from benchmarks.detection.judges import Choice, Flagger
from benchmarks.detection.results import Job, Results
from benchmarks.detection.rollouts import Score, bound, roll_out
from benchmarks.detection.traffic import SLOW_MS, Cell, Read, Times, Traffic, Variant

CELL = Cell(grids.INDEPENDENT, 10.0, 0.01, "all")
DRAWS = 4000


@pytest.mark.parametrize(
    ("row", "draw", "mean", "variance"),
    [
        ("few", lambda it: poisson(it, 3.5), 3.5, 3.5),
        ("many", lambda it: poisson(it, 400), 400, 400),
        ("rare", lambda it: binomial(it, 5000, 0.001), 5, 4.995),
        ("common", lambda it: binomial(it, 5000, 0.3), 1500, 1050),
        ("most", lambda it: binomial(it, 50, 0.9), 45, 4.5),
        ("gaps", lambda it: geometric(it, 0.25), 4, 12),
        ("clumps of four", lambda it: clumped(it, 20, 4), 20, 20 * 7),
    ],
)
def test_draws_have_the_moments_of_their_law(row, draw, mean, variance):
    chance = Random(row)
    values = [draw(chance) for _ in range(DRAWS)]

    assert fmean(values) == pytest.approx(mean, abs=5 * sqrt(variance / DRAWS))
    assert pvariance(values) == pytest.approx(variance, rel=0.15)


@pytest.mark.parametrize(
    ("n", "p", "count"), [(0, 0.5, 0), (9, 0.0, 0), (9, 1.0, 9), (9, 1e-12, 0)]
)
def test_draws_at_the_ends(n, p, count):
    assert binomial(Random(1), n, p) == count


def test_a_cell_makes_its_canarys_rate():
    rates = [
        Cell(grids.INDEPENDENT, 1, 0.01, change).canary_rate(0.01)
        for change in ("x1", "x5", "+5", "all")
    ]

    assert rates == pytest.approx([0.01, 0.05, 0.06, 1.0])


def test_only_the_slowest_are_slowed():
    times = Times(0.05, 2.0)

    assert times.within(100, canary=True) == times.within(100, canary=False)
    assert 1 - times.within(SLOW_MS, canary=True) > 2 * (1 - times.within(SLOW_MS, canary=False))


def test_the_same_seed_is_the_same_rollout():
    assert roll_out(CELL, "Crossfade", 3) == roll_out(CELL, "Crossfade", 3)
    assert roll_out(CELL, "Crossfade", 3) != roll_out(CELL, "Crossfade", 4)


def test_a_canary_that_fails_everything_is_taken_back():
    assert roll_out(CELL, "Crossfade", 0).choice is Choice.ROLL_BACK


def test_no_test_can_beat_the_bound():
    assert bound(0.001, 1.0) == 1
    assert bound(0.01, 0.05) == pytest.approx(4.9, abs=0.5)


def test_the_peer_takes_a_canary_back_at_the_tick_after_its_fifth_failed_check():
    traffic = Traffic(Cell(Variant("plain", history=2), 100.0, 0.01, "all"), Random(1))
    flagger = Flagger(60, 0.01)
    at = 0.0
    while True:
        read: Read = traffic.read(at, flagger.weight)
        if flagger.look(read) is not Choice.GO_ON:
            break
        at += 5

    assert read.at == 360


def test_results_go_on_where_they_were(tmp_path, monkeypatch):
    job = Job(CELL, "Crossfade", 2)
    first = Results(tmp_path / "r.jsonl", jobs=1)
    first.run([job])
    with (tmp_path / "r.jsonl").open("a") as out:
        out.write('{"digest": "interr')

    def unexpected(job: Job) -> Score:
        raise AssertionError(job)

    monkeypatch.setattr("benchmarks.detection.results._score", unexpected)
    again = Results(tmp_path / "r.jsonl", jobs=1)
    again.run([job])

    assert again[job] == first[job]


def test_what_is_written_after_an_interrupted_line_is_read_again(tmp_path):
    path, job = tmp_path / "r.jsonl", Job(CELL, "Crossfade", 2)
    path.write_text('{"digest": "interr')

    Results(path, jobs=1).run([job])

    assert Results(path, jobs=1)[job].runs == 2


def test_results_of_other_code_are_not_believed(tmp_path):
    job = Job(CELL, "Crossfade", 2)
    path = tmp_path / "r.jsonl"
    Results(path, jobs=1).run([job])
    line = json.loads(path.read_text()) | {"digest": "other"}
    path.write_text(json.dumps(line) + "\n")

    with pytest.raises(KeyError):
        Results(path, jobs=1)[job]


def cell_with(rolled_back: int, runs: int) -> Scored:
    score = Score(runs, rolled_back, runs - rolled_back, 0, 0.0, 0.0, 0.0, 1.0, 1.0)
    return Scored(CELL, {"Crossfade": score})


@pytest.mark.parametrize(
    ("count", "runs", "holds"), [(0, 100, True), (4, 100, True), (9, 100, False), (30, 1000, False)]
)
def test_a_count_breaks_its_gate_only_beyond_chance(count, runs, holds):
    assert false_rollbacks("row", [cell_with(count, runs)]).holds is holds


def test_gates_have_floors_and_ceilings():
    assert Gate("row", 3.0, 3.0).holds
    assert not Gate("row", 3.1, 3.0).holds
    assert Gate("row", 3.1, 3.0, at_least=True).holds
    assert Gate("row", 3.1, 3.0, at_least=True).plain()["limit"] == ">= 3"

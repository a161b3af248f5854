"""A plan in words and as JSON: what can be seen, by the end of each step, check by check.

JSON is an API: members are added, never renamed or removed.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from analysis import wording
from analysis.decidability import Stretch
from analysis.journal import Journal, entries
from analysis.plan import Asked, CheckPlan, Known, Sight, known_from, plan
from analysis.ramp import timetable_of
from analysis.samples import FAILED
from analysis.settings import settings_from
from analysis.versus_latency import MOST_COMMON, RAREST
from config.quantities import format_duration
from config.schema import Rollout
from daemon.cli.evidence_case import API_VERSION
from daemon.cli.text import ago, aligned, countdown, plain
from daemon.core.model import TargetKey
from daemon.core.weights import FULL

KIND: Final = "RolloutPlanList"
NOT_LOOKED_AT: Final = "not looked at"


@dataclass(frozen=True, slots=True)
class Given:
    """What was said on the command line."""

    rps: float | None
    base: float | None

    @property
    def complete(self) -> bool:
        """Whether nothing needs to be looked up."""
        return self.rps is not None and self.base is not None


@dataclass(frozen=True, slots=True)
class Planned:
    """One rollout's plan.

    Attributes:
        stretches: the time on each step; the last one is the bake at 100 %.
        known: what it reckons with, and `origin`, where that comes from.
        queries: checks that count no requests.
        flawless: of how many requests stable failed none; 0 where it failed some, or nobody knows.
            Its rate is a guess then, and how many times it a canary may fail says nothing.
    """

    key: TargetKey
    rollout: Rollout
    stretches: Sequence[Stretch]
    known: Known
    origin: str
    checks: Sequence[CheckPlan]
    queries: Sequence[str]
    flawless: int = 0


def planned(
    key: TargetKey,
    rollout: Rollout,
    given: Given,
    journal: Journal | None = None,
    now: datetime | None = None,
) -> Planned:
    """Work a plan out; what is given goes before what was seen."""
    seen = known_from(journal) if journal is not None else Known()
    rates = dict(seen.rates) | ({FAILED: given.base} if given.base is not None else {})
    known = Known(given.rps if given.rps is not None else seen.rps, rates, seen.past)
    stretches = _stretches(rollout)
    return Planned(
        key,
        rollout,
        stretches,
        known,
        _origin(given, journal, now),
        plan(settings_from(rollout), stretches, known),
        [check.name for check in rollout.analysis.checks if check.query is not None],
        _flawless(seen) if given.base is None else 0,
    )


def _flawless(seen: Known) -> int:
    return 0 if seen.past.bad.get(FAILED) else int(seen.past.total(FAILED))


def _stretches(rollout: Rollout) -> list[Stretch]:
    """Read the steps. A ramp by budget has at least its timetable's weights."""
    steps = [(float(it.weight), it.hold.total_seconds()) for it in rollout.steps]
    if rollout.ramp == "budget":
        rising = timetable_of(steps).steps
        ends = [start for start, _ in rising[1:]] + [timetable_of(steps).ends]
        steps = [(weight, end - start) for (start, weight), end in zip(rising, ends, strict=False)]
    shared = [Stretch(weight, seconds) for weight, seconds in steps if weight < FULL]
    return [*shared, Stretch(FULL, rollout.bake.total_seconds())]


def _origin(given: Given, journal: Journal | None, now: datetime | None) -> str:
    if given.complete:
        return "as given"
    if journal is None:
        return "as given" if given.rps is not None or given.base is not None else NOT_LOOKED_AT
    last = max((it.at for it in entries(journal)), default=journal.begun)
    seen = datetime.fromtimestamp(last, UTC)
    age = f", {ago(seen, now)}" if now else ""
    part = "the rest " if given.rps is not None or given.base is not None else ""
    return f"{part}seen in rollout {journal.rollout}{age}"


# ---------------------------------------------------------------- words


def text_of(plans: Sequence[Planned]) -> str:
    """Return all plans."""
    blocks = ["\n".join(plain(line).rstrip() for line in _one(it)) for it in plans]
    return "\n\n".join(blocks)


def _one(it: Planned) -> Iterator[str]:
    yield f"{it.key}  {_traffic(it)}"
    yield from (f"  {line}" for line in _table(it))
    for check in it.checks:
        yield from (f"  {line}" for line in _check(it, check))
    for name in it.queries:
        yield f"  {name}: judged by a query's number; it counts no requests, so nothing is forecast"
    yield "  Nothing was changed."


def _traffic(it: Planned) -> str:
    rps, base = it.known.rps, it.known.rates.get(FAILED)
    if rps is None and base is None:
        return f"{NOT_LOOKED_AT}: no evidence of its traffic; give --rps and --base"
    rate = "requests/s unknown (--rps)"
    if rps is not None:
        rate = f"{rps:,.0f} requests/s" if rps >= 100 else f"{rps:.3g} requests/s"
    fails = f"stable fails {wording.percent(base)}" if base is not None else "failures unknown"
    if it.flawless:
        fails = f"stable failed none of {wording.counted(it.flawless)}"
    missing = "" if base is not None else " (--base)"
    return f"{rate}, {fails}{missing} ({it.origin})"


def _table(it: Planned) -> Iterator[str]:
    shown = [check for check in it.checks if check.steps]
    heads = [f"{check.check} sees".upper() for check in shown]
    rows: list[tuple[str, ...]] = [("STEP", "WEIGHT", "FOR", "CANARY REQUESTS", *heads)]
    for number, stretch in enumerate(it.stretches):
        sights = [_sight(it, check, check.steps[number]) for check in shown]
        rows.append(
            (
                f"{number + 1}/{len(it.stretches)}",
                f"{stretch.weight:g}%",
                format_duration(timedelta(seconds=stretch.seconds)),
                _requests(it, stretch),
                *(sights if stretch.weight < FULL else ["-" for _ in shown]),
            )
        )
    yield from ("  ".join(row) for row in aligned(rows))


def _requests(it: Planned, stretch: Stretch) -> str:
    rps = it.known.rps
    return "?" if rps is None else wording.counted(stretch.requests(rps))


def _sight(it: Planned, check: CheckPlan, sight: Sight) -> str:
    if sight.mostly is None:
        return "nothing yet"
    return f"from {wording.percent(sight.mostly)} on{_times(it, check, sight.mostly)}"


def _times(it: Planned, check: CheckPlan, rate: float) -> str:
    if not check.usual or _is_guess(it, check):
        return ""
    return f" ({_x(rate / check.usual)})"


def _is_guess(it: Planned, check: CheckPlan) -> bool:
    return bool(it.flawless) and check.bound == FAILED


def _x(times: float) -> str:
    return f"x{times:.2g}" if times < 100 else f"x{times:,.0f}"


def _check(it: Planned, check: CheckPlan) -> Iterator[str]:
    if check.whole is None:
        yield f"{check.check}: {NOT_LOOKED_AT}: {_unknown(it)}."
        return
    slow = f", slower than {wording.seconds(check.bound)}" if check.bound else ""
    yield f"{check.check}{slow}: {_can_see(it, check, check.whole)}."
    if not _is_guess(it, check):
        yield from (f"  {_asked(asked, check.whole)}." for asked in check.asked)
    if check.excluding is not None:
        yield f"  {_end(it, check, check.excluding)}."


def _unknown(it: Planned) -> str:
    if it.known.rps is None:
        return "nobody knows how many requests come (--rps)"
    if any(bound != FAILED for bound in it.known.rates):
        least, most = wording.percent(RAREST), wording.percent(MOST_COMMON)
        return f"no bound of the histogram is one that {least} to {most} of stable's requests pass"
    if FAILED in it.known.rates:
        return "no history tells how many of stable's requests are slow"
    return "no history tells how many of stable's requests fail (--base)"


def _can_see(it: Planned, check: CheckPlan, sight: Sight) -> str:
    if sight.mostly is None:
        seen = "too few requests to see even a canary that fails everything"
    else:
        percent = wording.percent(sight.mostly)
        seen = f"can see {percent}{_times(it, check, sight.mostly)} in nine rollouts of ten"
    if sight.at_best is None:
        return f"{seen}, by any test"
    least = wording.percent(sight.at_best)
    return f"{seen}; no test can see less than {least}{_times(it, check, sight.at_best)}"


def _asked(asked: Asked, sight: Sight) -> str:
    what = f"{_x(asked.times)} ({wording.percent(asked.rate)})"
    if asked.seconds is None:
        return f"Cannot see {what}: it is within the limit, or nothing is compared"
    needed = f"{countdown(timedelta(seconds=asked.seconds))} at {asked.weight:g}% on average"
    if asked.seen:
        return f"Sees {what}: takes {needed}"
    hopeless = sight.at_best is None or asked.rate < sight.at_best
    return f"{'Cannot' if hopeless else 'Not sure to'} see {what}: would need {needed}"


def _end(it: Planned, check: CheckPlan, excluding: float) -> str:
    needed = f"takes {wording.counted(excluding)} canary requests, on average at least"
    if check.enough:
        return f"A canary as good as stable is promoted with evidence: that {needed}"
    then = {
        "advance": "promoted by timetable, undecided",
        "hold": "held, undecided",
        "rollback": "rolled back, undecided",
    }[it.rollout.analysis.on_undecided]
    return f"A canary as good as stable is {then}: proof {needed}, and fewer come before 100%"


# ---------------------------------------------------------------- JSON


def as_json(plans: Sequence[Planned]) -> str:
    """Return the document."""
    document = {"apiVersion": API_VERSION, "kind": KIND, "items": [_item(it) for it in plans]}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _item(it: Planned) -> dict[str, Any]:
    return {
        "metadata": {"namespace": it.key.namespace, "name": it.key.name},
        "plan": {
            "requestsPerSecond": it.known.rps,
            "origin": it.origin,
            "steps": [
                {
                    "weight": stretch.weight,
                    "seconds": stretch.seconds,
                    "canaryRequests": (
                        stretch.requests(it.known.rps) if it.known.rps is not None else None
                    ),
                }
                for stretch in it.stretches
            ],
            "checks": [_plain(check) for check in it.checks],
            "queries": list(it.queries),
        },
    }


def _plain(check: CheckPlan) -> dict[str, Any]:
    return {
        "check": check.check,
        "slowerThan": check.bound or None,
        "usual": check.usual,
        "edge": check.edge,
        "steps": [{"mostly": it.mostly, "atBest": it.at_best} for it in check.steps],
        "asked": [
            {
                "times": it.times,
                "rate": it.rate,
                "seen": it.seen,
                "seconds": it.seconds,
                "weight": it.weight,
            }
            for it in check.asked
        ],
        "excluding": check.excluding,
        "enough": check.enough,
    }

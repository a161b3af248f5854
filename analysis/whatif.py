"""The same counts, read otherwise: less often, or asked when they would have allowed which weight.

What was read is all that is known. Looks can be put together, never taken apart; traffic at other
weights was never observed, so a gate says when this evidence would have opened it, not what would
have come behind it. Pure.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from analysis.journal import Entry, Journal, first_state, follow
from analysis.samples import Block, Counts, Spread
from analysis.settings import JudgeSettings
from analysis.verdict import Judgement, Verdict

SLACK = 0.9
"""Of an interval: looks come a little early or late, and one look more would make it longer."""


def at_interval(looks: Iterable[Entry], seconds: float) -> Iterator[Entry]:
    """Put looks together until they cover `seconds`; never across decisions.

    A look that brought nothing leaves its requests to the next one. How unevenly pods failed is
    added up, which is a little less than one longer reading would tell.
    """
    held: list[Entry] = []
    for look in looks:
        if held and look.decision != held[-1].decision:
            yield _pooled(held)
            held = []
        held.append(look)
        if look.read is None or _seconds(held) >= SLACK * seconds:
            yield from _closed(held)
            held = []
    if held:
        yield _pooled(held)


def _closed(held: Sequence[Entry]) -> Iterator[Entry]:
    """A reading that only sets the references ends what came before it, and is a look itself."""
    *before, last = held
    if last.read is not None:
        yield _pooled(held)
        return
    if before:
        yield _pooled(before)
    yield last


def _seconds(held: Iterable[Entry]) -> float:
    return sum(it.read.seconds for it in held if isinstance(it.read, Block))


def _pooled(held: Sequence[Entry]) -> Entry:
    blocks = [it.read for it in held if isinstance(it.read, Block)]
    return replace(held[-1], read=pool(blocks)) if blocks else held[-1]


def pool(blocks: Sequence[Block]) -> Block:
    """Make one block of several in a row, of one weight."""
    missing: dict[str, str] = {}
    spread: dict[float, Spread] = {}
    for block in blocks:
        missing |= block.missing
        for key, it in block.spread.items():
            before = spread.get(key, Spread(0.0, 0.0))
            spread[key] = Spread(before.seen + it.seen, before.expected + it.expected)
    return Block(
        seconds=sum(block.seconds for block in blocks),
        weight=blocks[-1].weight,
        canary=_sum([block.canary for block in blocks]),
        stable=_sum([block.stable for block in blocks]),
        restarted=tuple(pod for block in blocks for pod in block.restarted),
        missing=missing,
        spread=spread,
    )


def _sum(arms: Sequence[Counts]) -> Counts:
    timed = [arm for arm in arms if arm.within]
    bounds = set.intersection(*(set(arm.within) for arm in timed)) if timed else set()
    return Counts(
        requests=sum(arm.requests for arm in arms),
        failed=sum(arm.failed for arm in arms),
        within={bound: sum(arm.within[bound] for arm in timed) for bound in sorted(bounds)},
        timed=sum(arm.timed for arm in timed) if bounds else 0,
        pods=max(arm.pods for arm in arms),
        restarts=sum(arm.restarts for arm in arms),
    )


@dataclass(frozen=True, slots=True)
class Gate:
    """A weight of another ladder, and when this evidence would have allowed it.

    Attributes:
        at: seconds since the epoch; None where it never did.
        judgement: of that look, or of the last one.
    """

    weight: float
    at: float | None
    judgement: Judgement


def gates(
    settings: JudgeSettings, journal: Journal, weights: Sequence[float], looks: Sequence[Entry]
) -> list[Gate]:
    """Ask for each weight after the first when the evidence would have led there.

    Holds are left out, and so is everything but a Pass. Requests are counted on these steps. There
    is at least one look, and a second weight.
    """
    found: list[Gate] = []
    state = first_state(settings, journal, looks[0])
    for look in looks:
        step = len(found)
        ahead = weights[step + 1]
        state, judgement = follow(settings, state, replace(look, step=step, ahead=ahead))
        if judgement.verdict is Verdict.PASS:
            found.append(Gate(ahead, look.at, judgement))
            if len(found) + 1 == len(weights):
                return found
    return [*found, Gate(weights[len(found) + 1], None, judgement)]

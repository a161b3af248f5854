"""The judge: from a look and what is remembered to one verdict, its reason and its sentence.

    E_total = sum over deciding checks of share * E,   the shares (stakes) sum to 1

is an e-value whatever the checks have to do with each other, so one threshold 1/alpha serves all of
them: P(ever a false Fail) <= alpha over the whole rollout, at least as strong as a Bonferroni
split. Pass demands that *every* deciding check is shown safe at beta: whichever limit is broken in
truth, its own test errs with probability <= beta (an intersection-union test, Berger 1982), so
nothing is split there.

Invariants: `judge` is pure and total. Fail needs evidence alone, never a minimum of requests; Pass
needs evidence and `minRequests` on this step; nothing that is no count or finite value moves
either. What is done about a verdict is daemon.core's business; no waiting, no weights to be chosen
here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log

from analysis import share, wording
from analysis.checks import CheckKind, CheckState, Look, Weighed
from analysis.eprocess import Evidence, log_sum
from analysis.errors import ProviderError, StaleError
from analysis.history import NOTHING_KNOWN, History
from analysis.ramp import allowed_weight
from analysis.samples import Block, Number
from analysis.settings import BETA, JudgeSettings, settings_from
from analysis.verdict import Finding, Ground, Judgement, Verdict

__all__ = [
    "JudgeSettings",
    "JudgeState",
    "Silence",
    "begin",
    "judge",
    "judge_unread",
    "on_step",
    "settings_from",
    "shares_of",
]

SILENCE_SECONDS = 60.0
"""Without a completed request for so long, and nothing to compare with, there are no data."""

SILENCE_REQUESTS = 7.0
"""So many canary requests that stable's promise and none that came: by chance in 1 of 1,000
cases."""

REASONS_NAMED = 3
"""Of pods that could not be read; a sentence with fifty names helps nobody."""

HOLDING = (
    Ground.SHARED_INCIDENT,
    Ground.STALE,
    Ground.NO_DATA,
    Ground.DOUBTFUL,
)
"""Grounds of single checks that keep the rollout where it is, the most urgent first."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Looks in a row in which the canary completed nothing although it had a weight.

    Attributes:
        stable: requests that stable completed meanwhile.
        promised: canary requests that the weight promised for them.
    """

    seconds: float = 0.0
    stable: int = 0
    promised: float = 0.0


@dataclass(frozen=True, slots=True)
class JudgeState:
    """What is remembered between looks; a few hundred bytes a check, whatever was seen.

    Attributes:
        checks: one state a check, in the settings' order.
        step: the step that `requests` is counted on.
        requests: the canary's completed requests on this step.
        share: evidence that the canary completes far less than its weight promises.
    """

    checks: tuple[CheckState, ...]
    step: int = 0
    requests: int = 0
    silence: Silence = Silence()
    share: Evidence = field(default_factory=share.begin)


def begin(settings: JudgeSettings, step: int = 0, past: History = NOTHING_KNOWN) -> JudgeState:
    """Start a rollout's evidence: E = 1 everywhere.

    Without a `past` of stable the comparison has less power at first, and is no less valid.
    """
    return JudgeState(tuple(check.begin(past) for check in settings.checks), step)


def on_step(state: JudgeState, step: int) -> JudgeState:
    """Count this step's requests from 0. Evidence goes on; the same step again changes nothing."""
    if step == state.step:
        return state
    return replace(state, step=step, requests=0, silence=Silence())


def judge(
    settings: JudgeSettings,
    state: JudgeState,
    block: Block | None,
    numbers: Mapping[str, Number],
    *,
    ahead: float = 100.0,
) -> tuple[JudgeState, Judgement]:
    """Judge one look.

    Args:
        settings: as `state` was begun with.
        state: what the last look left.
        block: what was completed since the last reading; None for a reading that only set the
            references (the first one, and the first at a new weight).
        numbers: the answers of the `query` checks, by the check's name.
        ahead: percent of the traffic that a Pass would lead to: the next step's weight.
    """
    look = Look(block, numbers, ahead)
    states = tuple(
        check.take(memory, look)
        for check, memory in zip(settings.checks, state.checks, strict=True)
    )
    state = _count_traffic(replace(state, checks=states), block)
    weighed = [
        check.weigh(memory, look) for check, memory in zip(settings.checks, states, strict=True)
    ]
    return state, _conclude(settings, state, block, weighed)


def judge_unread(settings: JudgeSettings, state: JudgeState, error: ProviderError) -> Judgement:
    """Judge a look that brought nothing: Inconclusive, and the state stays as it is."""
    ground = Ground.STALE if isinstance(error, StaleError) else Ground.PROVIDER_DOWN
    findings = tuple(
        Finding(check.name, Verdict.INCONCLUSIVE, ground, str(error), check.decides)
        for check in settings.checks
    )
    return Judgement(Verdict.INCONCLUSIVE, ground, str(error), state.requests, findings)


# ---------------------------------------------------------------- traffic


def _count_traffic(state: JudgeState, block: Block | None) -> JudgeState:
    if block is None:
        return state
    state = replace(state, share=share.take_block(state.share, block))
    if block.canary.requests or not block.weight:
        return replace(state, requests=state.requests + block.canary.requests, silence=Silence())
    others = 100 - block.weight
    promised = block.stable.requests * block.weight / others if others else 0.0
    silence = Silence(
        state.silence.seconds + block.seconds,
        state.silence.stable + block.stable.requests,
        state.silence.promised + promised,
    )
    return replace(state, silence=silence)


def _traffic_missing(settings: JudgeSettings, state: JudgeState, block: Block | None) -> str:
    """Say why there is nothing to judge, or nothing."""
    if block is not None and block.weight and not block.canary.pods:
        return f"no pod of the canary could be counted: {_reasons(block)}"
    silence = state.silence
    if silence.seconds < settings.quiet:
        return ""
    if silence.promised >= SILENCE_REQUESTS:
        return (
            f"canary completed no request in {wording.seconds(silence.seconds)}, while stable"
            f" completed {wording.counted(silence.stable)}; its weight promises about"
            f" {silence.promised:.0f}"
        )
    if silence.seconds >= SILENCE_SECONDS:
        series = f"; does {settings.series} count them?" if settings.series else ""
        return f"canary completed no request in {wording.seconds(silence.seconds)}{series}"
    return ""


def _reasons(block: Block) -> str:
    named = {**dict.fromkeys(block.restarted, "restarted"), **block.missing}
    reasons = [f"{pod}: {why}" for pod, why in named.items()]
    more = len(reasons) - REASONS_NAMED
    text = "; ".join(reasons[:REASONS_NAMED]) or "none was found"
    return f"{text}; and {more} more" if more > 0 else text


# ---------------------------------------------------------------- the verdict


def _conclude(
    settings: JudgeSettings, state: JudgeState, block: Block | None, weighed: Sequence[Weighed]
) -> Judgement:
    findings = _findings(settings, weighed)
    deciding = [finding for finding in findings if finding.decides]
    verdict, ground, message = Verdict.INCONCLUSIVE, Ground.UNDECIDED, "no check decides"
    failed = [finding for finding in deciding if finding.verdict is Verdict.FAIL]
    held = [f for ground in HOLDING for f in deciding if f.ground is ground]
    open_ones = [finding for finding in deciding if finding.verdict is Verdict.INCONCLUSIVE]
    if failed:
        verdict, ground, message = Verdict.FAIL, failed[0].ground, failed[0].message
    elif missing := _traffic_missing(settings, state, block):
        ground, message = Ground.NO_DATA, missing
    elif block is not None and share.is_off(state.share):
        ground, message = Ground.TRAFFIC_SHARE_OFF, share.sentence(block)
    elif held:
        ground, message = held[0].ground, held[0].message
    elif state.requests < settings.min_requests:
        ground = Ground.TOO_FEW_REQUESTS
        message = _too_few(settings, state, deciding)
    elif open_ones:
        message = open_ones[0].message
    elif deciding:
        verdict, ground = Verdict.PASS, Ground.SAFE
        message = "; ".join(finding.message for finding in deciding)
    allowed, excess = _exposure(settings, weighed)
    return Judgement(verdict, ground, message, state.requests, findings, allowed, excess)


def _exposure(settings: JudgeSettings, weighed: Sequence[Weighed]) -> tuple[float, float]:
    """Return the weight that every deciding check allows, and the largest excess left."""
    seen = [
        said.exposure
        for check, said in zip(settings.checks, weighed, strict=True)
        if check.decides and said.exposure is not None
    ]
    allowed = min((allowed_weight(exposure) for exposure in seen), default=0.0)
    return allowed, max((exposure.excess for exposure in seen), default=1.0)


def _too_few(settings: JudgeSettings, state: JudgeState, deciding: Sequence[Finding]) -> str:
    so_far = f"; so far {deciding[0].message}" if deciding else ""
    return (
        f"canary completed {wording.counted(state.requests)} requests on this step,"
        f" needs {wording.counted(settings.min_requests)}{so_far}"
    )


def _findings(settings: JudgeSettings, weighed: Sequence[Weighed]) -> tuple[Finding, ...]:
    """Turn what the checks say into findings, with the evidence they share.

    A check whose stable arm is beyond its limit too takes no part in the sum: leaving a term out
    only makes an e-value smaller.
    """
    shares = shares_of(settings, weighed)
    total = log_sum(list(shares.values())) if shares else 0.0
    leader = max(shares, key=shares.__getitem__) if shares else None
    return tuple(
        _finding(
            settings,
            check,
            said,
            against=total if index == leader else shares.get(index, said.against),
        )
        for index, (check, said) in enumerate(zip(settings.checks, weighed, strict=True))
    )


def shares_of(settings: JudgeSettings, weighed: Sequence[Weighed]) -> dict[int, float]:
    """Return log(share * E) of each deciding check that keeps evidence, by its place.

    Args:
        settings: how the rollout is judged.
        weighed: what each of its checks said, in their order.
    """
    stakes = {
        index: check.stake
        for index, check in enumerate(settings.checks)
        if check.decides and check.keeps_evidence
    }
    whole = sum(stakes.values())
    return {
        index: (weighed[index].against or 0.0) + log(stake / whole)
        for index, stake in stakes.items()
        if weighed[index].ground is not Ground.SHARED_INCIDENT
    }


def _finding(
    settings: JudgeSettings, check: CheckKind, said: Weighed, *, against: float | None
) -> Finding:
    is_shared = said.ground is Ground.SHARED_INCIDENT
    if said.failed:
        verdict, ground, message = Verdict.FAIL, said.over, said.facts
    elif against is not None and against >= settings.log_needed and not is_shared:
        verdict, ground = Verdict.FAIL, said.over
        odds, needed = wording.odds(against), wording.odds(settings.log_needed)
        message = f"{said.facts}; evidence {odds}, needs {needed}"
    elif said.safe:
        verdict, ground = Verdict.PASS, Ground.SAFE
        message = said.facts
        if said.favour is not None:
            message = f"{said.facts}; shown to keep it by evidence of {wording.odds(said.favour)}"
    else:
        verdict, ground, message = Verdict.INCONCLUSIVE, said.ground, said.facts
        if is_shared:
            message = f"{said.facts}: {said.note}"
        elif said.favour is not None and against is not None and ground is not Ground.NO_DATA:
            message = (
                f"{said.facts}; evidence against it {wording.odds(against)}, for it"
                f" {wording.odds(said.favour)}; needs {wording.odds(settings.log_needed)} or"
                f" {wording.odds(log(1 / BETA))}"
            )
        elif against is not None:
            message = (
                f"{said.facts}; evidence against it {wording.odds(against)}, needs"
                f" {wording.odds(settings.log_needed)}"
            )
    return Finding(check.name, verdict, ground, message, check.decides)

"""Checks that a promote skips: whatever they find, they have no say in this rollout any more.

    crossfade promote echo --skip-check latency --reason "the disk is slow, known"

Somebody took that on himself, by name and with a reason. It stands in the record's `promote` and
ends with it: with the promotion, a way back, or another revision. Invariant: every check that is
not named, the canary's pods, proof and smoke test decide as ever; and what is skipped is told.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from analysis.settings import settings_from
from analysis.verdict import Finding, Ground, Judgement, Verdict
from config.schema import Rollout
from daemon.core.model import Judged, Observation, Promote, Request, Verb
from daemon.core.record import MAX_BY_BYTES, MAX_SKIP_BYTES, cut
from daemon.core.situation import current, judged, pending


def promise_of(request: Request) -> Promote:
    """Return what a promote request leaves in the record; who and why, where a check is skipped."""
    if not request.skip:
        return Promote(request.id)
    return Promote(request.id, request.skip, cut(request.by, MAX_BY_BYTES), cut(request.reason))


def promotion(seen: Observation) -> Promote | None:
    """Return the promote in force: the newest that waits to be noted, else the record's.

    One that waits counts already, so that a check which fails at the very moment in which somebody
    skips it does not take the rollout back.
    """
    record, waiting = current(seen), pending(seen)[:1]
    for request in waiting:
        if request.verb is Verb.PROMOTE and request.skip and request.rollout in (None, record.id):
            return promise_of(request)
    return record.promote


def deciding(rollout: Rollout, seen: Observation) -> Judged | None:
    """Return the judgement of this rollout and revision by the checks that have a say."""
    finding, promote = judged(seen), promotion(seen)
    if finding is None or promote is None or not promote.skip:
        return finding
    judgement = _without(finding.judgement, promote.skip, rollout.analysis.min_requests)
    return replace(finding, judgement=judgement)


def _without(judgement: Judgement, skip: Collection[str], needed: int) -> Judgement:
    """Conclude anew where a skipped check had the last word; traffic that lacks still counts."""
    of_skipped = {it.message for it in judgement.findings if _is_named(it, skip)}
    if judgement.verdict is Verdict.PASS or judgement.message not in of_skipped:
        return judgement
    rest = [it for it in judgement.findings if it.decides and not _is_named(it, skip)]
    unsettled = [it for it in rest if it.verdict is not Verdict.PASS]
    worst = min(unsettled, key=_urgency, default=None)
    if worst is not None and worst.ground is not Ground.UNDECIDED:
        return _concluded(judgement, worst)
    if rest and judgement.requests < needed:
        message = f"canary completed {judgement.requests} requests on this step, needs {needed}"
        few = Finding("", Verdict.INCONCLUSIVE, Ground.TOO_FEW_REQUESTS, message)
        return _concluded(judgement, few)
    passed = "; ".join(it.message for it in rest) or "no other check decides"
    return _concluded(judgement, worst or Finding("", Verdict.PASS, Ground.SAFE, passed))


def _concluded(judgement: Judgement, last: Finding) -> Judgement:
    """Return a judgement in which this finding has the last word."""
    return replace(judgement, verdict=last.verdict, ground=last.ground, message=last.message)


def _urgency(finding: Finding) -> tuple[bool, bool]:
    """Sort a failure first, and last what time alone may settle."""
    return finding.verdict is not Verdict.FAIL, finding.ground is Ground.UNDECIDED


def _is_named(finding: Finding, skip: Collection[str]) -> bool:
    return finding.decides and _short(finding.check) in skip


def _short(check: str) -> str:
    """Return a check's name as requests and record spell it."""
    return cut(check, MAX_SKIP_BYTES)


# ---------------------------------------------------------------- told


def in_words(promote: Promote | None) -> str:
    """Say which checks are skipped, by whom and why; empty if none is."""
    if promote is None or not promote.skip:
        return ""
    by = f" by {promote.by}" if promote.by else ""
    why = f': "{promote.reason}"' if promote.reason else ""
    return f"{' and '.join(promote.skip)} skipped{by}{why}"


def overridden(seen: Observation) -> str:
    """Say which skipped checks fail now, and on whose word that does not count; empty if none."""
    finding, promote = judged(seen), promotion(seen)
    if finding is None or promote is None:
        return ""
    failing = [
        f"{it.check} fails: {it.message}"
        for it in finding.judgement.findings
        if it.verdict is Verdict.FAIL and _is_named(it, promote.skip)
    ]
    return "; ".join([*failing, f"not counted: {in_words(promote)}"]) if failing else ""


# ---------------------------------------------------------------- what speaks against a promote


def objection(rollout: Rollout, seen: Observation, skip: Sequence[str]) -> str:
    """Say why a promote cannot be granted: a check in doubt, or the name of none.

    A check that fails has taken the rollout back before anybody could object.
    """
    names = [it.name for it in settings_from(rollout).checks]
    for name in skip:
        if name not in map(_short, names):
            return f"the policy has no check {name}; its checks: {', '.join(names) or 'none'}"
    finding = judged(seen)
    for it in finding.judgement.findings if finding else ():
        if it.decides and it.ground is Ground.DOUBTFUL and not _is_named(it, skip):
            override = f"--skip-check '{it.check}' --reason TEXT"
            return f"{it.check} is in doubt: {it.message}; to go on all the same: {override}"
    return ""

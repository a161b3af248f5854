"""The account of one look: its log line, its metrics, and the objects that its Events stand on.

What is told here is what was decided and what became of it; nothing is decided or written.
"""

from typing import Any

from config.schema import Rollout
from daemon.carry_out import Outcome, Result
from daemon.core.model import Decision, Observation, Record, TargetKey
from daemon.core.situation import of_version
from daemon.kube.events import Regarding
from daemon.kube.objects import DEPLOYMENTS
from daemon.routers.base import RouteObject
from daemon.web.metrics import Metrics


def about(
    route: RouteObject, rollout: Rollout, seen: Observation, decision: Decision
) -> tuple[Regarding, ...]:
    """Events stand on the route and on the Deployment that the news is about."""
    uid = seen.route.uid if seen.route else ""
    objects = [Regarding(route.resource, route.namespace, route.name, uid)]
    record = decision.record or (seen.record if isinstance(seen.record, Record) else None)
    version = (record.canary or record.stable) if record else None
    objects += [
        Regarding(DEPLOYMENTS, rollout.namespace, it.deployment, it.uid)
        for it in of_version(seen, version)[:1]
    ]
    return tuple(objects)


def show(
    metrics: Metrics, key: TargetKey, seen: Observation, decision: Decision, outcome: Outcome
) -> None:
    """Show in the metrics where a target stands after a look."""
    target = str(key)
    metrics.route_gone(target, gone=seen.route is None)
    metrics.blocked(target, blocked=decision.blocked)
    written = outcome.result is Result.WRITTEN
    record = decision.record if written else seen.record
    if not isinstance(record, Record):
        return
    metrics.stands(target, record.phase, record.weight)
    metrics.versions(target, record.stable, record.canary)
    metrics.held(target, record.held.reason if record.held else None)
    metrics.paused(target, paused=record.paused is not None)
    if decision.work is None or not decision.work.read:
        metrics.seen(target, None)
    # Where no route of ours stands, there is nothing left to be proved.
    waits = decision.work is not None and decision.work.prove
    metrics.confirmed(target, confirmed=not waits)
    if written:
        metrics.decided(target, record.phase, record.weight, decision.reason)
    if seen.findings.judged is not None:
        findings = seen.findings.judged.judgement.findings
        metrics.judged(target, {it.check: it.verdict for it in findings})


def log_line(log: Any, seen: Observation, decision: Decision, outcome: Outcome) -> None:
    """Log one look in one line."""
    record = decision.record if outcome.result is Result.WRITTEN else seen.record
    facts: dict[str, object] = {}
    if isinstance(record, Record):
        facts = {
            "rollout": record.id,
            "revision": record.revision or record.stable_revision,
            "phase": str(record.phase),
            "step": record.step,
            "weight": record.weight,
            "decision": record.decision,
        }
    judged = seen.findings.judged
    if judged is not None and judged.rollout == facts.get("rollout"):
        facts["verdict"] = str(judged.judgement.verdict)
        facts["checks"] = {
            it.check: [str(it.verdict), it.message] for it in judged.judgement.findings
        }
    # What was written is news; a look that changed nothing is for those who ask for it.
    write = log.info if outcome.result is not Result.NOTHING_TO_WRITE else log.debug
    write(
        "rollout.decided",
        reason=str(decision.reason),
        message=decision.message,
        result=str(outcome.result),
        fresh=str(seen.fresh),
        **facts,
    )

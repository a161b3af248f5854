"""An explanation as JSON: an API, members are added, never renamed or removed."""

import json
from math import exp, inf
from typing import Any, Final

from analysis.explanation import Difference, Explanation, Measure, Raise, explain
from analysis.samples import FAILED
from analysis.verdict import Judgement
from daemon.cli.evidence_case import API_VERSION, Case
from daemon.cli.explain_text import blind, sources
from daemon.core.model import TargetKey

KIND: Final = "RolloutExplanation"
MOST_LOG: Final = 700.0
"""Evidence is written as a number as long as one can hold it."""


def as_json(case: Case) -> str:
    """Return the document."""
    explained = explain(case.settings, case.journal)
    return _text(case.key, {**_rollout(case), **(_explained(case, explained) if explained else {})})


def without_journal(key: TargetKey, missing: str, why: str) -> str:
    """Return the document of a rollout that cannot be explained."""
    return _text(key, {"why": why, "missing": missing})


def _text(key: TargetKey, explanation: dict[str, Any]) -> str:
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"namespace": key.namespace, "name": key.name},
        "explanation": explanation,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _rollout(case: Case) -> dict[str, Any]:
    journal, record = case.journal, case.record
    current = record is not None and record.id == journal.rollout
    past = journal.past
    return {
        "rollout": journal.rollout,
        "stable": journal.stable,
        "canary": journal.canary,
        "phase": str(record.phase) if record and current else None,
        "why": record.message if record and current else "",
        "missing": None,
        "record": record
        and {"rollout": record.id, "phase": str(record.phase), "why": record.message},
        "begun": journal.begun,
        "again": journal.again,
        "history": {
            "seconds": past.seconds,
            "requests": past.requests,
            "failed": past.bad.get(FAILED, 0),
        },
        "gone": journal.gone.looks,
        "read": list(sources(case.rollout)),
    }


def _explained(case: Case, explained: Explanation) -> dict[str, Any]:
    users = explained.users
    return {
        "alpha": case.settings.alpha,
        "decisive": {
            "at": explained.decisive.at,
            "weight": explained.decisive.weight,
            **_judgement(explained.judgement),
        },
        "measures": [_measure(it) for it in explained.measures],
        "weights": [_raise(it) for it in explained.raises],
        "users": {
            "requests": users.requests,
            "failed": users.failed,
            "excess": round(users.excess, 1),
        },
        "looks": explained.looks,
        "first": explained.first,
        "last": explained.last,
        "unread": explained.unread,
        "replay": {
            "agrees": explained.differs is None,
            "differs": _difference(explained.differs) if explained.differs else None,
        },
    }


def _judgement(judgement: Judgement) -> dict[str, Any]:
    return {
        "verdict": str(judgement.verdict),
        "ground": str(judgement.ground),
        "message": judgement.message,
        "findings": [
            {
                "check": it.check,
                "verdict": str(it.verdict),
                "ground": str(it.ground),
                "message": it.message,
                "decides": it.decides,
            }
            for it in judgement.findings
        ],
    }


def _measure(measure: Measure) -> dict[str, Any]:
    counts, band = measure.counts, measure.band
    return {
        "check": measure.check,
        "slowerThan": measure.bound if measure.bound != FAILED else None,
        "canary": {"bad": counts.canary_bad, "requests": counts.canary},
        "stable": {"bad": counts.stable_bad, "requests": counts.stable},
        "band": band and {"low": band.low, "high": band.high if band.high < inf else None},
        "maxRatio": measure.ratio,
        "maxDrop": measure.tolerance if measure.ratio is not None else None,
        "limit": measure.limit,
        "evidence": exp(min(measure.log_e, MOST_LOG)),
        "decides": measure.decides,
    }


def _raise(it: Raise) -> dict[str, Any]:
    return {
        "at": it.at,
        "weight": it.weight,
        "allowedBy": str(it.leave),
        "ground": str(it.ground) if it.ground else None,
        "excess": it.excess if it.excess < 1 else None,
        "requests": it.requests,
        "couldNotSee": blind(it),
    }


def _difference(it: Difference) -> dict[str, Any]:
    return {
        "at": it.entry.at,
        "stored": [str(it.entry.verdict), str(it.entry.ground)],
        "now": [str(it.judgement.verdict), str(it.judgement.ground)],
    }

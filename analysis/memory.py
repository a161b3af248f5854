"""The judge's memory as text: saved and restored bit for bit, and checked when it is read.

The text comes from a ConfigMap that others can write, so nothing in it is believed: what does not
fit the settings is "lost", and the evidence starts at 1 again. No I/O, and no keys: whose memory
it is, is for the caller to know.
"""

import json
from math import isfinite
from typing import Any

from analysis.checks import CheckState
from analysis.eprocess import Evidence
from analysis.judge import JudgeSettings, JudgeState, Silence, begin
from analysis.untrusted import told_by, whole

FORMAT = 2

LARGEST_TEXT = 256 * 1024
"""Bytes. Fifty checks fit; a ConfigMap holds 1 MiB, and a longer text is not ours."""


def save(settings: JudgeSettings, state: JudgeState) -> str:
    """Write a state as ASCII JSON; floats keep every bit (Python writes shortest exact ones)."""
    silence = state.silence
    document = {
        "v": FORMAT,
        "step": state.step,
        "requests": state.requests,
        "silence": [silence.seconds, silence.stable, silence.promised],
        "share": _plain(state.share),
        "checks": [
            {
                "name": check.name,
                "evidence": {name: _plain(evidence) for name, evidence in memory.evidence.items()},
                "numbers": dict(memory.numbers),
            }
            for check, memory in zip(settings.checks, state.checks, strict=True)
        ],
    }
    return json.dumps(document, allow_nan=False, separators=(",", ":"))


def _plain(evidence: Evidence) -> list[float]:
    return [evidence.starts, evidence.seconds, *evidence.bets]


def restore(settings: JudgeSettings, text: str) -> JudgeState | None:
    """Read a state back; None where the text is damaged, too long, or of other checks."""
    return told_by(text, lambda document: _state(settings, document), longest=LARGEST_TEXT)


def _state(settings: JudgeSettings, document: Any) -> JudgeState:
    if document["v"] != FORMAT:
        raise ValueError("another format")
    empty = begin(settings)
    fresh = empty.checks
    saved = document["checks"]
    if [entry["name"] for entry in saved] != [check.name for check in settings.checks]:
        raise ValueError("other checks")
    seconds, stable, promised = document["silence"]
    return JudgeState(
        checks=tuple(_check(model, entry) for model, entry in zip(fresh, saved, strict=True)),
        step=whole(document["step"]),
        requests=whole(document["requests"]),
        silence=Silence(_positive(seconds), whole(stable), _positive(promised)),
        share=_evidence(empty.share, document["share"]),
    )


def _check(model: CheckState, entry: Any) -> CheckState:
    evidence, numbers = entry["evidence"], entry["numbers"]
    if evidence.keys() != model.evidence.keys() or numbers.keys() != model.numbers.keys():
        raise ValueError("other names")
    return CheckState(
        {name: _evidence(model.evidence[name], evidence[name]) for name in model.evidence},
        {name: _finite(numbers[name]) for name in model.numbers},
    )


def _evidence(model: Evidence, entry: Any) -> Evidence:
    starts, seconds, *bets = entry
    if len(bets) != len(model.bets) or whole(starts) < 1:
        raise ValueError("another test")
    return Evidence(tuple(_finite(bet) for bet in bets), starts, _positive(seconds))


def _finite(value: Any) -> float:
    if type(value) is not float or not isfinite(value):
        raise ValueError("not a number")
    return value


def _positive(value: Any) -> float:
    if _finite(value) < 0:
        raise ValueError("negative")
    return float(value)

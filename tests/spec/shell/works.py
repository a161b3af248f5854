"""The work beside reconcile that tests give: one rollout's fourth decision, 5 % on the canary."""

from dataclasses import replace

from daemon.core.model import GuideKind, Phase, Work

WORK = Work(
    rollout="r1",
    decision=4,
    revision="v2/b",
    weight=5,
    stable="v1",
    stable_revision="v1/a",
    canary="v2",
    step=0,
    phase=Phase.SHIFTING,
    guide=GuideKind.HEADER,
)
"""Nothing is to be done yet."""
READ = replace(WORK, read=True)
PROVE = replace(WORK, prove=True)
BEFORE_WEIGHT = replace(WORK, phase=Phase.SMOKE, weight=0)
SMOKE = replace(BEFORE_WEIGHT, prove=True, smoke=True)
CHOOSE = replace(BEFORE_WEIGHT, choose=True)

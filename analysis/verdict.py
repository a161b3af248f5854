"""What a look at the metrics came to: three values, a named reason, and one sentence."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Pass and Fail need evidence; everything else is Inconclusive and moves nothing by itself."""

    PASS = "Pass"  # noqa: S105 - a verdict, not a password
    FAIL = "Fail"
    INCONCLUSIVE = "Inconclusive"


class Ground(StrEnum):
    """Why a verdict is what it is; the word stands in record, log, Event and metric."""

    SAFE = "Safe"
    OVER_LIMIT = "OverLimit"
    WORSE = "Worse"
    UNDECIDED = "Undecided"
    DOUBTFUL = "Doubtful"
    """leaning towards failure without proof: nobody should be sent there by a timetable"""
    TOO_FEW_REQUESTS = "TooFewRequests"
    SHARED_INCIDENT = "SharedIncident"
    NO_DATA = "NoData"
    STALE = "Stale"
    PROVIDER_DOWN = "ProviderDown"
    TRAFFIC_SHARE_OFF = "TrafficShareOff"
    """the canary completes far less than its weight promises: hung requests fail unseen"""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: the check's name in the policy.
        message: one sentence with counts, e.g. "6 of 83 requests failed (7.2 %), limit 1 %".
        decides: False for `mode: observe`: reported, never part of the verdict.
    """

    check: str
    verdict: Verdict
    ground: Ground
    message: str
    decides: bool = True


@dataclass(frozen=True, slots=True)
class Judgement:
    """All checks of one target at one look.

    Attributes:
        requests: the canary's completed requests counted on this step so far.
        message: the deciding finding's sentence.
        findings: one per check, in the policy's order.
        allowed: percent of the traffic that the evidence allows the canary now, by the budget of
            failed requests; 0 where no check compares it with stable.
        excess: bound of its excess failure rate over stable's; 1 where nothing is excluded yet.
    """

    verdict: Verdict
    ground: Ground
    message: str
    requests: int
    findings: tuple[Finding, ...] = ()
    allowed: float = 0.0
    excess: float = 1.0

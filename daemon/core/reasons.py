"""The one vocabulary of reasons: the same word in record, Event, log, metric, API and message."""

from enum import StrEnum


class Reason(StrEnum):
    """Why the daemon did, or does not do, something. Add a member, never a second spelling."""

    # Adoption and waiting for a version
    ADOPTED = "Adopted"
    ADOPTION_CONFIRMED = "AdoptionConfirmed"
    WAITING_FOR_VERSION = "WaitingForVersion"
    NEW_VERSION = "NewVersion"
    STABLE_REPLACED = "StableReplaced"

    # Going forward
    CANARY_READY = "CanaryReady"
    SMOKE_PASSED = "SmokePassed"
    SMOKE_SKIPPED = "SmokeSkipped"
    ANALYSIS_PASSED = "AnalysisPassed"
    RAISED_BY_BUDGET = "RaisedByBudget"
    UNDECIDED_BY_TIMETABLE = "UndecidedByTimetable"
    PROMOTED_BY_REQUEST = "PromotedByRequest"
    CHECK_OVERRIDDEN = "CheckOverridden"
    BAKED = "Baked"
    PROMOTED = "Promoted"
    RETIRED = "Retired"
    RETRIED = "Retried"

    # Waiting inside a phase
    WAITING_FOR_PODS = "WaitingForPods"
    CONFIRMING = "Confirming"
    SMOKE_RUNNING = "SmokeRunning"
    HOLDING = "Holding"
    BAKING = "Baking"
    DRAINING = "Draining"
    KEEPING_OLD = "KeepingOld"
    PAUSED = "Paused"
    RESUMED = "Resumed"

    # Held: neither a failure nor a pass
    NO_DATA = "NoData"
    TOO_FEW_REQUESTS = "TooFewRequests"
    PROVIDER_DOWN = "ProviderDown"
    UNDECIDED = "Undecided"
    NO_WAY_BACK = "NoWayBack"
    ADOPTION_UNCONFIRMED = "AdoptionUnconfirmed"
    SMOKE_UNCONFIRMED = "SmokeUnconfirmed"
    SMOKE_NOT_RUN = "SmokeNotRun"
    METRICS_UNPROVED = "MetricsUnproved"
    RAISE_UNCONFIRMED = "RaiseUnconfirmed"
    FINALISING_UNCONFIRMED = "FinalisingUnconfirmed"
    ROLLBACK_UNCONFIRMED = "RollbackUnconfirmed"
    ROUTE_EDITED = "RouteEdited"
    DRIFT_FIGHT = "DriftFight"
    STABLE_CHANGED = "StableChanged"
    STABLE_SHRUNK = "StableShrunk"
    TWO_DEPLOYMENTS = "TwoDeployments"
    DEPLOYMENTS_UNREADABLE = "DeploymentsUnreadable"

    # Coming back
    SMOKE_FAILED = "SmokeFailed"
    ANALYSIS_FAILED = "AnalysisFailed"
    NO_DATA_ROLLED_BACK = "NoDataRolledBack"
    UNDECIDED_ROLLED_BACK = "UndecidedRolledBack"
    CANARY_NOT_READY = "CanaryNotReady"
    CANARY_GONE = "CanaryGone"
    CANARY_CHANGED = "CanaryChanged"
    SUPERSEDED = "Superseded"
    ABORTED = "Aborted"
    ROLLED_BACK = "RolledBack"

    # The record and who writes it
    TAKEOVER = "Takeover"
    LOST_LEADERSHIP = "LostLeadership"
    RECORD_DAMAGED = "RecordDamaged"
    RECORD_LOST = "RecordLost"
    POLICY_LOST = "PolicyLost"

    # Refused: a person has to change something first
    ROUTE_REFUSED = "RouteRefused"
    ROUTE_GONE = "RouteGone"
    ROUTE_WARNING = "RouteWarning"
    STABLE_UNKNOWN = "StableUnknown"
    BLOCKED = "Blocked"
    REQUEST_IGNORED = "RequestIgnored"
    WRITE_REFUSED = "WriteRefused"
    EVIDENCE_UNWRITABLE = "EvidenceUnwritable"

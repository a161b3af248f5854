"""The embedded Kubernetes API server: a Store with the API's rules, and HTTP in front of it.

It imitates what clients of the real one depend on, and nothing else of Kubernetes: no
controllers, no scheduler, no kubelet. Production code never imports it.
"""

from daemon.sandbox.api.faults import Effect, Fault, Faults
from daemon.sandbox.api.recorder import Call, Recorded, Recorder
from daemon.sandbox.api.server import ApiServer
from daemon.sandbox.api.status import StatusError
from daemon.sandbox.api.store import Outcome, Store
from daemon.sandbox.api.writing import Options

__all__ = [
    "ApiServer",
    "Call",
    "Effect",
    "Fault",
    "Faults",
    "Options",
    "Outcome",
    "Recorded",
    "Recorder",
    "StatusError",
    "Store",
]

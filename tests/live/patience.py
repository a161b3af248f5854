"""A policy for scenes in which time is lost on purpose, on a machine that may be busy besides.

Nothing is given up for want of time: no data for a while is waited for, and so is the gateway.
"""

from typing import Any

PATIENT: dict[str, Any] = {
    "confirmTimeout": "1m",
    "analysis": {"interval": "500ms", "onNoData": {"wait": "2m", "then": "pause"}},
}

"""A policy for scenes in which time is lost on purpose, on a machine that may be busy besides.

Nothing is given up for want of time: no data for a while is waited for, and so is the gateway.
"""

from typing import Any

PATIENT: dict[str, Any] = {
    "confirmTimeout": "1m",
    "analysis": {"interval": "500ms", "onNoData": {"wait": "2m", "then": "pause"}},
}

TIME_TO_JUDGE: dict[str, Any] = {"steps": [{"weight": 25, "hold": "40s"}, {"weight": 100}]}
"""For versions that fail some of their requests: nothing but a verdict ends the first step in time.
The comparison needs some hundred requests in a canary's first minute, while it may warm up."""

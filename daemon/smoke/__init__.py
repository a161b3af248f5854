"""The smoke test of a canary: requests through the gateway that must be answered by it."""

from daemon.smoke.run import SmokeJob, run_smoke

__all__ = ["SmokeJob", "run_smoke"]

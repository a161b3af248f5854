"""What a rollout can see at all: canary requests that any test needs, on average.

Wald's bound (1945), which the sequential probability ratio test reaches (Wald and Wolfowitz 1948):
log(1/alpha) / KL(p1 || p0) requests to detect p1 over p0, log(1/beta) / KL(p0 || p1) to exclude it.
Told before a rollout; no verdict depends on it.
"""

from math import inf, log


def requests_to_detect(usual: float, rate: float, *, alpha: float) -> float:
    """Return the requests of a canary failing at `rate` after which it can be taken back."""
    return _requests(alpha, rate, usual)


def requests_to_exclude(usual: float, rate: float, *, beta: float) -> float:
    """Return the requests of a canary as good as stable that show it does not fail at `rate`."""
    return _requests(beta, usual, rate)


def _requests(error: float, true: float, other: float) -> float:
    divergence = _divergence(true, other)
    return log(1 / error) / divergence if divergence > 0 else inf


def _divergence(p: float, q: float) -> float:
    """Kullback-Leibler, of one request; infinite where q calls impossible what p does not."""
    return _part(p, q) + _part(1 - p, 1 - q)


def _part(p: float, q: float) -> float:
    if p <= 0:
        return 0.0
    return p * log(p / q) if q > 0 else inf

"""Build the Prometheus provider from the policy; its token is looked up here and never kept.

`${secret:name/key}` is a mounted file, not a read of the Secrets API: the daemon has no right to
any Secret. A file is read again whenever it changes.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from analysis.errors import RefusedError
from analysis.providers.prometheus import PrometheusProvider
from analysis.providers.session import TokenFile
from config.references import Reference, Source, parse_reference
from config.schema import PrometheusSource
from daemon.ports import Clock

SECRETS: Final = Path("/etc/crossfade/secrets")
"""Where deploy/ mounts Secrets: one directory a Secret, one file a key."""
BUDGET_FACTOR: Final = 2.0
"""Seconds for all tries of a query, as a multiple of one try's time-out."""


def prometheus_provider(
    source: PrometheusSource, clock: Clock, timeout: float
) -> PrometheusProvider:
    """Return the provider that asks the policy's Prometheus.

    Raises:
        RefusedError: the token cannot be looked up; says where it should be.
    """
    reference = None if source.bearer_token is None else parse_reference(source.bearer_token)
    return PrometheusProvider(
        source,
        clock.monotonic,
        timeout=timeout,
        budget=BUDGET_FACTOR * timeout,
        token=None if reference is None else _token(reference),
        sleep=clock.sleep,
    )


def _token(reference: Reference) -> Callable[[], str]:
    match reference.source:
        case Source.ENVIRONMENT:
            value = os.environ.get(reference.where)
            if not value:
                raise RefusedError(f"{reference}: the environment has no variable of that name")
            return lambda: value
        case Source.FILE:
            return TokenFile(reference.where)
        case Source.SECRET:
            return TokenFile(str(SECRETS / reference.where))

"""Build the Prometheus provider from the policy; its token is looked up here and never kept.

A token in a file, a mounted Secret among them, is read again whenever it changes.
"""

from collections.abc import Callable
from typing import Final

from analysis.errors import RefusedError
from analysis.providers.prometheus import PrometheusProvider
from analysis.providers.session import TokenFile
from config.references import Reference, Source, parse_reference
from config.schema import PrometheusSource
from daemon.errors import PermanentError
from daemon.ports import Clock
from daemon.references import file_of, read_reference

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
    if reference.source is not Source.ENVIRONMENT:
        return TokenFile(str(file_of(reference)))
    try:
        value = read_reference(reference)
    except PermanentError as problem:
        raise RefusedError(str(problem)) from problem
    return lambda: value

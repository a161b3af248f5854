"""What can go wrong while metrics are read, in one tree.

    ProviderError            the look brought nothing; the message is a sentence for a person
    ├── UnavailableError     no answer in time, refused, 429 or 5xx: the next look may succeed
    ├── StaleError           answers come, but their newest samples are too old to judge anything
    └── RefusedError         400, 401, 403, 422, a wrong format: a person has to change something

None of these is ever a failed or a passed check: a look that brought nothing is Inconclusive.
Adapters translate third-party exceptions into these, chained; nothing else leaves a provider.
"""


class ProviderError(Exception):
    """Root of the tree."""


class UnavailableError(ProviderError):
    """Worth another try."""


class StaleError(ProviderError):
    """No new samples arrive."""


class RefusedError(ProviderError):
    """Trying again cannot help."""

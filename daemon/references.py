"""Look references of the policy up: `${env:X}`, `${file:/path}`, `${secret:name/key}`.

`${secret:name/key}` is a mounted file, not a read of the Secrets API: the daemon has no right to
any Secret. What is looked up is for use at once; it is never stored, hashed or logged.
"""

import os
from pathlib import Path
from typing import Final

from config.errors import PolicyError
from config.references import Reference, Source
from config.resolved import resolve_rollout
from config.schema import Rollout
from daemon.errors import PermanentError

SECRETS: Final = Path("/etc/crossfade/secrets")
"""Where deploy/ mounts Secrets: one directory a Secret, one file a key."""
MAX_VALUE_BYTES: Final = 16 * 1024
"""A token has about 1 KiB; a longer file is not a value of a header."""


def resolved(rollout: Rollout) -> Rollout:
    """Return the rollout with its references looked up.

    Raises:
        PermanentError: one cannot be looked up, or is not possible where it stands.
    """
    try:
        return resolve_rollout(rollout, read_reference)
    except PolicyError as problem:
        raise PermanentError(str(problem)) from problem


def read_reference(reference: Reference) -> str:
    """Look one reference up.

    Raises:
        PermanentError: it is not there; says where it should be.
    """
    if reference.source is Source.ENVIRONMENT:
        value = os.environ.get(reference.where)
        if not value:
            raise PermanentError(f"{reference}: the environment has no variable of that name")
        return value
    path = file_of(reference)
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_VALUE_BYTES).strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise PermanentError(f"{reference}: {path} cannot be read") from problem


def file_of(reference: Reference) -> Path:
    """Return the file behind a file or secret reference."""
    if reference.source is Source.SECRET:
        return SECRETS / reference.where
    return Path(reference.where)

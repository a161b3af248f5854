"""The identity of a pod template: a hash of its content alone.

The same template gives the same hash for ever, also in a Deployment that was deleted and made
again; the revision of a version is built on that.
"""

import hashlib
import json
from typing import Final

from daemon.ports import Obj

HASH_LABEL: Final = "pod-template-hash"
ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""As in Kubernetes: without vowels and look-alikes, so that no hash is a word."""
LENGTH: Final = 10
"""27 ** 10 values: two templates of one Deployment do not meet by chance."""


def template_hash(template: Obj) -> str:
    """Hash a pod template.

    A `pod-template-hash` label in it does not count, and an empty map is the same as none.
    """
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    annotations = metadata.get("annotations") or {}
    content = {"labels": labels, "annotations": annotations, "spec": template.get("spec")}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    letters = []
    for _ in range(LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    return "".join(letters)

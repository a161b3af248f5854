"""A rollout's case: its journal, and the policy that it was judged by, as one value and one file.

The file is what `explain --save` writes and `replay` reads; a version in it says which format it
is. It holds counts, names of versions and pods, and the policy with its references unresolved:
no secret. Whatever is read, from the cluster or from a file, was written by others and is
validated like any input.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from analysis.journal import LARGEST_TEXT, Journal, dump, load
from analysis.settings import JudgeSettings, settings_from
from config.errors import PolicyError
from config.schema import Rollout
from config.stored import dump_rollout, load_rollout
from daemon.cli.exits import Exit, Failure
from daemon.cli.find import Found
from daemon.cli.text import plain
from daemon.core.model import Record, TargetKey
from daemon.core.record import format_record, parse_record
from daemon.sources import with_source

API_VERSION: Final = "crossfade.dev/v1"
KIND: Final = "RolloutJournal"
MAX_BYTES: Final = 2 * LARGEST_TEXT
"""A journal with the policy and the record beside it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One rollout, as far as it can be judged again.

    Attributes:
        record: the record at the time, or None where it could not be read.
        rollout: the policy that the rollout began with.
    """

    key: TargetKey
    record: Record | None
    rollout: Rollout
    journal: Journal

    @property
    def settings(self) -> JudgeSettings:
        """How it was judged."""
        return settings_from(self.rollout)

    @property
    def is_over(self) -> bool:
        """Whether another rollout has begun since, of which nothing is judged yet."""
        return self.record is not None and self.record.id != self.journal.rollout

    @property
    def name(self) -> str:
        """Which rollout it is, in words."""
        versions = f"{self.journal.stable} → {self.journal.canary}"
        return plain(f"{self.key} {versions}, rollout {self.journal.rollout}")


def policy_of(found: Found) -> Rollout | None:
    """Read the policy that the evidence keeps, with the source that was found for it.

    None where there is none that can be read.
    """
    if found.evidence is None:
        return None
    try:
        rollout = load_rollout(found.evidence.policy)
    except PolicyError:
        return None
    record = found.known
    return with_source(rollout, (record.source or "") if record else "")


def case_of(found: Found) -> Case | str:
    """Return the case that the evidence makes; else a sentence that says what is missing."""
    evidence = found.evidence
    if evidence is None:
        return "its evidence ConfigMap is not there, may not be read, or is another rollout's"
    rollout = policy_of(found)
    if rollout is None:
        return f"the policy in ConfigMap {evidence.namespace}/{evidence.name} cannot be read"
    if not evidence.journal:
        return "nothing has been judged yet"
    journal = load(settings_from(rollout), evidence.journal)
    if journal is None:
        where = f"ConfigMap {evidence.namespace}/{evidence.name}"
        return f"the journal in {where} is damaged, or of another version of Crossfade"
    return Case(found.key, found.known, rollout, journal)


def write_case(case: Case, file: str) -> None:
    """Write the file.

    Raises:
        Failure: it cannot be written.
    """
    try:
        Path(file).write_text(f"{text_of(case)}\n", encoding="ascii")
    except OSError as problem:
        raise Failure(f"{file}: {problem.strerror or problem}") from problem


def text_of(case: Case) -> str:
    """Return the file's text: ASCII JSON, one line a look."""
    head = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "target": {"namespace": case.key.namespace, "name": case.key.name},
        "record": json.loads(format_record(case.record)) if case.record else None,
        "policy": dump_rollout(case.rollout),
    }
    journal = dump(case.settings, case.journal)
    return f'{json.dumps(head)[:-1]},\n"journal":{journal}}}'


def read_case(file: str) -> Case:
    """Read a file.

    Raises:
        Failure: it is not there, or is none of ours.
    """
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(MAX_BYTES + 1)
    except OSError as problem:
        raise Failure(f"{file}: {problem.strerror or problem}", Exit.USAGE) from problem
    if len(text) > MAX_BYTES:
        raise _not_ours(file, f"it is longer than {MAX_BYTES // 1024} KiB")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise _not_ours(file, "it is no JSON") from problem
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise _not_ours(file, f"it is no {KIND}; `crossfade explain TARGET --save FILE` writes one")
    if document.get("apiVersion") != API_VERSION:
        other = document.get("apiVersion")
        why = f"its format {other!r} is not {API_VERSION}: another version of Crossfade wrote it"
        raise _not_ours(file, why)
    return _case(file, document)


def _case(file: str, document: Mapping[str, Any]) -> Case:
    target = document.get("target")
    names = target if isinstance(target, dict) else {}
    key = TargetKey(str(names.get("namespace", "")), str(names.get("name", "")))
    policy = document.get("policy")
    try:
        rollout = load_rollout(policy if isinstance(policy, dict) else {})
    except PolicyError as problem:
        told = str(problem).replace("Value error, ", "")  # pydantic's word for a refusal of ours
        raise _not_ours(file, f"its policy cannot be read: {told}") from problem
    record = parse_record(json.dumps(document.get("record")))
    journal = load(settings_from(rollout), json.dumps(document.get("journal")))
    if journal is None:
        why = "its journal is damaged, of another version, or not of this policy's checks"
        raise _not_ours(file, why)
    return Case(key, record if isinstance(record, Record) else None, rollout, journal)


def _not_ours(file: str, why: str) -> Failure:
    return Failure(f"{file}: {why}", Exit.USAGE)

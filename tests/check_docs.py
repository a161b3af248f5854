"""Check that the documents are true where a program can tell. Part of `make check`.

    python tests/check_docs.py            # every problem on a line of its own; exit 1 if there is one
    python tests/check_docs.py --write    # write the generated tables anew, then check

Names in the documents are compared with the code in both directions: what exists is explained, and
what is explained exists. Whether a sentence is right, only a reader can tell.
"""

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import click

from config.errors import PolicyError
from config.load import load_policy
from daemon.cli.exits import Exit
from daemon.cli.program import program
from daemon.core.model import Phase
from daemon.core.reasons import Reason
from daemon.sandbox.cli import commands as sandbox_commands
from daemon.sandbox.knobs import KNOBS
from daemon.web.metrics import Metrics

ROOT: Final = Path(__file__).resolve().parent.parent
LONGEST_LINE: Final = 120
"""Of prose; tables, code and links may be longer."""
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"

FORBIDDEN: Final = (
    (r"\b(TODO|FIXME|TBD)\b", "is unfinished"),
    (r"(?<![\w.<>{}])/(work|root|home|tmp)/", "names a path of somebody's machine"),
    (
        r"\b(pypi|pythonhosted|npmjs|crates|golang|rubygems|docker|gcr|ghcr|quay)\.(org|com|io)\b",
        "names the host of a package registry",
    ),
    (
        r"(?i)\b(LLM|GPT|chat ?bot|language model|(coding|AI) (agent|assistant)|AI[- ]generated)\b",
        "speaks of how the project was made",
    ),
)


class Problem(NamedTuple):
    """One thing to correct."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line on which the text begins."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Doc:
    """One Markdown file; `path` is relative to the folder of all documents."""

    path: str
    text: str
    blocks: tuple[Block, ...] = field(init=False)
    prose: tuple[str, ...] = field(init=False)
    """The lines, with those of fenced blocks empty."""

    def __post_init__(self) -> None:
        blocks, prose = [], []
        inside: list[str] | None = None
        language, begun = "", 0
        for number, line in enumerate(self.text.splitlines(), start=1):
            fence = re.fullmatch(r" *```(\w*).*", line)
            if inside is None and fence:
                inside, language, begun = [], fence[1], number + 1
            elif inside is not None and fence:
                blocks.append(Block(language, "\n".join(inside) + "\n", begun))
                inside = None
            elif inside is not None:
                inside.append(line)
            prose.append("" if inside is not None or fence else line)
        object.__setattr__(self, "blocks", tuple(blocks))
        object.__setattr__(self, "prose", tuple(prose))

    def problem(self, line: int, message: str) -> Problem:
        return Problem(self.path, line, message)

    @cached_property
    def anchors(self) -> frozenset[str]:
        """What a link may name after `#`: the headings, spelled as GitHub does."""
        headings = (re.match(r"#+ +(.+)", line) for line in self.prose)
        return frozenset(
            re.sub(r"[^\w\- ]", "", found[1].lower()).strip().replace(" ", "-")
            for found in headings
            if found
        )

    def code(self) -> Iterator[tuple[int, str]]:
        """Yield every code span, and every line of a block that people type."""
        for number, line in enumerate(self.prose, start=1):
            for span in re.findall(r"`([^`]+)`", line):
                yield number, span
        for block in self.blocks:
            if block.language in ("", "sh", "console"):
                for offset, line in enumerate(block.text.splitlines()):
                    yield block.line + offset, line.removeprefix("$ ").strip()

    def cells(self, heading: str) -> dict[str, int]:
        """Return the code spans in first columns of tables below a heading, with their lines."""
        found, inside = {}, False
        for number, line in enumerate(self.prose, start=1):
            if title := re.match(r"#+ +(.+)", line):
                inside = title[1] == heading
            if inside and line.startswith("|"):
                first = line.strip("|").split("|")[0]
                found |= dict.fromkeys(re.findall(r"`([^`]+)`", first), number)
        return found


Docs = dict[str, Doc]
Rule = Callable[[Docs], Iterable[Problem]]


def read_docs(root: Path) -> Docs:
    """Read all documents below a folder, by their path in it."""
    files = sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")])
    names = [file.relative_to(root).as_posix() for file in files]
    return {
        name: Doc(name, file.read_text(encoding="utf-8"))
        for name, file in zip(names, files, strict=True)
    }


# ---------------------------------------------------------------- what holds for every document


def links_lead_somewhere(docs: Docs, root: Path = ROOT) -> Iterator[Problem]:
    """Links to files and headings resolve; those to other sites are not followed."""
    for doc in docs.values():
        for number, line in enumerate(doc.prose, start=1):
            for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                if re.match(r"[a-z]+:", target):
                    continue
                if fault := _fault_of_link(doc, target, docs, root):
                    yield doc.problem(number, f"link {target}: {fault}")


def _fault_of_link(doc: Doc, target: str, docs: Docs, root: Path) -> str:
    name, _, anchor = target.partition("#")
    place = (root / doc.path).parent / name if name else root / doc.path
    if name and not place.exists():
        return "there is no such file"
    if not anchor:
        return ""
    there = docs.get(place.resolve().relative_to(root.resolve()).as_posix())
    return "" if there and anchor in there.anchors else "there is no such heading"


def policies_load(docs: Docs) -> Iterator[Problem]:
    """A YAML block that is a policy is a valid one."""
    for doc in docs.values():
        for block in doc.blocks:
            if block.language != "yaml" or not re.search(
                r"^kind: Policy\b", block.text, re.MULTILINE
            ):
                continue
            try:
                load_policy(block.text, filename=doc.path)
            except PolicyError as refused:
                for it in refused.problems:
                    place = block.line + it.line - 1
                    yield doc.problem(place, f"policy: {it.path}: {it.message}")


def commands_exist(docs: Docs) -> Iterator[Problem]:
    """Every `crossfade ...` that is written as code names commands and options that exist."""
    group = whole_program()
    for doc in docs.values():
        for number, code in doc.code():
            typed = re.match(r"(?:kubectl )?crossfade (.+)", code)
            if typed and (fault := fault_of_command(group, typed[1])):
                yield doc.problem(number, f"`crossfade {typed[1]}`: {fault}")


def whole_program() -> click.Group:
    """Build the command line with the sandbox's commands, as `daemon.__main__` does."""
    group = program()
    for command in sandbox_commands.commands.values():
        group.add_command(command)
    return group


def fault_of_command(group: click.Group, typed: str) -> str:
    """Say which command or option does not exist, or nothing. Capital words stand for values."""
    try:
        words = shlex.split(re.split(r"\s[|>&;#]|\s{2,}", typed)[0])
    except ValueError:
        words = typed.split()
    command: click.Command = group
    for word in words:
        if word.startswith("-") and word != "-":
            name = word.partition("=")[0]
            known = {it for param in command.params for it in (*param.opts, *param.secondary_opts)}
            if name not in known | {"-h", "--help"}:
                return f"{command.name} has no option {name}"
        elif isinstance(command, click.Group):
            if word.isupper() or word.startswith("..."):
                return ""
            if word not in command.commands:
                return f"there is no command {word}"
            command = command.commands[word]
    return ""


def measured_figures_have_a_source(docs: Docs) -> Iterator[Problem]:
    """A section that calls something measured says where it was measured, in a line `Source:`."""
    for doc in docs.values():
        begun, claim, has_source = 1, 0, False
        for number, line in enumerate([*doc.prose, "# end"], start=1):
            if re.match(r"#+ ", line):
                if claim and not has_source:
                    message = f"measured, but the section of line {begun} has no `Source:` line"
                    yield doc.problem(claim, message)
                begun, claim, has_source = number, 0, False
            said = re.sub(r"`[^`]*`", "", line)
            if re.search(r"\bmeasured\b", said, re.IGNORECASE) and not claim:
                claim = number
            has_source = has_source or line.startswith("Source:")


def nothing_forbidden(docs: Docs) -> Iterator[Problem]:
    """No unfinished places; nothing about machines, registries or makers."""
    for doc in docs.values():
        for number, line in enumerate(doc.text.splitlines(), start=1):
            for pattern, what in FORBIDDEN:
                if found := re.search(pattern, line):
                    yield doc.problem(number, f"'{found[0]}' {what}")


def lines_fit(docs: Docs) -> Iterator[Problem]:
    """Prose can be read in a terminal and in a diff."""
    for doc in docs.values():
        for number, line in enumerate(doc.prose, start=1):
            if len(line) > LONGEST_LINE and not line.startswith(("|", "[")) and "](" not in line:
                yield doc.problem(number, f"{len(line)} characters; at most {LONGEST_LINE}")


# ---------------------------------------------------------------- what one document explains


def metric_names() -> set[str]:
    """Return the names of our own metrics, as a scrape shows them."""
    suffix = {"counter": "_total"}
    return {family.name + suffix.get(family.type, "") for family in Metrics().registry.collect()}


def exit_codes() -> set[str]:
    return {str(int(code)) for code in Exit}


def command_names() -> set[str]:
    """Return every command as it is typed; a group alone does nothing."""
    return {
        f"crossfade {path}"
        for path, command in _commands(whole_program())
        if not isinstance(command, click.Group)
    }


def _commands(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield above + name, command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{above}{name} ")


EXPLAINED: Final[tuple[tuple[str, str, Callable[[], set[str]]], ...]] = (
    ("docs/operations.md", "Reasons", lambda: {str(reason) for reason in Reason}),
    ("docs/operations.md", "Metrics", metric_names),
    ("docs/architecture.md", "Phases", lambda: {str(phase) for phase in Phase}),
    ("docs/cli.md", "Commands", command_names),
    ("docs/cli.md", "Exit codes", exit_codes),
    ("docs/sandbox.md", "Knobs", lambda: set(KNOBS)),
)
"""Document, heading, and the names that the first column of the tables below it explains."""


def names_are_explained(docs: Docs) -> Iterator[Problem]:
    """What exists is in its table, and what is in the table exists."""
    for path, heading, names in EXPLAINED:
        doc = docs.get(path) or Doc(path, "")
        cells = doc.cells(heading)
        for name in sorted(names() - cells.keys()):
            yield doc.problem(1, f"{heading}: `{name}` is not explained")
        for name in sorted(cells.keys() - names()):
            yield doc.problem(cells[name], f"{heading}: there is no `{name}`")


def options_are_explained(docs: Docs) -> Iterator[Problem]:
    """Every option of the command line stands in docs/cli.md, the sandbox's in its own page."""
    for path, command in _commands(whole_program()):
        page = "docs/sandbox.md" if path.startswith("sandbox") else "docs/cli.md"
        doc = docs.get(page) or Doc(page, "")
        words = {word for _, code in doc.code() for word in re.findall(r"--[a-z-]+", code)}
        for param in command.params:
            names = {*param.opts, *param.secondary_opts}
            for name in sorted(it for it in names - words if it.startswith("--")):
                yield doc.problem(1, f"option {name} of {path} is not explained")


def tables_are_generated(docs: Docs) -> Iterator[Problem]:
    """The generated part of docs/policy.md is what the code gives."""
    doc = docs.get("docs/policy.md")
    if doc is None or with_tables(doc).text != doc.text:
        yield Problem("docs/policy.md", 1, "its tables are old: python tests/check_docs.py --write")


def with_tables(doc: Doc) -> Doc:
    """Return the document with the generated part written anew."""
    from tests.policy_tables import policy_tables

    before, begin, rest = doc.text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        return replace(doc, text=f"{doc.text}\n(there are no marks {BEGIN} and {END})\n")
    return replace(doc, text=f"{before}{BEGIN}\n\n{policy_tables()}\n{END}{after}")


RULES: Final[tuple[Rule, ...]] = (
    links_lead_somewhere,
    policies_load,
    commands_exist,
    measured_figures_have_a_source,
    nothing_forbidden,
    lines_fit,
    names_are_explained,
    options_are_explained,
    tables_are_generated,
)


def check(docs: Docs) -> list[Problem]:
    """Return all problems, by document and line."""
    return sorted({problem for rule in RULES for problem in rule(docs)})


def main(arguments: list[str]) -> int:
    docs = read_docs(ROOT)
    if "--write" in arguments:
        policy = with_tables(docs["docs/policy.md"])
        (ROOT / policy.path).write_text(policy.text, encoding="utf-8")
        docs[policy.path] = policy
    problems = check(docs)
    for problem in problems:
        print(problem)  # noqa: T201 - the answer of the program
    print(f"{len(docs)} documents, {len(problems)} problems")  # noqa: T201 - as above
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

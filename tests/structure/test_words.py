"""Words and names that the project does not use, with the plain term in their place.

`docs/explanation/glossary.md` fixes the terms. A folder that still has such words is in `UNCLEAN`,
which only ever gets shorter.
"""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = {".py", ".pyi", ".md", ".yaml", ".yml", ".java", ".html", ".js"}

WORDS = {
    "nobody": "no client, no reader, nothing",
    "somebody": "the reader, another client",
    "someone": "the reader, another client",
    "anybody": "any client",
    "whoever": "the client that",
    "whom": "which",
    "anew": "again",
    "thereof": "of it",
    "wherein": "in which",
    "whereof": "of which",
    "surely": "reliably",
    "told": "reported, given, passed",
    "tells": "reports, says, distinguishes",
    "rehearse": "dry run",
    "rehearses": "dry run",
    "rehearsed": "dry run",
    "rehearsal": "dry run",
}
NAMES = {
    "place": "index, position",
    "places": "indices, positions",
    "Door": "KopfSource",
    "House": "NodeContext",
    "Deed": "ObjectChange",
    "Standing": "CursorStore",
    "Stand": "KeyPosition",
    "Place": "CursorId",
    "outlived": "reserved_revision",
    "_confess": "report_internal_error",
    "lineage": "ancestry",
    "dress": "add_ownership",
    "Told": "Recorder",
}
MODULES = {
    "few": "arrow_scan",
    "notes": "read_tracking",
    "lineage": "ancestry",
    "house": "node_context",
    "door": "kopf_source",
    "rehearsal": "dry_run",
    "board": "status_view",
    "standing": "cursor_store",
}
UNCLEAN = (
    "cli/",
    "crds/",
    "docs/reference/",
    "operator/",
    "tests/cli/",
    "tests/laptop/",
    "tests/operator/",
    "workloads/laptop/",
)
WORD = re.compile(rf"\b({'|'.join(WORDS)})\b", re.IGNORECASE)


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    paths = (ROOT / name for name in listed if name != "tests/structure/test_words.py")
    return [p for p in paths if p.exists() and (p.suffix in SUFFIXES or p.name == "Makefile")]


def words_in(text: str) -> list[str]:
    return [
        f"{number}: {word} (write: {WORDS[word.lower()]})"
        for number, line in enumerate(text.splitlines(), 1)
        for word in WORD.findall(line.replace('"nobody"', "").replace("://nobody", ""))
    ]


def names_in(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.alias(name=name):
                pass
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                pass
            case ast.AsyncFunctionDef(name=name):
                pass
            case _:
                continue
        last = name.rpartition(".")[2]
        if last in NAMES:
            found.append(f"{getattr(node, 'lineno', 0)}: {last} (name it: {NAMES[last]})")
    return found


def findings(path: Path) -> list[str]:
    text = path.read_text()
    if path.suffix != ".py":
        return words_in(text)
    stem = path.stem.removeprefix("test_")
    module = [f"module {stem} (name it: {MODULES[stem]})"] if stem in MODULES else []
    return module + words_in(text) + names_in(text)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_plain_words() -> None:
    found = {
        relative(path): lines
        for path in tracked()
        if not relative(path).startswith(UNCLEAN) and (lines := findings(path))
    }
    assert found == {}


@pytest.mark.parametrize("folder", UNCLEAN)
def test_a_folder_that_is_clean_leaves_the_list(folder: str) -> None:
    inside = [path for path in tracked() if relative(path).startswith(folder)]
    assert any(findings(path) for path in inside), f"take {folder} off UNCLEAN"


@pytest.mark.parametrize("text", ["what Nobody reads", "a place: somebody", "it is told"])
def test_words_are_found(text: str) -> None:
    assert words_in(text)


@pytest.mark.parametrize("source", ["for place in x: pass", "class Door: pass"])
def test_names_are_found(source: str) -> None:
    assert names_in(source)

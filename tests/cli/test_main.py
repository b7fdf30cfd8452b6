"""The command as a whole: its help, its examples, and how it fails."""

import errno
import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from tapehouse_cli.examples import EXAMPLES
from tapehouse_cli.main import GROUPS, TRACEBACK, Tapehouse, main

COMMANDS = sorted(name for names in GROUPS.values() for name in names)
LINES = [(name, line) for name, lines in EXAMPLES.items() for line in lines]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_says_what_the_command_does_and_shows_examples(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"], terminal_width=80).output
    first = (main.commands[name].help or "").partition("\n")[0]
    assert first.endswith(".")
    assert first in " ".join(shown.split())
    assert f"Examples:\n    tapehouse {EXAMPLES[name][0]}" in shown
    assert "\x1b" not in shown


def test_the_overview_has_every_command_on_one_screen() -> None:
    lines = CliRunner().invoke(main, ["--help"], terminal_width=80).output.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert sorted(main.commands) == COMMANDS
    assert not [line for line in lines if line.endswith("...") and "Usage" not in line]


@pytest.mark.parametrize(("name", "line"), LINES)
def test_every_example_is_one_that_the_command_takes(
    name: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    words = shlex.split(line.partition(" > ")[0])
    for word in words:
        named = Path(word.rpartition("=")[2])
        if named.suffix in (".yaml", ".sql", ".jsonl", ".csv"):
            named.touch()
        elif len(named.parts) == 2 and named.parts[0] == "environments":
            named.mkdir(parents=True)
    group: click.Command = main
    while isinstance(group, click.Group):
        word, *words = words
        group = group.commands[word]
    group.make_context(name, words, parent=click.Context(main))


@click.command()
@click.argument("how")
def fail(how: str) -> None:
    errors: dict[str, BaseException] = {
        "expected": ValueError("spec.x: 3: too many"),
        "unexpected": KeyError("metadata"),
        "empty": TimeoutError(),
        "interrupt": KeyboardInterrupt(),
    }
    raise errors[how]


def failed(how: str) -> Result:
    return CliRunner().invoke(Tapehouse(commands={"fail": fail}), ["fail", how])


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        ("expected", 1, "Error: spec.x: 3: too many\n"),
        ("unexpected", 1, "Error: unexpected KeyError: 'metadata'; please report it"),
        ("empty", 1, "Error: unexpected TimeoutError: no message"),
        ("interrupt", 130, ""),
    ],
)
def test_a_failure_is_one_sentence(how: str, status: int, said: str) -> None:
    result = failed(how)
    assert result.exit_code == status
    assert result.output.startswith(said)
    assert result.output.count("\n") <= 1
    assert "Traceback" not in result.output


def test_the_stack_trace_is_there_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACEBACK, "1")
    assert isinstance(failed("unexpected").exception, KeyError)


def run_closed(*words: str, stdout: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tapehouse_cli", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def test_a_reader_that_goes_away_ends_a_command_without_a_word() -> None:
    """As in `tapehouse … | head -1`."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = run_closed("operator", "rbac", stdout=write)
    finally:
        os.close(write)
    assert done.stderr == ""
    assert done.returncode == 1


def test_a_query_whose_reader_goes_away_is_silent_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("tapehouse_cli.data.sql.ask", ask)
    result = CliRunner().invoke(main, ["sql", "SELECT 1"])
    assert (result.exit_code, result.output) == (1, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["statsu"], "Did you mean 'status'?"),
        (["plan", "--filname", "x"], "'--filename'"),
        (["graph", "--format", "svgg"], "'dot'"),
        (["plan", "-f", "no-such-directory"], "no-such-directory does not exist"),
    ],
)
def test_a_typo_is_answered_with_what_there_is(words: list[str], said: str) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code != 0
    assert said in result.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: [1", "not a kubeconfig: while parsing"),
        (b"hello", "not a kubeconfig: it holds str, not a map"),
        (b"\xff\xfe", "not a kubeconfig: "),
    ],
)
def test_a_kubeconfig_that_is_none_is_named(tmp_path: Path, text: bytes, said: str) -> None:
    file = tmp_path / "config"
    file.write_bytes(text)
    result = CliRunner().invoke(main, ["graph", "--kubeconfig", str(file)])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {file}: {said}")
    assert result.output.count("\n") == 1


def test_a_server_that_does_not_answer_is_named_with_where_its_address_is_from(
    tmp_path: Path,
) -> None:
    with socket.socket() as bound:  # bound but not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{bound.getsockname()[1]}"
        file = tmp_path / "config"
        named = {"name": "a", "context": {"cluster": "a", "user": "a"}}
        config = {
            "current-context": "a",
            "contexts": [named],
            "clusters": [{"name": "a", "cluster": {"server": server}}],
            "users": [{"name": "a", "user": {}}],
        }
        file.write_text(json.dumps(config))
        result = CliRunner().invoke(main, ["graph", "--kubeconfig", str(file)])
    assert result.exit_code == 1
    assert result.output == (
        f"Error: the API server {server} ({file}) does not answer: Connection refused; "
        "is it running?\n"
    )


def test_nothing_is_stopped_where_nothing_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["up", "no-such-directory"])
    assert result.exit_code == 1
    assert result.output == "Error: no-such-directory is not a directory of resources\n"


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "feed.yaml"
    file.write_bytes(b"\xe9")
    result = CliRunner().invoke(main, ["plan", "-f", str(file)])
    assert f"Error: {file}: not text in UTF-8" in result.output


def test_a_file_without_a_feed_says_what_it_has(tmp_path: Path) -> None:
    file = tmp_path / "feed.yaml"
    file.write_text("kind: TradeFeeed\nmetadata: {name: market}\n")
    result = CliRunner().invoke(main, ["sample", "-f", str(file)])
    assert "one TradeFeed is expected; it has TradeFeeed/market" in result.output

"""The program's command line."""

from pathlib import Path

from click.testing import CliRunner
from tapehouse_operator.__main__ import main


def test_an_unusable_kubeconfig_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text("{}")
    done = CliRunner().invoke(main, ["run", "-n", "a", "--kubeconfig", str(file)])
    assert done.exit_code == 1
    assert done.output == f"Error: {file}: contexts has no entry named ''\n"


def test_the_namespaces_served_must_be_given() -> None:
    done = CliRunner().invoke(main, ["run"])
    assert done.exit_code == 2
    assert "give either --namespace NS (repeatable) or --all-namespaces" in done.output

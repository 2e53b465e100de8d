"""What README says in two languages is what the command takes."""

import re
from pathlib import Path

import pytest

from services.cli import main
from tests.cli.towns import shequ

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")
# With a town's data directory; the others need no town.
WITHOUT_A_TOWN = {"access", "secrets"}


def told(readme: str) -> list[str]:
    """The commands of its table, as they are written there."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    return [
        line.replace("\\|", "|") for line in re.findall(r"^\| `shequ (.+?)` \|", text, re.MULTILINE)
    ]


@pytest.mark.parametrize("readme", READMES)
def test_the_table_has_every_command_and_no_other(readme: str) -> None:
    assert {line.split()[0] for line in told(readme)} == set(main.COMMANDS)
    assert told(readme) == told(READMES[0])


@pytest.mark.parametrize("line", told(READMES[0]))
def test_a_command_takes_what_is_told(line: str) -> None:
    words = re.findall(r"[\w-]+", line)
    known = shequ(
        *[word for word in words if word in {*main.COMMANDS, "create", "rotate", "verify"}][:2],
        "--help",
    )
    assert known.returncode == 0, known.stderr
    assert " ".join(main.COMMANDS[words[0]].help.split()) in " ".join(
        shequ(words[0], "--help").stdout.split()
    )
    for option in (word for word in words if word.startswith("--")):
        assert option in known.stdout, option
    assert ("--data-dir" in known.stdout) == (words[0] not in WITHOUT_A_TOWN)


def test_the_shell_is_the_same_in_both_languages() -> None:
    english, chinese = (_shell(readme) for readme in READMES)
    assert english == chinese
    assert any("/v1/campaigns" in block for block in english)


def _shell(readme: str) -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    # Refusals are shown in the reader's own language.
    return re.findall(
        r"^```sh\n(.*?)^```",
        text.replace(" -H 'Accept-Language: en'", ""),
        re.MULTILINE | re.DOTALL,
    )


@pytest.mark.parametrize("readme", READMES)
def test_what_is_linked_is_there(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!http)([^)]+)\)", text):
        assert (ROOT / link).exists(), link

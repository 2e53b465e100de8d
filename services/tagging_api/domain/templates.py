"""Variables in what a campaign says: `{{village}}`.

Those allowed are what this service knows of a person without knowing who it is. There is no name
among them: names are the register's, and a message that held one would carry it into the inbox,
the outboxes of providers, and every copy of those.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

_MARK: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
# A variable, and what stands for it where it is unknown.
VARIABLES: Final[Mapping[str, str]] = {
    "village": "社区",
    "compound": "小区",
    "salutation": "居民",
}
SALUTATIONS: Final[Mapping[str, str]] = {"female": "女士", "male": "先生"}


def unknown(text: str) -> Iterator[str]:
    """What is written as a variable and is none; anything else with two braces, too."""
    for match in _MARK.finditer(text):
        if match[1] not in VARIABLES:
            yield match[1]
    rest = _MARK.sub("", text)
    yield from (brace for brace in ("{{", "}}") if brace in rest)


def normal(text: str) -> str:
    """The same text with every variable written one way: `{{ village }}` as `{{village}}`."""
    return _MARK.sub(lambda match: mark(match[1]), text)


def mark(variable: str) -> str:
    return "{{" + variable + "}}"


def used(*texts: str) -> set[str]:
    """The variables in texts."""
    return {match[1] for text in texts for match in _MARK.finditer(text)}


def rendered(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables replaced, by what stands for them where a value is missing."""
    return _MARK.sub(lambda match: values.get(match[1]) or VARIABLES[match[1]], text)

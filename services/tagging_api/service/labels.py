"""Label words of ledgers become assignments.

A word means a tag by its code, its Chinese name or an alias; tags that an officer has classified
come first. A word that means nothing yet becomes a tag of the highest sensitivity, which no rule
may use until an officer classifies it; its code is made from the word, so that the word goes on
meaning that tag once it has been renamed. A word of an archived tag says nothing any more.
"""

import hashlib
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.common import outbox
from services.common.database import WriteSession
from services.tagging_api.models import Tag
from services.tagging_api.repository import assignments
from services.tagging_api.repository import tags as repository
from services.tagging_api.schemas.tags import AssignmentSource
from services.tagging_api.service import events

_LONGEST_NAME = 100


def folded(word: str) -> str:
    """Full-width letters, letter case and blanks make no other word."""
    return "".join(unicodedata.normalize("NFKC", word).casefold().split())


def generated_code(word: str) -> str:
    """The code of a word that nobody knew."""
    return f"ledger_{hashlib.sha256(folded(word).encode()).hexdigest()[:12]}"


async def assign(session: WriteSession, seen: Sequence[tuple[UUID, str]], *, at: datetime) -> None:
    """Make assignments of pairs of resident and label word that were not seen before."""
    codes = await _codes(session, {word for _, word in seen if folded(word)})
    pairs = {(codes[word], resident_id) for resident_id, word in seen if word in codes}
    if not pairs:
        return
    made = await assignments.assign(
        session, sorted(pairs), source=AssignmentSource.LEDGER, assigned_by=None, at=at
    )
    await outbox.emit(session, *events.assignment_changed(made, assigned=True))


async def _codes(session: WriteSession, words: set[str]) -> dict[str, str]:
    if not words:
        return {}
    tags = await repository.everyone(session)
    known, archived = _meanings(tags), {tag.code for tag in tags if tag.archived}
    found: dict[str, str] = {}
    new: dict[str, str] = {}
    for word in sorted(words):
        code = known.get(folded(word)) or known.get(generated_code(word))
        if code is None:
            code = generated_code(word)
            new.setdefault(code, " ".join(word.split())[:_LONGEST_NAME])
        if code not in archived:
            found[word] = code
    if new:
        await repository.add_unclassified(session, new)
    return found


def _meanings(tags: Sequence[Tag]) -> dict[str, str]:
    meanings: dict[str, str] = {}
    for words in (
        {folded(tag.code): tag.code for tag in tags},
        *({folded(tag.name_zh): tag.code} for tag in tags),
        *({folded(alias): tag.code} for tag in tags for alias in tag.aliases),
    ):
        for word, code in words.items():
            meanings.setdefault(word, code)
    return meanings

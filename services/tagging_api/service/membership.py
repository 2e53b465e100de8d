"""Who is in an audience: a page of members to look at, and why one person is or is not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import Field

from services.common.areas import Area
from services.common.database import ReadSession, Sessions
from services.common.pagination import PageRequest, cut
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.clients.register import AT_MOST, Register
from services.tagging_api.domain.rules import (
    AllOf,
    AnyOf,
    AsSeenFrom,
    Compare,
    HasTag,
    InArea,
    InAudience,
    Members,
    Not,
    Rule,
    Sample,
)
from services.tagging_api.repository import assignments, audiences
from services.tagging_api.schemas.membership import (
    AudienceExplanation,
    AudienceMemberRead,
    AudiencePreview,
    AudiencePreviewRequest,
    ExplainedRule,
    RuleKind,
)
from services.tagging_api.schemas.rules import parsed
from services.tagging_api.service import rules
from services.tagging_api.service.targeting import Targeting

_DEFAULT = 50
# Of a resident; a token may claim to end at any.
_Number = Annotated[int, Field(ge=0, lt=2**31)]


async def preview(
    sessions: Sessions,
    asked: AudiencePreviewRequest,
    *,
    caller: Caller,
    token: str,
    targeting: Targeting,
    register: Register,
    on: date,
) -> AudiencePreview:
    """A page of members, as the register shows them to the caller. One call, after all queries.

    Raises what is wrong with the rule, RoleForbidden, Unavailable.
    """
    page = PageRequest(
        # A token of another rule's members is none of these.
        of=f"preview {asked.rule.model_dump_json(by_alias=True)}",
        size=min(asked.page_size or _DEFAULT, AT_MOST),
        token=asked.page_token,
        pointer="/page_token",
    )
    after = page.after(tuple[_Number])
    async with sessions.read() as session:
        rule = parsed(asked.rule)
        meant = await rules.resolved(session, rule, areas=caller.areas)
        level = await rules.check_countable(session, rule, caller)
        numbers = await targeting.members(session, meant, areas=caller.areas, on=on)
        if rules.shown(len(numbers), level, caller) is None:
            return AudiencePreview(items=[], next_page_token=None, suppressed=True)
        found = await targeting.ids(
            session, numbers, after=after[0] if after else 0, limit=page.size + 1
        )
    rows, following = cut(found, page, keys=lambda row: (row[0],))
    items = await register.masked([each for _, each in rows], token=token) if rows else ()
    return AudiencePreview(
        items=[
            AudienceMemberRead.model_validate({name: item.get(name) for name in _SHOWN})
            for item in items
        ],
        next_page_token=following,
        suppressed=False,
    )


_SHOWN = tuple(AudienceMemberRead.model_fields)


async def explain(
    session: ReadSession, rule: Rule, resident_id: UUID, *, caller: Caller, on: date
) -> AudienceExplanation:
    """Which parts of a rule hold for one resident whom the caller's areas look after.

    Raises ResidentUnknown, RoleForbidden, and what is wrong with the rule.
    """
    meant = await rules.resolved(session, rule, areas=caller.areas)
    await rules.check_countable(session, rule, caller)
    if not await assignments.visible(session, [resident_id], areas=caller.areas, on=on):
        problem = errors.ResidentUnknown
        raise problem.at("/resident_id", problem.code, problem.title)
    part = _parted(rule, meant, "/rule", caller.areas)
    leaves = [(leaf.meant, leaf.areas) for leaf in part.asked()]
    here = AnyOf(tuple(map(InArea, caller.areas)))
    lives_here, *held = await audiences.holding(
        session, resident_id, [(here, caller.areas), *leaves], on
    )
    explained = part.explained(iter(held))
    return AudienceExplanation(
        member=lives_here and explained.holds, lives_here=lives_here, explained=explained
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """A rule within a rule. `areas` are those that it is seen from."""

    pointer: str
    kind: RuleKind
    meant: Rule
    areas: Sequence[Area]
    parts: list["_Part"] = field(default_factory=list["_Part"])

    @property
    def follows(self) -> bool:
        """Whether it holds by what its parts do; all others are asked."""
        return self.kind in {RuleKind.ALL, RuleKind.ANY, RuleKind.NOT}

    def asked(self) -> Iterator["_Part"]:
        if not self.follows:
            yield self
        for part in self.parts:
            yield from part.asked()

    def explained(self, held: Iterator[bool]) -> ExplainedRule:
        """`held` says of those that are asked, in their order, whether they hold."""
        own = None if self.follows else next(held)
        parts = [part.explained(held) for part in self.parts]
        if own is None:
            each = [part.holds for part in parts]
            match self.kind:
                case RuleKind.ALL:
                    own = all(each)
                case RuleKind.ANY:
                    own = any(each)
                case _:
                    own = not each[0]
        return ExplainedRule(pointer=self.pointer, kind=self.kind, holds=own, parts=parts)


def _parted(
    named: Rule, meant: Rule, pointer: str, areas: Sequence[Area], *, inside: bool = False
) -> _Part:
    """The parts of a rule as it was sent and as it was resolved: both have one shape down to the
    audiences. What is inside of one is all at its name.
    """

    def below(*steps: str | int) -> str:
        return pointer if inside else "/".join((pointer, *map(str, steps)))

    match named, meant:
        case AllOf(inner), AllOf(meanings):
            return _Part(
                pointer,
                RuleKind.ALL,
                meant,
                areas,
                [
                    _parted(each, meaning, below("all", n), areas, inside=inside)
                    for n, (each, meaning) in enumerate(zip(inner, meanings, strict=True))
                ],
            )
        case AnyOf(inner), AnyOf(meanings):
            return _Part(
                pointer,
                RuleKind.ANY,
                meant,
                areas,
                [
                    _parted(each, meaning, below("any", n), areas, inside=inside)
                    for n, (each, meaning) in enumerate(zip(inner, meanings, strict=True))
                ],
            )
        case Not(inner), Not(meaning):
            part = _parted(inner, meaning, below("not"), areas, inside=inside)
            return _Part(pointer, RuleKind.NOT, meant, areas, [part])
        case Sample(inner), Sample(meaning):
            part = _parted(inner, meaning, below("sample", "rule"), areas, inside=inside)
            return _Part(pointer, RuleKind.SAMPLE, meant, areas, [part])
        case ((InAudience() | AsSeenFrom()), AsSeenFrom(theirs, meaning)):
            part = _parted(meaning, meaning, pointer, theirs, inside=True)
            return _Part(pointer, RuleKind.AUDIENCE, meant, areas, [part])
        case _, Members():
            return _Part(pointer, RuleKind.AUDIENCE, meant, areas)
        case InAudience(), _:
            part = _parted(meant, meant, pointer, areas, inside=True)
            return _Part(pointer, RuleKind.AUDIENCE, meant, areas, [part])
        case HasTag(), _:
            return _Part(pointer, RuleKind.TAG, meant, areas)
        case InArea(), _:
            return _Part(pointer, RuleKind.AREA, meant, areas)
        case Compare(), _:
            return _Part(pointer, RuleKind.FIELD, meant, areas)
        case _:
            raise ValueError("not one rule in two forms")

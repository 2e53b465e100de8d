"""Writing a survey, drawing its sample, and closing it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.common import clock as common_clock
from services.common.areas import Area
from services.common.clock import Clock
from services.common.database import ReadSession, WriteSession
from services.common.identifiers import new_id
from services.common.preconditions import check_version
from services.common.problems import (
    AreaForbidden,
    FieldError,
    Problem,
    RequestInvalid,
    RoleForbidden,
)
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.domain.rules import AllOf, Compare, FieldName, Not, Operator, Sample
from services.tagging_api.domain.rules import Rule as Meaning
from services.tagging_api.models import Survey, SurveyArea, Tag
from services.tagging_api.repository import ownership, tags, visits
from services.tagging_api.repository import surveys as repository
from services.tagging_api.schemas.rules import Rule
from services.tagging_api.schemas.surveys import (
    Assignee,
    PredictedAnswer,
    Question,
    SurveyCreate,
    SurveyDraw,
    SurveyRead,
    SurveyState,
    SurveyUpdate,
    SurveyVisits,
    TagIf,
    reference_faults,
)
from services.tagging_api.schemas.tags import Sensitivity, TagState
from services.tagging_api.schemas.visits import VisitState
from services.tagging_api.service import rules, tag_access, weighing
from services.tagging_api.service import visits as spreading
from services.tagging_api.service.targeting import Targeting
from services.tagging_api.service.weighing import Weighed

# Nobody below is asked; whose birth date is unknown may be.
YOUNGEST = 14
_OF_AGE = Not(Compare(FieldName.AGE, Operator.LT, (YOUNGEST,)))


def _named(rule: Rule | None, audience: UUID | None) -> Rule:
    return rule or Rule.model_validate({"audience": str(audience)})


def _pointer(asked: SurveyCreate | SurveyUpdate) -> str:
    """Where the faults of the rule stand: of an audience, `/rule/audience` is at `/audience`."""
    return "" if asked.audience is not None else "/rule"


async def _weighed(
    session: ReadSession, survey: Survey, *, caller: Caller, pointer: str = "/rule"
) -> tuple[Weighed, Weighed | None]:
    """The audience, and the rule that predicts. Raises what is wrong with any part.

    Notes on the survey how sensitive it is, by both and by the tag that it gives.
    """
    rule = Rule.model_validate(survey.rule)
    questions = [Question.model_validate(each) for each in survey.questions]
    predicted = PredictedAnswer.model_validate(survey.predicted) if survey.predicted else None
    tag_if = TagIf.model_validate(survey.tag_if) if survey.tag_if else None
    areas = [Area.parse(area) for area in survey.areas]
    faults = tuple(reference_faults(questions, predicted=predicted, tag_if=tag_if))
    if faults:
        raise RequestInvalid(errors=faults)
    tag = await _tag(session, tag_if.tag, caller) if tag_if is not None else None
    audience = await weighing.weigh(session, rule, areas=areas, caller=caller, pointer=pointer)
    expected = None
    if predicted is not None and predicted.rule is not None:
        expected = await weighing.weigh(
            session, predicted.rule, areas=areas, caller=caller, pointer="/predicted/rule"
        )
    parts = [(part.sensitivity, part.tags) for part in (audience, expected) if part is not None]
    if tag is not None:
        parts.append((Sensitivity(tag.sensitivity), frozenset({tag.code})))
    survey.sensitivity = rules.highest(level for level, _ in parts)
    survey.tags = sorted({code for _, codes in parts for code in codes})
    return audience, expected


async def _tag(session: ReadSession, code: str, caller: Caller) -> Tag:
    """The tag, if the caller may give it: those who record answers then do it for them."""
    tag = (await tags.by_codes(session, [code])).get(code)
    if tag is None or not tag_access.sees(caller, tag):
        raise _at_tag(errors.TagUnknown)
    if tag.archived:
        raise _at_tag(errors.TagArchived)
    if tag.state == TagState.UNCLASSIFIED:
        raise _at_tag(errors.TagUnclassified)
    if not tag_access.assigns(caller, tag):
        raise RoleForbidden()
    return tag


def _at_tag(problem: type[Problem]) -> Problem:
    return problem(errors=(FieldError("/tag_if/tag", problem.code, problem.title),))


async def create(
    session: WriteSession, asked: SurveyCreate, *, caller: Caller, clock: Clock
) -> Survey:
    """File a draft. Raises AreaForbidden, RequestInvalid, and what `weighing.weigh` does."""
    if not caller.areas:
        raise AreaForbidden()
    now = clock.now()
    survey = Survey(
        id=new_id(),
        state=SurveyState.DRAFT,
        version=1,
        name=asked.name,
        topic=asked.topic,
        rule=_json(_named(asked.rule, asked.audience)),
        questions=[_json(question) for question in asked.questions],
        predicted=_json(asked.predicted),
        tag_if=_json(asked.tag_if),
        areas=[area.code for area in caller.areas],
        created_by=caller.sub,
        created_at=now,
        updated_at=now,
    )
    await _weighed(session, survey, caller=caller, pointer=_pointer(asked))
    session.add(survey)
    session.add_all(
        SurveyArea(
            survey_id=survey.id,
            n=n,
            division_code=place.division_code,
            grid_code=place.grid_code,
            compound_id=place.compound_id,
        )
        for n, place in enumerate(await ownership.places(session, caller.areas))
    )
    await session.flush()
    return survey


def _json(part: Rule | Question | PredictedAnswer | TagIf | None) -> Any:
    return part.model_dump(mode="json", by_alias=True) if part is not None else None


async def update(
    session: WriteSession,
    survey_id: UUID,
    asked: SurveyUpdate,
    *,
    version: int,
    caller: Caller,
    clock: Clock,
) -> Survey:
    """Change a draft. Raises PreconditionFailed, SurveyDrawn, and what `create` does."""
    survey = await repository.locked(session, survey_id)
    check_version(survey.version, version)
    if survey.state != SurveyState.DRAFT:
        raise errors.SurveyDrawn()
    given = asked.model_fields_set
    if not given:
        return survey
    if {"rule", "audience"} & given:
        survey.rule = _json(_named(asked.rule, asked.audience))
    if "questions" in given:
        survey.questions = [_json(question) for question in asked.questions]
    if "predicted" in given:
        survey.predicted = _json(asked.predicted)
    if "tag_if" in given:
        survey.tag_if = _json(asked.tag_if)
    for name in ("name", "topic"):
        if name in given:
            setattr(survey, name, getattr(asked, name))
    await _weighed(session, survey, caller=caller, pointer=_pointer(asked))
    survey.version += 1
    survey.updated_at = clock.now()
    return survey


async def draw(
    session: WriteSession,
    survey_id: UUID,
    asked: SurveyDraw,
    *,
    caller: Caller,
    clock: Clock,
    targeting: Targeting,
) -> SurveyVisits:
    """Draw the sample, once: as the rule language draws one, from those aged 14 or over.

    Raises SurveyDrawn, SurveyAudienceEmpty, and what `create` does.
    """
    survey = await repository.locked(session, survey_id)
    if survey.state != SurveyState.DRAFT:
        raise errors.SurveyDrawn()
    audience, expected = await _weighed(session, survey, caller=caller)
    areas = [Area.parse(area) for area in survey.areas]
    on = common_clock.today(clock)

    async def count(*parts: Meaning) -> int:
        return await targeting.count(session, AllOf(parts), areas=areas, on=on)

    await targeting.caught_up()
    asked_of = audience.meaning, _OF_AGE
    population = await count(*asked_of)
    sample = Sample(AllOf(asked_of), n=asked.n, basis_points=None, seed=asked.seed)
    numbers = await targeting.members(session, sample, areas=areas, on=on)
    drawn = await visits.places(session, numbers, areas=areas, on=on)
    if not drawn:
        raise errors.SurveyAudienceEmpty()
    if expected is not None:
        survey.predicted_count = await count(*asked_of, expected.meaning)
    survey.state, survey.seed, survey.drawn_at = SurveyState.DRAWN, asked.seed, clock.now()
    survey.sample, survey.population = len(drawn), max(population, len(drawn))
    survey.updated_at = clock.now()
    survey.version += 1
    rows = [
        {
            "id": new_id(),
            "survey_id": survey.id,
            "resident_id": resident_id,
            "division_code": division_code,
            "grid_code": grid_code,
            "compound_id": compound_id,
            "state": VisitState.OPEN,
        }
        for resident_id, division_code, grid_code, compound_id in drawn
    ]
    await visits.add(session, rows)
    return await spreading.spread_over(session, survey.id, asked.assignees)


async def spread_visits(
    session: WriteSession, survey_id: UUID, asked: Sequence[Assignee]
) -> SurveyVisits:
    """Spread visits that nobody has. Raises SurveyNotDrawn or SurveyClosed."""
    survey = await repository.locked(session, survey_id)
    _check_drawn(survey)
    if survey.state == SurveyState.CLOSED:
        raise errors.SurveyClosed()
    return await spreading.spread_over(session, survey.id, asked)


async def close(session: WriteSession, survey_id: UUID, *, clock: Clock) -> Survey:
    """Take no more answers. A survey that is closed stays so. Raises SurveyNotDrawn."""
    survey = await repository.locked(session, survey_id)
    _check_drawn(survey)
    if survey.state != SurveyState.CLOSED:
        survey.state, survey.closed_at = SurveyState.CLOSED, clock.now()
        survey.updated_at = clock.now()
        survey.version += 1
    return survey


def _check_drawn(survey: Survey) -> None:
    if survey.state == SurveyState.DRAFT:
        raise errors.SurveyNotDrawn()


async def shown(
    session: ReadSession, surveys: Sequence[Survey], *, caller: Caller
) -> list[SurveyRead]:
    """Surveys as the caller may see them: nothing of a few people of a sensitive audience."""
    found: list[SurveyRead] = []
    for survey, sensitivity in zip(surveys, await weighing.now(session, surveys), strict=True):
        read = SurveyRead.model_validate(survey)
        few = survey.population is not None and survey.population < rules.SMALL
        if few and weighing.few_are_hidden(sensitivity, caller):
            read.population = read.sample = None
        read.sensitivity = sensitivity
        found.append(read)
    return found

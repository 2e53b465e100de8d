"""What came of a visit: recorded, corrected, and turned into a tag where the survey says so."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.common import clock as common_clock
from services.common.clock import Clock
from services.common.database import WriteSession
from services.common.preconditions import check_version, version_in_header
from services.common.problems import FieldError, RequestInvalid, Text
from services.common.security import Caller
from services.tagging_api.domain import surveys as domain
from services.tagging_api.domain.surveys import Fault, QuestionKind
from services.tagging_api.models import Resident, Survey, Tag, Visit
from services.tagging_api.repository import assignments
from services.tagging_api.repository import visits as repository
from services.tagging_api.repository.assignments import Terms
from services.tagging_api.repository.residents import DEPARTED
from services.tagging_api.schemas.surveys import Question, parsed
from services.tagging_api.schemas.tags import AssignmentSource
from services.tagging_api.schemas.visits import VisitAnswers, VisitOutcome, VisitState
from services.tagging_api.service import events, visits

_FINAL = frozenset({VisitState.DONE, VisitState.REFUSED})


async def record(
    session: WriteSession,
    visit_id: UUID,
    asked: VisitAnswers,
    *,
    if_match: str | None,
    caller: Caller,
    clock: Clock,
) -> tuple[Visit, Survey]:
    """Write down what came of a visit, which becomes the caller's if it is nobody's.

    The same once more changes nothing. Anything else about a visit that has ended is a correction
    and needs `if_match`. Raises VisitNotFound, SurveyClosed, PreconditionRequired,
    PreconditionFailed, or RequestInvalid with every fault.
    """
    visit, survey = await visits.locked(session, visit_id, caller=caller)
    answers = _checked(survey, asked)
    state = VisitState(asked.state.value)
    if state in _FINAL and (visit.state, visit.answers) == (state, answers):
        return visit, survey
    ended = visit.state in _FINAL
    if ended or if_match is not None:
        check_version(visit.version, version_in_header(if_match))
    before = visit.answers
    if not ended:
        visit.attempts += 1
    if visit.assignee is None:
        visit.assignee = visits.account(caller)
    visit.state, visit.answers = state, answers
    visit.visited_by, visit.visited_at = caller.sub, clock.now()
    visit.version += 1
    await _tag(session, survey, visit, before, caller=caller, clock=clock)
    return visit, survey


def _checked(survey: Survey, asked: VisitAnswers) -> dict[str, Any] | None:
    """The answers as they are stored: options in the order of the question."""
    if asked.state is not VisitOutcome.DONE:
        if asked.answers:
            raise RequestInvalid.at("/answers", "answer.not_done", _NOT_DONE)
        return None
    questions = parsed([Question.model_validate(each) for each in survey.questions])
    found = tuple(
        FieldError(_pointer(at), fault, _TEXTS[fault])
        for at, fault in domain.faults(questions, asked.answers)
    )
    if found:
        raise RequestInvalid(errors=found[:50])
    return {
        question.key: _ordered(question, asked.answers[question.key])
        for question in questions
        if question.key in asked.answers
    }


def _ordered(question: domain.Question, value: Any) -> Any:
    if question.kind is QuestionKind.MULTIPLE:
        return [option for option in question.options if option in value]
    return value


def _pointer(at: Sequence[str | int]) -> str:
    return "/answers/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in at)


async def _tag(
    session: WriteSession,
    survey: Survey,
    visit: Visit,
    before: Mapping[str, Any] | None,
    *,
    caller: Caller,
    clock: Clock,
) -> None:
    """Give the tag that the answer stands for, or take back what an answer now corrected gave."""
    if survey.tag_if is None:
        return
    had, has = _says(survey.tag_if, before), _says(survey.tag_if, visit.answers)
    if had == has:
        return
    tag, resident_id = survey.tag_if["tag"], visit.resident_id
    if has:
        resident = await session.get(Resident, resident_id)
        known = await session.get(Tag, tag)
        if resident is None or resident.state in DEPARTED or known is None or known.archived:
            return
        changed = await assignments.assign(
            session,
            [(tag, resident_id)],
            source=AssignmentSource.SURVEY,
            assigned_by=caller.sub,
            at=clock.now(),
            terms=Terms(note=survey.name),
        )
    else:
        others = await repository.others_that_tag(session, visit, tag)
        if any(_says(tag_if, answers) for tag_if, answers in others):
            return
        changed = await assignments.remove(
            session, tag, [resident_id], sources=[AssignmentSource.SURVEY]
        )
    await events.tell(session, changed, on=common_clock.today(clock))


def _says(tag_if: Mapping[str, Any], answers: Mapping[str, Any] | None) -> bool:
    return domain.selects((answers or {}).get(tag_if["question"]), tag_if["option"])


_NOT_DONE = Text("只有已完成的走访才有回答", "Only a visit that is done has answers")
_TEXTS = {
    Fault.MISSING: Text("该题必答", "This question must be answered"),
    Fault.UNKNOWN: Text("没有这道题", "There is no such question"),
    Fault.NO_OPTION: Text("没有这个选项", "There is no such option"),
    Fault.NO_CHOICE: Text("应为选项代码的列表", "A list of options is needed"),
    Fault.TWICE: Text("选项重复", "The option is given twice"),
    Fault.NO_NUMBER: Text("应为数字", "A number is needed"),
    Fault.OUT_OF_RANGE: Text("数字超出范围", "The number is out of range"),
    Fault.NO_TEXT: Text("应为文字", "Text is needed"),
}

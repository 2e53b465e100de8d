"""What a survey found, beside what the data had predicted."""

from collections import Counter
from typing import Any

from services.common.access import Permission
from services.common.database import ReadSession
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.domain import surveys as domain
from services.tagging_api.domain.estimates import Estimate
from services.tagging_api.models import Survey
from services.tagging_api.repository import visits
from services.tagging_api.schemas.surveys import Question, SurveyState, parsed
from services.tagging_api.schemas.visits import (
    MeanResult,
    OptionResult,
    PredictedResult,
    QuestionResult,
    SurveyResults,
    VisitCounts,
    VisitState,
)
from services.tagging_api.service import rules, surveys, weighing

_CONFIDENCE = 0.95
_DIGITS = 4


async def results(session: ReadSession, survey: Survey, *, caller: Caller) -> SurveyResults:
    """Counts, shares and means with their intervals. Raises SurveyNotDrawn.

    The sample counts as one of those it was drawn from, without those who were not met or refused.
    """
    if survey.population is None:
        raise errors.SurveyNotDrawn()
    [sensitivity] = await weighing.now(session, [survey])
    hide_few = weighing.few_are_hidden(sensitivity, caller)
    asked = [Question.model_validate(each) for each in survey.questions]
    rows = await visits.of_survey(session, survey.id)
    sheets = [row.answers or {} for row in rows if row.state == VisitState.DONE]
    tallies = [
        domain.tally(
            question,
            sheets,
            population=survey.population,
            hide_few=hide_few,
            texts=caller.may(Permission.SURVEYS_WRITE),
        )
        for question in parsed(asked)
    ]
    counts = Counter(row.state for row in rows)
    [shown] = await surveys.shown(session, [survey], caller=caller)
    return SurveyResults(
        survey_id=survey.id,
        name=survey.name,
        state=SurveyState(survey.state),
        population=shown.population,
        sample=shown.sample,
        # Their sum is the sample.
        visits=VisitCounts(**{state.value: counts[state] for state in VisitState})
        if shown.sample is not None
        else None,
        response_rate=_rounded(len(sheets) / len(rows)) if rows and shown.sample else None,
        confidence=_CONFIDENCE,
        questions=[
            _question(question, tally, texts=caller.may(Permission.SURVEYS_WRITE))
            for question, tally in zip(asked, tallies, strict=True)
        ],
        predicted=_predicted(survey, survey.population, tallies, hide_few=hide_few),
    )


def _question(asked: Question, tally: domain.QuestionTally, *, texts: bool) -> QuestionResult:
    names = {option.code: option.text for option in asked.options}
    is_text = asked.kind is domain.QuestionKind.TEXT
    return QuestionResult(
        key=asked.key,
        text=asked.text,
        kind=asked.kind,
        answered=tally.answered,
        options=[
            OptionResult(
                code=each.option,
                text=names[each.option],
                count=each.count,
                suppressed=each.count is None,
                **_interval("share", each.share),
            )
            for each in tally.options
        ],
        mean=MeanResult(
            smallest=tally.smallest, largest=tally.largest, **_interval("mean", tally.mean)
        )
        if tally.mean is not None
        else None,
        texts=list(tally.texts) if is_text and texts else None,
    )


def _interval(name: str, estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {name: None, "low": None, "high": None}
    return {
        name: _rounded(estimate.value),
        "low": _rounded(estimate.low),
        "high": _rounded(estimate.high),
    }


def _rounded(value: float | None) -> float | None:
    return round(value, _DIGITS) if value is not None else None


def _predicted(
    survey: Survey, population: int, tallies: list[domain.QuestionTally], *, hide_few: bool
) -> PredictedResult | None:
    if survey.predicted is None:
        return None
    key, option = survey.predicted["question"], survey.predicted["option"]
    share = survey.predicted["share"]
    if (count := survey.predicted_count) is not None:
        few = any(0 < each < rules.SMALL for each in (count, population - count))
        share = None if few and hide_few else count / population
    found = next(
        each.share
        for tally in tallies
        if tally.question.key == key
        for each in tally.options
        if each.option == option
    )
    within = None
    if share is not None and found is not None and found.low is not None and found.high is not None:
        within = found.low <= share <= found.high
    measured = _interval("surveyed_share", found)
    return PredictedResult(
        question=key,
        option=option,
        predicted_share=_rounded(share),
        within_interval=within,
        **measured,
    )

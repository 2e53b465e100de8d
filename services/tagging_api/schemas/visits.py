"""Visits to those whom a survey has drawn, what they answered, and what all answers say."""

from enum import StrEnum
from typing import Annotated, Any, cast
from uuid import UUID

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from services.common.problems import Text
from services.common.schemas import Instant, Page, Paragraph, Schema, fault
from services.tagging_api.domain import surveys
from services.tagging_api.domain.surveys import QuestionKind
from services.tagging_api.schemas.surveys import Question, SurveyState


class VisitState(StrEnum):
    """`open` until somebody came; `not_met` may be tried again."""

    OPEN = "open"
    DONE = "done"
    NOT_MET = "not_met"
    REFUSED = "refused"


class VisitOutcome(StrEnum):
    DONE = "done"
    NOT_MET = "not_met"
    REFUSED = "refused"


_TEXT: TypeAdapter[str] = TypeAdapter(Annotated[Paragraph, Field(max_length=surveys.MAX_TEXT)])


def _storable(value: Any) -> Any:
    """Of what shape an answer may be at all; which one is right, its question says."""
    if isinstance(value, str):
        try:
            return _TEXT.validate_python(value)
        except ValidationError:
            raise _NO_TEXT from None
    if isinstance(value, list):
        listed = cast("list[Any]", value)
        if len(listed) > surveys.MAX_OPTIONS:
            raise _MALFORMED
        return listed
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not abs(value) <= surveys.LARGEST:  # nor what is no number
        raise _MALFORMED
    return value


AnswerValue = Annotated[
    Any,
    AfterValidator(_storable),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": surveys.MAX_TEXT},
                {"type": "array", "items": {"type": "string"}, "maxItems": surveys.MAX_OPTIONS},
                {"type": "number"},
            ],
            "description": (
                "By the kind of question: the code of an option, a list of such, a number, a text."
            ),
        }
    ),
]
Answers = Annotated[
    dict[str, AnswerValue],
    Field(
        max_length=surveys.MAX_QUESTIONS,
        description="By the key of the question.",
        examples=[{"need": "yes"}],
    ),
]


class VisitAnswers(Schema):
    """What came of a visit. Only one that is `done` has answers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"state": "done", "answers": {"need": "yes", "remarks": "希望在周末"}},
                {"state": "not_met"},
            ]
        }
    )

    state: VisitOutcome
    answers: Answers = Field(default_factory=dict[str, Any])


class VisitRead(Schema):
    id: UUID
    survey_id: UUID
    survey_name: str
    resident_id: UUID
    division_code: str = Field(examples=["510182104006"])
    grid_code: str | None = Field(examples=["510182104006001"])
    compound_id: UUID | None
    assignee: UUID | None = Field(description="The account that goes; null: any worker there may.")
    state: VisitState
    attempts: int = Field(description="How often somebody came to the door.")
    visited_at: Instant | None


class VisitPage(Page):
    items: list[VisitRead]


class VisitDetail(VisitRead):
    topic: str | None
    survey_state: SurveyState
    questions: list[Question]
    answers: Answers | None = Field(description="Null unless the visit is done.")


class VisitHandOver(Schema):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"account": "0199f3c1-6a10-7c33-9d5e-5b8c1f0e7a21"},
                {"account": None},
            ]
        }
    )

    account: UUID | None = Field(
        description="Whose the visit shall be; null gives it back to all workers there."
    )


class VisitCounts(Schema):
    open: int
    done: int
    not_met: int
    refused: int


class OptionResult(Schema):
    """`share` is of those who answered; `low` and `high` are its 95 % interval (Wilson, corrected
    for the finite population). All null: too few of a sensitive audience to be told.
    """

    code: str = Field(examples=["yes"])
    text: str = Field(examples=["需要"])
    count: int | None = Field(examples=[184])
    share: float | None = Field(examples=[0.92])
    low: float | None = Field(examples=[0.8757])
    high: float | None = Field(examples=[0.9494])
    suppressed: bool


class MeanResult(Schema):
    """`low` and `high` are the 95 % interval of the mean (Student's t); null for one answer."""

    mean: float
    low: float | None
    high: float | None
    smallest: float | None
    largest: float | None


class QuestionResult(Schema):
    """`options` of a choice, `mean` of a number, `texts` of free text for those who may read it."""

    key: str
    text: str
    kind: QuestionKind
    answered: int | None = Field(description="Null: too few of a sensitive audience to be told.")
    options: list[OptionResult]
    mean: MeanResult | None
    texts: list[str] | None


class PredictedResult(Schema):
    """What the data had predicted, beside what was answered."""

    question: str
    option: str
    predicted_share: float | None = Field(
        description="Null: too few of a sensitive audience to be told.", examples=[0.95]
    )
    surveyed_share: float | None = Field(examples=[0.92])
    low: float | None = Field(examples=[0.8757])
    high: float | None = Field(examples=[0.9494])
    within_interval: bool | None = Field(
        description="Whether the prediction lies in the interval of what was answered."
    )


class SurveyResults(Schema):
    """`response_rate` is the share of the sample that answered."""

    survey_id: UUID
    name: str
    state: SurveyState
    population: int | None = Field(examples=[3256])
    sample: int | None = Field(examples=[200])
    visits: VisitCounts | None = Field(
        description="Null: too few of a sensitive audience to be told."
    )
    response_rate: float | None
    confidence: float = Field(examples=[0.95])
    questions: list[QuestionResult]
    predicted: PredictedResult | None


_NO_TEXT = fault(
    "answer.text_malformed",
    Text("应为1至1000个字符的文字，不含控制字符", "1 to 1,000 characters, no control characters"),
)
_MALFORMED = fault(
    "answer.malformed",
    Text(
        "应为选项代码、选项代码列表、数字或文字", "An option, a list of options, a number, a text"
    ),
)

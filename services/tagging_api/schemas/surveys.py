"""Surveys: a few questions to a random sample of an audience."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from services.common.problems import FieldError, Text
from services.common.schemas import AreaCode, Instant, Line, Page, Schema, fault
from services.tagging_api.domain import surveys
from services.tagging_api.domain.rules import MAX_SEED
from services.tagging_api.domain.surveys import CHOICES, LARGEST, QuestionKind
from services.tagging_api.schemas.rules import BoundedRule, Rule
from services.tagging_api.schemas.tags import Sensitivity, TagCode, TagNamed

MAX_SAMPLE = 5000
MAX_ASSIGNEES = 100


class SurveyState(StrEnum):
    """`drawn`: the sample is taken and visits are under way."""

    DRAFT = "draft"
    DRAWN = "drawn"
    CLOSED = "closed"


Key = Annotated[
    TagCode, Field(description="A name of your own, unique within its list.", examples=["need"])
]
Bound = Annotated[float | None, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]


class Option(Schema):
    model_config = ConfigDict(json_schema_mode_override="validation")

    code: Key = Field(examples=["yes"])
    text: Line = Field(max_length=100, examples=["需要"])


class Question(Schema):
    """`single` and `multiple` take 2 to 20 options; `minimum` and `maximum` bound a `number`."""

    model_config = ConfigDict(json_schema_mode_override="validation")

    key: Key
    kind: QuestionKind
    text: Line = Field(examples=["您需要孕妇学校吗？"])
    required: bool = True
    options: list[Option] = Field(
        default_factory=list[Option], max_length=surveys.MAX_OPTIONS, validate_default=True
    )
    minimum: Bound = None
    maximum: Bound = None

    @field_validator("options")
    @classmethod
    def _choices_have_options(cls, options: list[Option], info: ValidationInfo) -> list[Option]:
        kind = info.data.get("kind")
        if kind is not None and (kind in CHOICES) is not (len(options) >= 2):
            raise _OPTIONS if kind in CHOICES else _NO_OPTIONS
        if len({option.code for option in options}) < len(options):
            raise _CODE_TWICE
        return options

    @field_validator("minimum", "maximum")
    @classmethod
    def _bounds_are_for_numbers(cls, bound: float | None, info: ValidationInfo) -> float | None:
        if bound is not None and info.data.get("kind", QuestionKind.NUMBER) != QuestionKind.NUMBER:
            raise _NO_BOUNDS
        low: float | None = info.data.get("minimum")
        if bound is not None and low is not None and low > bound:
            raise _UPSIDE_DOWN
        return bound


class PredictedAnswer(Schema):
    """What the data lets expect: the share of the audience that answers so.

    Either a `share`, or a `rule` that finds those members of the audience who will.
    """

    model_config = ConfigDict(json_schema_mode_override="validation")

    question: Key
    option: Key
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    rule: BoundedRule | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.share is None) is (self.rule is None):
            raise _ONE_PREDICTION
        return self


class TagIf(Schema):
    """Whoever answers so gets the tag, with the source `survey`."""

    model_config = ConfigDict(json_schema_mode_override="validation")

    question: Key
    option: Key
    tag: TagNamed


def _keys_differ(questions: list[Question]) -> list[Question]:
    if len({question.key for question in questions}) < len(questions):
        raise _KEY_TWICE
    return questions


Questions = Annotated[list[Question], Field(min_length=1, max_length=surveys.MAX_QUESTIONS)]
Name = Annotated[Line, Field(max_length=100, examples=["孕妇学校需求入户调查"])]
Topic = Annotated[Line, Field(max_length=64, examples=["pregnancy_class"])]


class SurveyCreate(Schema):
    """The audience is a `rule`, or the id of a saved `audience`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "孕妇学校需求入户调查",
                    "topic": "pregnancy_class",
                    "rule": {
                        "all": [
                            {"area": "510182104"},
                            {"field": "sex", "op": "eq", "value": "female"},
                            {"field": "age", "op": "between", "value": [25, 35]},
                        ]
                    },
                    "questions": [
                        {
                            "key": "need",
                            "kind": "single",
                            "text": "您需要孕妇学校吗？",
                            "options": [
                                {"code": "yes", "text": "需要"},
                                {"code": "no", "text": "不需要"},
                            ],
                        },
                        {
                            "key": "remarks",
                            "kind": "text",
                            "text": "还有什么建议？",
                            "required": False,
                        },
                    ],
                    "predicted": {"question": "need", "option": "yes", "share": 0.95},
                },
            ]
        }
    )

    name: Name
    topic: Topic | None = None
    rule: BoundedRule | None = None
    audience: UUID | None = None
    questions: Questions
    predicted: PredictedAnswer | None = None
    tag_if: TagIf | None = None

    _distinct = field_validator("questions")(_keys_differ)

    @model_validator(mode="after")
    def _one_audience(self) -> Self:
        if (self.rule is None) is (self.audience is None):
            raise _ONE_AUDIENCE
        return self


class SurveyUpdate(Schema):
    """What is absent stays. A `rule` takes the place of an `audience`, and the other way round."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "孕妇学校需求调查", "topic": "pregnancy_class"}]}
    )

    name: Name = Field(default_factory=str)
    topic: Topic | None = None
    rule: BoundedRule | None = None
    audience: UUID | None = None
    questions: Questions = Field(default_factory=list[Question])
    predicted: PredictedAnswer | None = None
    tag_if: TagIf | None = None

    _distinct = field_validator("questions")(_keys_differ)

    @model_validator(mode="after")
    def _at_most_one_audience(self) -> Self:
        named = {"rule", "audience"} & self.model_fields_set
        if named and (self.rule is None) is (self.audience is None):
            raise _ONE_AUDIENCE
        return self


class SurveyRead(Schema):
    id: UUID
    state: SurveyState
    name: str
    topic: str | None
    rule: Rule
    questions: list[Question]
    predicted: PredictedAnswer | None
    tag_if: TagIf | None
    sensitivity: Sensitivity
    population: int | None = Field(
        description="How many the sample was drawn from. Null before that, and if it is too few"
        " of a sensitive audience to be told.",
        examples=[3256],
    )
    sample: int | None = Field(description="How many were drawn.", examples=[200])
    seed: int | None
    created_at: Instant
    updated_at: Instant
    drawn_at: Instant | None
    closed_at: Instant | None


class SurveyPage(Page):
    items: list[SurveyRead]


class Assignee(Schema):
    """A worker, and where they go."""

    account: UUID = Field(description="The worker's account.")
    areas: list[AreaCode] = Field(min_length=1, max_length=20)


class SurveyDraw(Schema):
    """`n` of the audience aged 14 or over, the same ones for the same `seed`; all, if fewer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "n": 200,
                    "seed": 2026,
                    "assignees": [
                        {
                            "account": "0199f3c1-6a10-7c33-9d5e-5b8c1f0e7a21",
                            "areas": ["510182104006001"],
                        },
                    ],
                },
            ]
        }
    )

    n: int = Field(ge=1, le=MAX_SAMPLE, examples=[200])
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    assignees: list[Assignee] = Field(default_factory=list[Assignee], max_length=MAX_ASSIGNEES)


class VisitsSpread(Schema):
    """Spreads visits that nobody has yet over workers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "assignees": [
                        {
                            "account": "0199f3c1-6a10-7c33-9d5e-5b8c1f0e7a21",
                            "areas": ["510182104006001"],
                        },
                    ],
                },
            ]
        }
    )

    assignees: list[Assignee] = Field(min_length=1, max_length=MAX_ASSIGNEES)


class AssigneeLoad(Schema):
    account: UUID
    visits: int = Field(description="Visits of the survey that are theirs.")


class SurveyVisits(Schema):
    """Who has how many visits of the survey; any worker there may take one of the others."""

    assigned: list[AssigneeLoad]
    unassigned: int


def parsed(questions: list[Question]) -> list[surveys.Question]:
    """The meaning of valid questions."""
    return [
        surveys.Question(
            key=each.key,
            kind=each.kind,
            required=each.required,
            options=tuple(option.code for option in each.options),
            minimum=each.minimum,
            maximum=each.maximum,
        )
        for each in questions
    ]


def reference_faults(
    questions: list[Question], **references: PredictedAnswer | TagIf | None
) -> Iterator[FieldError]:
    """Faults of whatever names a question and one of its options, by field."""
    options = {each.key: {option.code for option in each.options} for each in questions}
    for field, reference in references.items():
        if reference is None:
            continue
        if not options.get(reference.question):
            yield FieldError(f"/{field}/question", "survey.unknown_question", _UNKNOWN_QUESTION)
        elif reference.option not in options[reference.question]:
            yield FieldError(f"/{field}/option", "survey.unknown_option", _UNKNOWN_OPTION)


_UNKNOWN_QUESTION = Text("没有这道选择题", "There is no such question with options")
_UNKNOWN_OPTION = Text("该题没有这个选项", "The question has no such option")
_OPTIONS = fault(
    "survey.options_missing", Text("选择题需要2至20个选项", "2 to 20 options are needed")
)
_NO_OPTIONS = fault(
    "survey.options_not_taken", Text("只有选择题才有选项", "Only single and multiple take options")
)
_CODE_TWICE = fault("survey.code_twice", Text("选项代码重复", "Two options have the same code"))
_KEY_TWICE = fault("survey.key_twice", Text("题目代码重复", "Two questions have the same key"))
_NO_BOUNDS = fault(
    "survey.bounds_not_taken", Text("只有数字题才有上下限", "Only a number takes bounds")
)
_UPSIDE_DOWN = fault(
    "survey.bounds_upside_down", Text("下限不能大于上限", "The lower bound is above the upper one")
)
_ONE_PREDICTION = fault(
    "survey.one_prediction", Text("share 与 rule 必须且只能有一个", "Exactly one of share and rule")
)
_ONE_AUDIENCE = fault(
    "survey.one_audience",
    Text("rule 与 audience 必须且只能有一个", "Exactly one of rule and audience"),
)

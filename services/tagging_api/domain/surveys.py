"""Questions, what answers them, and what all answers together say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, cast

from services.tagging_api.domain import estimates
from services.tagging_api.domain.estimates import Estimate

MAX_QUESTIONS = 20
MAX_OPTIONS = 20
MAX_TEXT = 1000
LARGEST = 1_000_000_000
# A count below this says too much of somebody, where the audience is a sensitive one.
FEWEST_SHOWN = 5


class QuestionKind(StrEnum):
    SINGLE = "single"
    MULTIPLE = "multiple"
    NUMBER = "number"
    TEXT = "text"


CHOICES = frozenset({QuestionKind.SINGLE, QuestionKind.MULTIPLE})


@dataclass(frozen=True, slots=True)
class Question:
    """`options` of a choice; `minimum` and `maximum` of a number, both included."""

    key: str
    kind: QuestionKind
    required: bool = True
    options: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


class Fault(StrEnum):
    MISSING = "answer.missing"
    UNKNOWN = "answer.unknown_question"
    NO_OPTION = "answer.no_option"
    NO_CHOICE = "answer.no_list_of_options"
    TWICE = "answer.option_twice"
    NO_NUMBER = "answer.no_number"
    OUT_OF_RANGE = "answer.out_of_range"
    NO_TEXT = "answer.no_text"


Location = tuple[str | int, ...]


def faults(
    questions: Sequence[Question], answers: Mapping[str, Any]
) -> Iterator[tuple[Location, Fault]]:
    """What is wrong with the answers, and where."""
    known = {question.key: question for question in questions}
    for question in questions:
        if question.required and question.key not in answers:
            yield (question.key,), Fault.MISSING
    for key, value in answers.items():
        if key not in known:
            yield (key,), Fault.UNKNOWN
        else:
            for at, fault in _value_faults(known[key], value):
                yield (key, *at), fault


def _value_faults(question: Question, value: Any) -> Iterator[tuple[Location, Fault]]:
    match question.kind:
        case QuestionKind.SINGLE:
            if not isinstance(value, str) or value not in question.options:
                yield (), Fault.NO_OPTION
        case QuestionKind.MULTIPLE:
            yield from _choice_faults(question.options, value)
        case QuestionKind.NUMBER:
            if not isinstance(value, int | float) or isinstance(value, bool):
                yield (), Fault.NO_NUMBER
            elif not _in_range(question, value):
                yield (), Fault.OUT_OF_RANGE
        case QuestionKind.TEXT:
            if not isinstance(value, str):
                yield (), Fault.NO_TEXT


def _choice_faults(options: Sequence[str], value: Any) -> Iterator[tuple[Location, Fault]]:
    if not isinstance(value, list):
        yield (), Fault.NO_CHOICE
        return
    chosen = cast("list[Any]", value)
    for index, each in enumerate(chosen):
        if not isinstance(each, str) or each not in options:
            yield (index,), Fault.NO_OPTION
        elif each in chosen[:index]:
            yield (index,), Fault.TWICE


def _in_range(question: Question, value: float) -> bool:
    low = -LARGEST if question.minimum is None else question.minimum
    high = LARGEST if question.maximum is None else question.maximum
    return low <= value <= high


def selects(value: Any, option: str) -> bool:
    """Whether an answer to a choice is, or contains, the option."""
    return value == option or (isinstance(value, list) and option in value)


@dataclass(frozen=True, slots=True)
class OptionTally:
    """`share` is of those who answered the question. Both null: not shown, for it is too few."""

    option: str
    count: int | None
    share: Estimate | None


@dataclass(frozen=True, slots=True)
class QuestionTally:
    """What was answered to one question; `answered` is null if that is not shown."""

    question: Question
    answered: int | None
    options: tuple[OptionTally, ...] = ()
    mean: Estimate | None = None
    smallest: float | None = None
    largest: float | None = None
    texts: tuple[str, ...] = ()


def tally(
    question: Question,
    sheets: Sequence[Mapping[str, Any]],
    *,
    population: int,
    hide_few: bool,
    texts: bool,
) -> QuestionTally:
    """What the sheets, one per person asked, answer to the question.

    `population` is how many the sample was drawn from. `hide_few` leaves out what is said of fewer
    than five people, and what that could be worked out from. Free text only with `texts`.
    """
    values = [sheet[question.key] for sheet in sheets if question.key in sheet]
    if hide_few and 0 < len(values) < FEWEST_SHOWN:
        nothing = tuple(OptionTally(option, None, None) for option in question.options)
        return QuestionTally(question, None, nothing)
    found = QuestionTally(question, len(values))
    if question.kind in CHOICES:
        found = replace(found, options=_options(question, values, population, hide_few))
    elif not values:
        return found
    elif question.kind is QuestionKind.NUMBER:
        # The smallest and the largest are somebody's.
        extremes = (None, None) if hide_few else (min(values), max(values))
        found = replace(
            found,
            mean=estimates.mean(values, population=population),
            smallest=extremes[0],
            largest=extremes[1],
        )
    elif texts:
        found = replace(found, texts=tuple(values))
    return found


def _options(
    question: Question, values: Sequence[Any], population: int, hide_few: bool
) -> tuple[OptionTally, ...]:
    counts = {
        option: sum(selects(value, option) for value in values) for option in question.options
    }
    hidden: set[str] = _too_few(question, counts, of=len(values)) if hide_few else set()
    return tuple(
        OptionTally(option, None, None)
        if option in hidden
        else OptionTally(
            option,
            count,
            estimates.share(count, len(values), population=population) if values else None,
        )
        for option, count in counts.items()
    )


def _too_few(question: Question, counts: Mapping[str, int], *, of: int) -> set[str]:
    hidden = {
        option
        for option, count in counts.items()
        # Nearly everybody is nearly nobody of the others.
        if 0 < count < FEWEST_SHOWN or 0 < of - count < FEWEST_SHOWN
    }
    if question.kind is QuestionKind.SINGLE and hidden:
        # The others and the total would tell what one is, or how few some are.
        rest = sorted((count, option) for option, count in counts.items() if option not in hidden)
        while rest and sum(counts[each] for each in hidden) < FEWEST_SHOWN:
            hidden.add(rest.pop(0)[1])
    return hidden

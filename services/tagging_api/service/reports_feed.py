"""Answers to citizen reports, told in the inbox of whoever reported."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.common.clock import Clock
from services.common.database import WriteSession
from services.common.projection import Fact
from services.tagging_api.repository import messages as repository
from services.tagging_api.schemas.messages import SubjectType

SOURCE = "reports_api"
REPORT_CHANGED = "cn.shequ.reports.report.changed"
TOPIC = "reports"

# Nothing of the report itself: the message leads to it, and the report shows itself to its owner.
_TEXTS = {
    "reply": ("您的随手拍有了新的回复", "工作人员回复了您反映的问题，请查看详情。"),
    "resolution": ("您的随手拍已办结", "您反映的问题已经办结，请查看处理结果。"),
}


class ReportsProjection:
    """One message for each answer, exactly once: by the answer's id, whatever is stated again."""

    source = SOURCE
    types: Sequence[str] = (REPORT_CHANGED,)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def apply(self, session: WriteSession, facts: Sequence[Fact], generation: int) -> None:
        del generation  # an answer that was told stays told, whatever became of the report
        written: dict[str, dict[str, Any]] = {}
        for fact in facts:
            for report in fact.data["reports"]:
                for answer in report["answers"]:
                    if report["resident_id"] is not None and answer["kind"] in _TEXTS:
                        written.setdefault(answer["id"], self._message(report, answer))
        await repository.add(session, list(written.values()))

    def _message(self, report: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        title, body = _TEXTS[answer["kind"]]
        return {
            "resident_id": UUID(report["resident_id"]),
            "cause_id": UUID(answer["id"]),
            "title": title,
            "body": body,
            "topic": TOPIC,
            "subject_type": SubjectType.REPORT,
            "subject_id": UUID(report["id"]),
            "created_at": self._clock.now(),
        }

    async def forget_before(self, session: WriteSession, generation: int) -> None:
        """Messages stay."""

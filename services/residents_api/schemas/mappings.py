"""What the columns of a village's ledgers mean."""

from typing import Annotated

from pydantic import AfterValidator, Field

from services.common.problems import Text
from services.common.schemas import Instant, Line, Schema, fault
from services.residents_api.domain.ledger import Field as LedgerField
from services.residents_api.domain.ledger.headers import word_of

Heading = Annotated[Line, Field(max_length=40)]


def _apart(columns: dict[str, LedgerField | None]) -> dict[str, LedgerField | None]:
    if len({word_of(heading) for heading in columns}) < len(columns) or "" in map(word_of, columns):
        raise fault(
            "columns.repeated",
            Text(
                "表头为空，或只有空格、符号不同",
                "Headings are empty, or differ in spaces and signs only",
            ),
        )
    return columns


class LedgerMappingWrite(Schema):
    """By heading, the field that it means; null for a column to be left alone."""

    columns: Annotated[
        dict[Heading, LedgerField | None], Field(max_length=200), AfterValidator(_apart)
    ] = Field(examples=[{"户内人员": "name", "登记号": "id_number", "网格员电话": None}])


class LedgerMappingRead(LedgerMappingWrite):
    village_code: str = Field(examples=["510182104006"])
    updated_by: str | None
    updated_at: Instant | None

"""Codes of the code lists as named types: one schema each in the contract."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from services.common.schemas import Schema
from services.residents_api.domain.code_lists import CODE_LISTS


def _coded(name: str) -> tuple[Any, ...]:
    codes = [entry.code for entry in CODE_LISTS[name].entries]
    known = frozenset(codes)

    def check(value: str) -> str:
        if value not in known:
            raise PydanticCustomError("code.unknown", "Not a code of this code list")
        return value

    return AfterValidator(check), WithJsonSchema({"type": "string", "enum": codes})


Sex = TypeAliasType("Sex", Annotated[str, *_coded("sex")])
Ethnicity = TypeAliasType("Ethnicity", Annotated[str, *_coded("ethnicity")])
Nationality = TypeAliasType("Nationality", Annotated[str, *_coded("nationality")])
Education = TypeAliasType("Education", Annotated[str, *_coded("education")])
MaritalStatus = TypeAliasType("MaritalStatus", Annotated[str, *_coded("marital_status")])
PoliticalStatus = TypeAliasType("PoliticalStatus", Annotated[str, *_coded("political_status")])
RelationToHead = TypeAliasType("RelationToHead", Annotated[str, *_coded("relation_to_head")])
PopulationType = TypeAliasType("PopulationType", Annotated[str, *_coded("population_type")])
Tenure = TypeAliasType("Tenure", Annotated[str, *_coded("tenure")])
DwellingUse = TypeAliasType("DwellingUse", Annotated[str, *_coded("dwelling_use")])
BuildingStatus = TypeAliasType("BuildingStatus", Annotated[str, *_coded("building_status")])
RiskLevel = TypeAliasType("RiskLevel", Annotated[str, *_coded("risk_level")])
CoordinateSystem = TypeAliasType("CoordinateSystem", Annotated[str, *_coded("coordinate_system")])
CommitteeKind = TypeAliasType("CommitteeKind", Annotated[str, *_coded("committee_kind")])
ContactRole = TypeAliasType("ContactRole", Annotated[str, *_coded("contact_role")])


class CodeListSummary(Schema):
    name: str = Field(examples=["education"])
    name_zh: str = Field(examples=["文化程度"])
    name_en: str = Field(examples=["Education"])
    standard: str | None = Field(examples=["GB/T 4658"])


class CodeListIndex(Schema):
    """All code lists; there are few, so this list has one page."""

    items: list[CodeListSummary]
    next_page_token: str | None


class CodeRead(Schema):
    code: str = Field(examples=["undergraduate"])
    name_zh: str = Field(examples=["大学本科"])
    name_en: str = Field(examples=["Undergraduate"])


class CodeListRead(CodeListSummary):
    """One code list, whole, in the order in which people are shown it."""

    items: list[CodeRead]
    next_page_token: str | None

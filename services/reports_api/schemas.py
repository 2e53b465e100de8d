"""The shapes of reports on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import UploadFile
from pydantic import ConfigDict, Field, WithJsonSchema

from services.common.access import Role
from services.common.problems import FieldError, Text
from services.common.schemas import AreaCode, Instant, Line, Page, Paragraph, Schema
from services.reports_api.domain.cases import (
    CoordinateSystem,
    ReplyKind,
    ReportCategory,
    ReportStatus,
)

_MISSING = Text("缺少必填项", "Field required")
_POINT = "With `longitude`, `latitude` and `coordinate_system`: all three or none."


class ReportSent(Schema):
    """The form of a new report."""

    category: ReportCategory
    text: Annotated[Paragraph, Field(examples=["楼下路灯坏了，晚上看不清路"])]
    area: Annotated[
        AreaCode | None,
        Field(description="Where it is; by default the first of the caller's own areas."),
    ] = None
    address: Annotated[Line | None, Field(examples=["金沙小区 3 栋门口"])] = None
    longitude: Annotated[
        float | None,
        Field(ge=-180, le=180, allow_inf_nan=False, description=_POINT, examples=[103.941]),
    ] = None
    latitude: Annotated[
        float | None,
        Field(ge=-90, le=90, allow_inf_nan=False, description=_POINT, examples=[30.99]),
    ] = None
    coordinate_system: Annotated[
        CoordinateSystem | None,
        Field(description=f"{_POINT} There is no default: a wrong guess is some 500 m beside."),
    ] = None
    photos: Annotated[
        # FastAPI's own schema of a file, in the words of OpenAPI 3.1, few client generators read.
        list[Annotated[UploadFile, WithJsonSchema({"type": "string", "format": "binary"})]],
        Field(
            default_factory=list[UploadFile],
            description="JPEG, PNG or WebP. They are kept as pixels: all metadata is dropped.",
        ),
    ]

    def faults(self) -> tuple[FieldError, ...]:
        """What no single field can tell: parts of a point without the others."""
        point = {
            "longitude": self.longitude,
            "latitude": self.latitude,
            "coordinate_system": self.coordinate_system,
        }
        missing = [name for name, value in point.items() if value is None]
        if len(missing) == len(point):
            return ()
        return tuple(FieldError(f"/{name}", "missing", _MISSING) for name in missing)


class ReplySent(Schema):
    text: Annotated[Paragraph, Field(examples=["已联系维修人员，今晚修好"])]


class ReplyRead(Schema):
    """A public answer by staff, who are shown by their role."""

    id: UUID
    kind: ReplyKind
    text: str = Field(examples=["已联系维修人员，今晚修好"])
    author_role: Role = Field(examples=["community_worker"])
    created_at: Instant


class PhotoRead(Schema):
    """A photo; `n` counts from 1, sizes are pixels and bytes."""

    n: int = Field(examples=[1])
    url: str = Field(examples=["/v1/reports/019ab1f0-7c1e-7d3a-9a51-0f6b6d1f2a10/photos/1"])
    media_type: str = Field(examples=["image/jpeg"])
    width: int = Field(examples=[3024])
    height: int = Field(examples=[4032])
    bytes: int = Field(examples=[1_834_112])


class ReportRead(Schema):
    id: UUID
    category: ReportCategory
    text: str = Field(examples=["楼下路灯坏了，晚上看不清路"])
    area: str = Field(description="As it was said.", examples=["510182104006"])
    address: str | None = Field(examples=["金沙小区 3 栋门口"])
    longitude: float | None = Field(examples=[103.941])
    latitude: float | None = Field(examples=[30.99])
    coordinate_system: CoordinateSystem | None = Field(examples=["gcj02"])
    status: ReportStatus
    resident_id: UUID | None = Field(
        description="Who reported it. Null for callers who may not read residents."
    )
    created_at: Instant
    resolved_at: datetime | None
    replies: list[ReplyRead]
    photos: list[PhotoRead]


class ReportPage(Page):
    items: list[ReportRead]


class CategoryRead(Schema):
    code: ReportCategory
    name_zh: str = Field(examples=["城市管理"])
    name_en: str = Field(examples=["City management"])


class CategoryPage(Page):
    items: list[CategoryRead]


class _Counts(Schema):
    total: int = Field(examples=[23])
    answered: int = Field(description="With a public answer by staff.", examples=[23])
    resolved: int = Field(examples=[21])


class CategoryStatistics(_Counts):
    category: ReportCategory


class ReportStatistics(_Counts):
    area: str | None = Field(
        description="The area asked for; null for all of the caller's.", examples=["510182104006"]
    )
    answer_rate: float | None = Field(
        description="Answered of total, 0 to 1; null without reports.", examples=[1.0]
    )
    by_category: list[CategoryStatistics] = Field(description="Categories that have reports.")


class AreaState(Schema):
    """What this service reads of an area in the register's feed; there is more to it."""

    model_config = ConfigDict(extra="ignore")

    code: str
    village_code: str | None


class AreaChanged(Schema):
    model_config = ConfigDict(extra="ignore")

    areas: list[AreaState]

"""What a report is about, and how it moves from received to resolved."""

from collections.abc import Mapping
from enum import StrEnum

from services.common.problems import Text
from services.reports_api.errors import ReportAlreadyResolved


class ReportCategory(StrEnum):
    CITY_MANAGEMENT = "city_management"
    COMMUNITY_AFFAIRS = "community_affairs"
    SERVICE_IMPROVEMENT = "service_improvement"
    PUBLIC_FACILITIES = "public_facilities"
    ENVIRONMENT = "environment"
    SAFETY = "safety"
    OTHER = "other"


# In the order in which people are shown them.
CATEGORY_NAMES: Mapping[ReportCategory, Text] = {
    ReportCategory.CITY_MANAGEMENT: Text("城市管理", "City management"),
    ReportCategory.COMMUNITY_AFFAIRS: Text("社区事务", "Community affairs"),
    ReportCategory.SERVICE_IMPROVEMENT: Text("服务改进", "Service improvement"),
    ReportCategory.PUBLIC_FACILITIES: Text("公共设施", "Public facilities"),
    ReportCategory.ENVIRONMENT: Text("环境卫生", "Environment"),
    ReportCategory.SAFETY: Text("安全隐患", "Safety"),
    ReportCategory.OTHER: Text("其他", "Other"),
}


class CoordinateSystem(StrEnum):
    """What a longitude and a latitude are measured in.

    Phones in China mostly give gcj02 or bd09, which lie some hundred metres beside wgs84.
    """

    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    BD09 = "bd09"
    CGCS2000 = "cgcs2000"


class ReportStatus(StrEnum):
    RECEIVED = "received"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"


class ReplyKind(StrEnum):
    """Both are public answers by staff; a resolution also closes the report."""

    REPLY = "reply"
    RESOLUTION = "resolution"


# A reply to a resolved report is a follow-up: it is shown, and it does not open the report again.
_NEXT: Mapping[tuple[ReportStatus, ReplyKind], ReportStatus] = {
    (ReportStatus.RECEIVED, ReplyKind.REPLY): ReportStatus.IN_PROGRESS,
    (ReportStatus.RECEIVED, ReplyKind.RESOLUTION): ReportStatus.RESOLVED,
    (ReportStatus.IN_PROGRESS, ReplyKind.REPLY): ReportStatus.IN_PROGRESS,
    (ReportStatus.IN_PROGRESS, ReplyKind.RESOLUTION): ReportStatus.RESOLVED,
    (ReportStatus.RESOLVED, ReplyKind.REPLY): ReportStatus.RESOLVED,
}


def after(status: ReportStatus, kind: ReplyKind) -> ReportStatus:
    """The status once a report was answered so. Raises ReportAlreadyResolved."""
    if (status, kind) not in _NEXT:
        raise ReportAlreadyResolved()
    return _NEXT[status, kind]

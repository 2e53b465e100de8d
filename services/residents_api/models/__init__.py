"""The tables of the register.

Every large table has `resident_id` (or its own id) first in its primary key, and a value that must
be unique in the city lives in a table keyed by that value; no foreign key joins tables of different
keys. So the same schema distributes by those columns.
"""

from services.residents_api.models.accesses import NOBODY, AccessRecord
from services.residents_api.models.areas import (
    Compound,
    CompoundContact,
    Division,
    DivisionSuccession,
    DivisionSuccessor,
    Grid,
)
from services.residents_api.models.base import Base, metadata
from services.residents_api.models.changes import ChangeRequest
from services.residents_api.models.duplicates import (
    DuplicateCandidate,
    DuplicateScan,
    DuplicateScanVillage,
    ResidentMerge,
)
from services.residents_api.models.exports import LedgerExport
from services.residents_api.models.history import History, HistoryAct
from services.residents_api.models.housing import (
    Building,
    BuildingUnit,
    Dwelling,
    DwellingAddress,
)
from services.residents_api.models.imports import (
    STATED,
    STATED_FIELDS,
    LedgerImport,
    LedgerMapping,
    LedgerRow,
    LedgerSource,
    LedgerStaging,
    LedgerStatement,
)
from services.residents_api.models.people import (
    Guardian,
    IdentityDocument,
    Occupancy,
    Phone,
    Resident,
    ResidentLabel,
)
from services.residents_api.models.statistics import (
    StatisticCount,
    StatisticDirty,
    StatisticMonth,
    StatisticVillage,
)

__all__ = [
    "NOBODY",
    "STATED",
    "STATED_FIELDS",
    "AccessRecord",
    "Base",
    "Building",
    "BuildingUnit",
    "ChangeRequest",
    "Compound",
    "CompoundContact",
    "Division",
    "DivisionSuccession",
    "DivisionSuccessor",
    "DuplicateCandidate",
    "DuplicateScan",
    "DuplicateScanVillage",
    "Dwelling",
    "DwellingAddress",
    "Grid",
    "Guardian",
    "History",
    "HistoryAct",
    "IdentityDocument",
    "LedgerExport",
    "LedgerImport",
    "LedgerMapping",
    "LedgerRow",
    "LedgerSource",
    "LedgerStaging",
    "LedgerStatement",
    "Occupancy",
    "Phone",
    "Resident",
    "ResidentLabel",
    "ResidentMerge",
    "StatisticCount",
    "StatisticDirty",
    "StatisticMonth",
    "StatisticVillage",
    "metadata",
]

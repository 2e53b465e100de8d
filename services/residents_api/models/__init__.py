"""The tables of the register.

Every large table has `resident_id` (or its own id) first in its primary key, and a value that must
be unique in the city lives in a table keyed by that value; no foreign key joins tables of different
keys. So the same schema distributes by those columns.
"""

from services.residents_api.models.accesses import AccessRecord
from services.residents_api.models.areas import Compound, Division, Grid
from services.residents_api.models.base import Base, metadata
from services.residents_api.models.housing import Dwelling, DwellingAddress
from services.residents_api.models.imports import (
    STATED,
    STATED_FIELDS,
    LedgerImport,
    LedgerRow,
    LedgerStaging,
    LedgerStatement,
)
from services.residents_api.models.people import (
    IdentityDocument,
    Occupancy,
    Phone,
    Resident,
    ResidentLabel,
)

__all__ = [
    "STATED",
    "STATED_FIELDS",
    "AccessRecord",
    "Base",
    "Compound",
    "Division",
    "Dwelling",
    "DwellingAddress",
    "Grid",
    "IdentityDocument",
    "LedgerImport",
    "LedgerRow",
    "LedgerStaging",
    "LedgerStatement",
    "Occupancy",
    "Phone",
    "Resident",
    "ResidentLabel",
    "metadata",
]

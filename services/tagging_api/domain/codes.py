"""The code values that a rule may compare with, as the register's feed states them.

This service's own narrow copy: a test holds it against the register's code lists.
"""

from collections.abc import Mapping
from types import MappingProxyType

from services.tagging_api.domain.rules import FieldName

CODES: Mapping[FieldName, frozenset[str]] = MappingProxyType(
    {
        FieldName.SEX: frozenset({"male", "female", "unknown", "unspecified"}),
        FieldName.POPULATION_TYPE: frozenset(
            {"household_registered", "floating", "overseas", "separated", "unregistered"}
        ),
        # GB/T 3304: 56 peoples, others, and naturalised citizens.
        FieldName.ETHNICITY: frozenset(
            [f"{number:02}" for number in range(1, 57)] + ["97", "98"],
        ),
        FieldName.EDUCATION: frozenset(
            {
                "postgraduate",
                "doctorate",
                "master",
                "undergraduate",
                "junior_college",
                "secondary_vocational",
                "senior_secondary",
                "junior_secondary",
                "primary",
                "other",
                "no_schooling",
                "preschool",
            }
        ),
        FieldName.MARITAL_STATUS: frozenset(
            {
                "never_married",
                "married",
                "first_married",
                "remarried",
                "marriage_restored",
                "widowed",
                "divorced",
                "unspecified",
            }
        ),
        FieldName.POLITICAL_STATUS: frozenset(
            {
                "cpc_member",
                "cpc_probationary_member",
                "youth_league_member",
                "rcck_member",
                "cdl_member",
                "cndca_member",
                "capd_member",
                "cpwdp_member",
                "zhi_gong_member",
                "jiusan_member",
                "tdsl_member",
                "non_party",
                "masses",
            }
        ),
        FieldName.TENURE: frozenset({"owner", "tenant", "borrower", "dormitory", "other"}),
    }
)

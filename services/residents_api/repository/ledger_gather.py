"""The SQL that brings the rows of a ledger together: which of them are one person's, what they say
together, and who in the register that is.

A batch holds all rows of its persons. `batch_row` has its staged rows, `person` what they say (the
first name, and of all else the last value that is said), `resolved` who is who.
"""

from services.residents_api.models import STATED, STATED_FIELDS

_HASH = 8
UNSAID = f"decode('{'00' * _HASH}', 'hex')"


def hash_of(table: str, name: str) -> str:
    return f"substring({table}.said FROM {STATED.index(name) * _HASH + 1} FOR {_HASH})"


def last_of(column: str) -> str:
    return f"(array_agg({column} ORDER BY b.ordinal DESC) FILTER (WHERE {column} IS NOT NULL))[1]"


def _first(column: str) -> str:
    return f"(array_agg({column} ORDER BY b.ordinal))[1]"


def _last_said(name: str) -> str:
    said = hash_of("b", name)
    last = f"(array_agg({said} ORDER BY b.ordinal DESC) FILTER (WHERE {said} <> {UNSAID}))[1]"
    return f"coalesce({last}, {UNSAID})"


def _all_said(name: str) -> str:
    """Of several rows: one hash of all that was said, whatever the order of the rows.

    Rows that say the same are as one row that says it.
    """
    said = hash_of("b", name)
    union = (
        f"string_agg(DISTINCT {said}, ''::bytea ORDER BY {said}) FILTER (WHERE {said} <> {UNSAID})"
    )
    several = f"length({union}) > {_HASH}"
    return (
        f"coalesce(CASE WHEN {several} THEN substring(sha256({union}) FOR {_HASH})"
        f" ELSE {union} END, {UNSAID})"
    )


_NAMES = ("name", "name_pinyin", "name_initials")
FOLDED = (*_NAMES, *STATED_FIELDS)
_MULTI_SAID = " || ".join(
    [_last_said(name) for name in STATED_FIELDS]
    + [_all_said(name) for name in ("phones", "occupancy")]
)

# Without fresh statistics the planner takes a new import for a handful of rows, and loops.
COUNT_ON = (
    "ANALYZE ledger_staging (import_id, ordinal, home_ordinal, person_key, weak_key, blind_index)",
    "ANALYZE ledger_row (import_id, sheet_number, row)",
)

# Rows of one person that stand apart move into the batch of the first. Rows without a number
# belong to the person with one of the same name and birth date in the same dwelling.
JOIN_UNNUMBERED = """
UPDATE ledger_staging s SET person_key = d.person_key
  FROM (SELECT DISTINCT ON (weak_key) weak_key, person_key FROM ledger_staging
         WHERE import_id = :import_id AND blind_index IS NOT NULL
           AND weak_key IN (SELECT weak_key FROM ledger_staging
                             WHERE import_id = :import_id AND blind_index IS NULL)
         ORDER BY weak_key, ordinal) d
 WHERE s.import_id = :import_id AND s.blind_index IS NULL AND s.weak_key = d.weak_key
"""

GATHER = """
UPDATE ledger_staging s SET home_ordinal = p.first
  FROM (SELECT person_key, min(ordinal) AS first FROM ledger_staging
         WHERE import_id = :import_id GROUP BY person_key HAVING count(*) > 1) p
 WHERE s.import_id = :import_id AND s.person_key = p.person_key AND s.ordinal <> p.first
"""

# Parameters cannot stand in CREATE TABLE AS: these take their values by format(), from us only.
SELECT_ROWS = """
CREATE TEMPORARY TABLE batch_row ON COMMIT DROP AS
SELECT *, count(*) OVER (PARTITION BY person_key) AS rows_of_person FROM ledger_staging
 WHERE import_id = '{import_id}' AND home_ordinal >= {first} AND home_ordinal < {end}
"""

FIND_ROWS = "CREATE INDEX ON batch_row (person_key)"

# A person's phones in the order in which they were first said. Who has hundreds is nobody.
_PHONES = """
(SELECT coalesce(array_agg(phone ORDER BY ordinal, n), '{}')
   FROM (SELECT DISTINCT ON (index) phone, o.ordinal, n
           FROM batch_row o, unnest(o.phones) WITH ORDINALITY AS u (phone, n),
                split_part(phone, ':', 1) AS index
          WHERE o.person_key = b.person_key ORDER BY index, o.ordinal, n LIMIT 100) said)
"""

FOLD = f"""
CREATE TEMPORARY TABLE person ON COMMIT DROP AS
SELECT person_key, ordinal, blind_index, number, {", ".join(FOLDED)}, phones, labels, said
  FROM batch_row WHERE rows_of_person = 1
UNION ALL
SELECT person_key, min(ordinal), {last_of("blind_index")}, {last_of("number")},
       {", ".join(_first(column) for column in _NAMES)},
       {", ".join(last_of(column) for column in STATED_FIELDS)},
       {_PHONES},
       (SELECT coalesce(array_agg(DISTINCT label), '{{}}') FROM batch_row o, unnest(o.labels) label
         WHERE o.person_key = b.person_key),
       {_MULTI_SAID}
  FROM batch_row b WHERE rows_of_person > 1 GROUP BY person_key
"""

# Who is who: by number; else by name and birth date among those who live in the dwelling, or who
# have left it, those without a number before others. A row with a number may so find somebody whose
# number was not known yet; of two numbers only one is theirs.
RESOLVE = """
CREATE TEMPORARY TABLE resolved ON COMMIT DROP AS
WITH numbered AS (
    SELECT p.person_key, d.resident_id FROM person p
      JOIN identity_document d ON d.blind_index = p.blind_index
), alike AS (
    SELECT DISTINCT ON (p.person_key) p.person_key, p.ordinal, p.blind_index, r.id AS resident_id
      FROM person p
      JOIN batch_row b ON b.person_key = p.person_key
      JOIN dwelling_address a ON a.key = b.dwelling_key
      JOIN occupancy o ON o.dwelling_id = a.dwelling_id
      JOIN resident r ON r.id = o.resident_id AND r.name = p.name AND r.birth_date = p.birth_date
           AND r.merged_into IS NULL
      LEFT JOIN identity_document x ON x.resident_id = r.id AND x.kind = 'resident_id_card'
     WHERE NOT EXISTS (SELECT FROM numbered n WHERE n.person_key = p.person_key)
       AND (p.blind_index IS NULL OR x.resident_id IS NULL)
     ORDER BY p.person_key, x.resident_id IS NOT NULL, coalesce(o.end_date <= '{today}', false),
              r.id
), weak AS (
    SELECT person_key, resident_id FROM alike w
     WHERE blind_index IS NULL
        OR NOT EXISTS (SELECT FROM alike e
                        WHERE e.resident_id = w.resident_id AND e.blind_index IS NOT NULL
                          AND e.ordinal < w.ordinal)
)
SELECT p.person_key, p.ordinal,
       coalesce(n.resident_id, w.resident_id, uuidv7()) AS resident_id,
       n.resident_id IS NULL AND w.resident_id IS NULL AS is_new,
       n.resident_id IS NULL AND p.blind_index IS NOT NULL AS has_new_number,
       false AS elsewhere, false AS touched, '{{}}'::jsonb AS changes
  FROM person p
  LEFT JOIN numbered n ON n.person_key = p.person_key
  LEFT JOIN weak w ON w.person_key = p.person_key
"""

# The file alone could not tell that they are one: without a number in two dwellings, say, of which
# the register knows both.
SAID_APART = "SELECT count(*) > count(DISTINCT resident_id) FROM resolved"
PUT_TOGETHER = (
    """
UPDATE batch_row b SET person_key = k.first_key
  FROM (SELECT person_key, first_value(person_key) OVER (
                   PARTITION BY resident_id ORDER BY p.blind_index IS NULL, p.ordinal) AS first_key
          FROM resolved JOIN person p USING (person_key)) k
 WHERE b.person_key = k.person_key AND k.first_key <> k.person_key
""",
    """
UPDATE batch_row b SET rows_of_person = p.rows
  FROM (SELECT person_key, count(*) AS rows FROM batch_row GROUP BY person_key) p
 WHERE b.person_key = p.person_key AND b.rows_of_person <> p.rows
""",
    "DROP TABLE person, resolved",
)

INDEX = (
    "CREATE INDEX ON person (person_key)",
    "CREATE INDEX ON resolved (person_key)",
    "CREATE INDEX ON resolved (resident_id)",
    "ANALYZE batch_row (person_key, dwelling_key), person (person_key, blind_index), resolved",
)

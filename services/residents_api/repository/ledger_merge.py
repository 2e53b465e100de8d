"""The SQL that merges one batch of a staged ledger into the register.

A batch holds all rows of its persons and is one transaction. Temporary tables carry it from step
to step: `batch_row` (staged rows), `person` (folded: the last non-empty value wins), `resolved`
(who is who in the register), `change` (new values beside old). Every step is one statement for the
whole batch.
"""

from services.residents_api.models import STATED, STATED_FIELDS

_HASH = 8
_UNSAID = f"decode('{'00' * _HASH}', 'hex')"


def _said(table: str, name: str) -> str:
    return f"substring({table}.said FROM {STATED.index(name) * _HASH + 1} FOR {_HASH})"


def _last(column: str) -> str:
    return f"(array_agg({column} ORDER BY b.ordinal DESC) FILTER (WHERE {column} IS NOT NULL))[1]"


def _last_said(name: str) -> str:
    said = _said("b", name)
    last = f"(array_agg({said} ORDER BY b.ordinal DESC) FILTER (WHERE {said} <> {_UNSAID}))[1]"
    return f"coalesce({last}, {_UNSAID})"


def _all_said(name: str) -> str:
    """Of several rows: one hash of all that was said, whatever the order of the rows.

    Rows that say the same are as one row that says it.
    """
    said = _said("b", name)
    union = (
        f"string_agg(DISTINCT {said}, ''::bytea ORDER BY {said}) FILTER (WHERE {said} <> {_UNSAID})"
    )
    several = f"length({union}) > {_HASH}"
    return (
        f"coalesce(CASE WHEN {several} THEN substring(sha256({union}) FOR {_HASH})"
        f" ELSE {union} END, {_UNSAID})"
    )


def _says_new(name: str) -> str:
    """The source says something of this field, and it is not what it said last time."""
    said = _said("p", name)
    return f"({said} <> {_UNSAID} AND {said} IS DISTINCT FROM {_said('s', name)})"


_NAMES = ("name", "name_pinyin", "name_initials")
_FOLDED = (*_NAMES, *STATED_FIELDS)
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

MARK_DUPLICATES = """
UPDATE ledger_row r SET codes = array_append(r.codes, 'row.duplicate')
  FROM (SELECT sheet_number, row,
               row_number() OVER (PARTITION BY person_key, dwelling_key ORDER BY ordinal) AS n
          FROM ledger_staging WHERE import_id = :import_id) d
 WHERE d.n > 1 AND r.import_id = :import_id AND r.sheet_number = d.sheet_number AND r.row = d.row
"""

# People without a number are recognised by looking, and no key stops a second one: so one batch
# of a village at a time.
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('ledger ' || :village_code, 0))"

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
SELECT person_key, ordinal, blind_index, number, {", ".join(_FOLDED)}, phones, labels, said
  FROM batch_row WHERE rows_of_person = 1
UNION ALL
SELECT person_key, min(ordinal), {_last("blind_index")}, {_last("number")},
       {", ".join(_last(column) for column in _FOLDED)},
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
      LEFT JOIN identity_document x ON x.resident_id = r.id
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
       false AS elsewhere, false AS touched
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

# Locked in the order of ids, and new numbers written in theirs, so that two imports cannot wait for
# each other.
LOCK_KNOWN = """
SELECT r.id FROM resident r JOIN resolved k ON k.resident_id = r.id
 WHERE NOT k.is_new ORDER BY r.id FOR UPDATE OF r
"""

NEW_GRIDS = """
INSERT INTO grid (code, village_code)
SELECT DISTINCT grid_code, CAST(:village_code AS text) FROM batch_row WHERE grid_code IS NOT NULL
    ON CONFLICT DO NOTHING RETURNING code, village_code
"""

NEW_COMPOUNDS = """
INSERT INTO compound (id, village_code, name)
SELECT uuidv7(), CAST(:village_code AS text), c.compound
  FROM (SELECT DISTINCT compound FROM batch_row WHERE compound IS NOT NULL) c
 WHERE NOT EXISTS (SELECT FROM compound k
                    WHERE k.village_code = :village_code AND k.name = c.compound)
    ON CONFLICT (village_code, name) DO NOTHING RETURNING id, village_code, name
"""

# In two steps: the address decides who was first, and only then is there a dwelling.
UNKNOWN_DWELLINGS = """
CREATE TEMPORARY TABLE unknown_dwelling ON COMMIT DROP AS
SELECT DISTINCT ON (b.dwelling_key) b.dwelling_key, uuidv7() AS id, b.grid_code, c.id AS compound_id,
       b.building, b.unit, b.room
  FROM batch_row b
  LEFT JOIN compound c ON c.village_code = '{village_code}' AND c.name = b.compound
 WHERE NOT EXISTS (SELECT FROM dwelling_address a WHERE a.key = b.dwelling_key)
 ORDER BY b.dwelling_key, b.grid_code IS NULL, b.ordinal DESC
"""

NEW_ADDRESSES = """
INSERT INTO dwelling_address (key, dwelling_id)
SELECT dwelling_key, id FROM unknown_dwelling ORDER BY dwelling_key ON CONFLICT DO NOTHING
"""

NEW_DWELLINGS = """
INSERT INTO dwelling (id, division_code, grid_code, compound_id, building, unit, room)
SELECT u.id, CAST(:village_code AS text), u.grid_code, u.compound_id, u.building, u.unit, u.room
  FROM unknown_dwelling u JOIN dwelling_address a ON a.key = u.dwelling_key AND a.dwelling_id = u.id
"""

NEW_NUMBERS = """
INSERT INTO identity_document (blind_index, resident_id, number)
SELECT p.blind_index, k.resident_id, p.number FROM resolved k JOIN person p USING (person_key)
 WHERE k.has_new_number AND NOT k.elsewhere
 ORDER BY p.blind_index
    ON CONFLICT DO NOTHING
"""

COUNT_NEW_NUMBERS = "SELECT count(*) FROM resolved WHERE has_new_number AND NOT elsewhere"

NEW_RESIDENTS = f"""
INSERT INTO resident (id, area_code, {", ".join(_FOLDED)})
SELECT k.resident_id, CAST(:village_code AS text), {", ".join(f"p.{c}" for c in _FOLDED)}
  FROM resolved k JOIN person p USING (person_key) WHERE k.is_new
"""

CHANGES = f"""
CREATE TEMPORARY TABLE change ON COMMIT DROP AS
SELECT r.id, {
    ", ".join(f"CASE WHEN {_says_new(c)} THEN p.{c} ELSE r.{c} END AS {c}" for c in STATED_FIELDS)
},
       k.is_new OR {_says_new("phones")} AS phones_said,
       k.is_new OR {_says_new("occupancy")} AS occupancy_said,
       s.said IS NULL OR s.said <> p.said AS said_anything, s.said IS NOT NULL AS spoke_before,
       p.said
  FROM resolved k JOIN person p USING (person_key) JOIN resident r ON r.id = k.resident_id
  LEFT JOIN ledger_statement s ON s.resident_id = r.id AND s.source = '{{source}}'
 WHERE NOT k.elsewhere
"""

INDEX_CHANGES = ("CREATE INDEX ON change (id)", "ANALYZE change (id)")

NEW_PHONES = """
WITH said AS (
    SELECT k.resident_id, decode(split_part(phone, ':', 1), 'hex') AS blind_index,
           decode(split_part(phone, ':', 2), 'hex') AS number, n
      FROM change c JOIN resolved k ON k.resident_id = c.id JOIN person p USING (person_key),
           unnest(p.phones) WITH ORDINALITY AS u (phone, n)
     WHERE c.phones_said
), added AS (
    INSERT INTO phone (resident_id, blind_index, ordinal, number)
    SELECT DISTINCT ON (resident_id, blind_index) resident_id, blind_index,
           n + (SELECT coalesce(max(o.ordinal), 0) FROM phone o
                 WHERE o.resident_id = said.resident_id), number
      FROM said ORDER BY resident_id, blind_index, n
        ON CONFLICT DO NOTHING RETURNING resident_id
)
UPDATE resolved SET touched = true
 WHERE NOT is_new AND resident_id IN (SELECT resident_id FROM added)
"""

NEW_LABELS = """
WITH added AS (
    INSERT INTO resident_label (resident_id, label)
    SELECT DISTINCT k.resident_id, label
      FROM resolved k JOIN person p USING (person_key), unnest(p.labels) AS label
     WHERE NOT k.elsewhere
        ON CONFLICT DO NOTHING RETURNING resident_id
)
UPDATE resolved SET touched = true
 WHERE NOT is_new AND resident_id IN (SELECT resident_id FROM added)
"""

# A source that still says what it said last time does not bring back somebody who moved out since.
# One that says something else brings them back into a dwelling they have left only if it says that
# they came after they had left: it may be an old file, or speak anew of another dwelling.
NEW_OCCUPANCIES = f"""
WITH lives AS (
    SELECT k.resident_id, b.dwelling_key, k.elsewhere, coalesce(c.spoke_before, true) AS spoke_before,
           {_last("b.tenure")} AS tenure, {_last("b.relation_to_head")} AS relation_to_head,
           {_last("b.start_date")} AS start_date
      FROM resolved k JOIN batch_row b USING (person_key)
      LEFT JOIN change c ON c.id = k.resident_id
     WHERE k.elsewhere OR c.occupancy_said
     GROUP BY k.resident_id, b.dwelling_key, k.elsewhere, c.spoke_before
), added AS (
    INSERT INTO occupancy (resident_id, id, dwelling_id, division_code, grid_code, compound_id,
                           tenure, relation_to_head, start_date, state)
    SELECT l.resident_id, uuidv7(), d.id, d.division_code, d.grid_code, d.compound_id,
           l.tenure, l.relation_to_head, l.start_date,
           CASE WHEN l.elsewhere THEN 'pending' ELSE 'approved' END
      FROM lives l JOIN dwelling_address a ON a.key = l.dwelling_key
      JOIN dwelling d ON d.id = a.dwelling_id
     WHERE NOT EXISTS (SELECT FROM occupancy o
                        WHERE o.resident_id = l.resident_id AND o.dwelling_id = d.id
                          AND (o.end_date IS NULL OR o.end_date > CAST(:today AS date)
                               OR l.spoke_before
                                  AND o.end_date > coalesce(l.start_date, '-infinity')))
        ON CONFLICT (resident_id, dwelling_id) WHERE end_date IS NULL DO NOTHING
    RETURNING resident_id
), marked AS (
    UPDATE resolved SET touched = true
     WHERE NOT is_new AND NOT elsewhere AND resident_id IN (SELECT resident_id FROM added)
)
SELECT count(*) FROM added
"""

CHANGED_OCCUPANCIES = f"""
WITH lives AS (
    SELECT k.resident_id, a.dwelling_id, {_last("b.tenure")} AS tenure,
           {_last("b.relation_to_head")} AS relation_to_head, {_last("b.start_date")} AS start_date
      FROM resolved k JOIN batch_row b USING (person_key)
      JOIN change c ON c.id = k.resident_id AND c.occupancy_said
      JOIN dwelling_address a ON a.key = b.dwelling_key
     WHERE NOT k.is_new
     GROUP BY k.resident_id, a.dwelling_id
), changed AS (
    UPDATE occupancy o
       SET tenure = coalesce(l.tenure, o.tenure),
           relation_to_head = coalesce(l.relation_to_head, o.relation_to_head),
           start_date = coalesce(l.start_date, o.start_date)
      FROM lives l
     WHERE o.resident_id = l.resident_id AND o.dwelling_id = l.dwelling_id AND o.end_date IS NULL
       AND (o.tenure, o.relation_to_head, o.start_date) IS DISTINCT FROM
           (coalesce(l.tenure, o.tenure), coalesce(l.relation_to_head, o.relation_to_head),
            coalesce(l.start_date, o.start_date))
    RETURNING o.resident_id
)
UPDATE resolved SET touched = true WHERE resident_id IN (SELECT resident_id FROM changed)
"""

_OLD = ", ".join(f"r.{c}" for c in STATED_FIELDS)
_NEW = ", ".join(f"c.{c}" for c in STATED_FIELDS)

CHANGED_RESIDENTS = f"""
WITH changed AS (
    UPDATE resident r
       SET {", ".join(f"{c} = c.{c}" for c in STATED_FIELDS)},
           version = r.version + 1, updated_at = now()
      FROM change c JOIN resolved k ON k.resident_id = c.id
     WHERE r.id = c.id AND NOT k.is_new
       AND (k.touched OR k.has_new_number OR ({_OLD}) IS DISTINCT FROM ({_NEW}))
    RETURNING r.id
)
UPDATE resolved SET touched = resident_id IN (SELECT id FROM changed) WHERE NOT is_new
"""

STATEMENTS = """
INSERT INTO ledger_statement (resident_id, source, said)
SELECT id, CAST(:source AS text), said FROM change WHERE said_anything
    ON CONFLICT (resident_id, source) DO UPDATE SET said = excluded.said
"""

MARK_WARNINGS = """
UPDATE ledger_row r SET codes = r.codes || w.codes
  FROM (SELECT b.sheet_number, b.row, array_remove(ARRAY[
               CASE WHEN k.elsewhere THEN 'resident.elsewhere' END,
               CASE WHEN NOT k.is_new AND x.name <> b.name THEN 'name.conflicts_with_register' END
               ], NULL) AS codes
          FROM batch_row b JOIN resolved k USING (person_key)
          JOIN resident x ON x.id = k.resident_id
         WHERE k.elsewhere OR (NOT k.is_new AND x.name <> b.name)) w
 WHERE r.import_id = :import_id AND r.sheet_number = w.sheet_number AND r.row = w.row
"""

COUNTS = """
SELECT count(*) FILTER (WHERE is_new) AS created,
       count(*) FILTER (WHERE touched AND NOT is_new) AS updated,
       count(*) FILTER (WHERE NOT touched AND NOT is_new) AS unchanged
  FROM resolved
"""

WRITTEN = "SELECT resident_id FROM resolved WHERE is_new OR touched"

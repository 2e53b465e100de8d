"""The SQL that merges one batch of a staged ledger into the register.

A batch is one transaction, and every step of it one statement. Temporary tables carry it from step to
step: those of `ledger_gather`, and `change` (new values beside old). `resolved.changes` says of persons
who were known what became new of them: `{field: [from, to]}`, where `***` stands for personal values.
"""

from services.residents_api.models import STATED_FIELDS
from services.residents_api.repository.ledger_gather import FOLDED, UNSAID, hash_of, last_of

# In place of a value that is not shown: that there was one.
HIDDEN = "***"
# Codes, of which one may see what they were. All else is personal.
_SHOWN = (
    "sex",
    "population_type",
    "ethnicity",
    "education",
    "marital_status",
    "political_status",
)


def _difference(columns: tuple[str, ...]) -> str:
    """Of an UPDATE, which columns it changed: old and new value each."""
    pairs: list[str] = []
    for column in columns:
        values = [f"{row}.{column}" for row in ("old", "new")]
        if column in STATED_FIELDS and column not in _SHOWN:
            values = [f"CASE WHEN {value} IS NOT NULL THEN '{HIDDEN}' END" for value in values]
        pairs.append(
            f"'{column}', CASE WHEN old.{column} IS DISTINCT FROM new.{column}"
            f" THEN jsonb_build_array({', '.join(values)}) END"
        )
    return f"jsonb_strip_nulls(jsonb_build_object({', '.join(pairs)}))"


def _gained(name: str) -> str:
    """What is marked as changed where something was added to a person."""
    return f'touched = true, changes = changes || \'{{"{name}": [null, "{HIDDEN}"]}}\''


def _says_new(name: str) -> str:
    """The source says something of this field, and it is not what it said last time."""
    said = hash_of("p", name)
    return f"({said} <> {UNSAID} AND {said} IS DISTINCT FROM {hash_of('s', name)})"


# People without a number are recognised by looking, and no key stops a second one: so one batch
# of a village at a time.
WAIT_A_LITTLE = "SET LOCAL lock_timeout = '2s'"
WAIT_AS_EVER = "SET LOCAL lock_timeout = 0"
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('ledger ' || :village_code, 0))"

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

# A dwelling that is known without its grid gets the one that is said. Everybody who lives there
# lives there then: those of this batch are written further down, the ids of the others come back.
NEW_GRIDS_OF_DWELLINGS = f"""
WITH said AS (
    SELECT DISTINCT ON (a.dwelling_id) a.dwelling_id, b.grid_code
      FROM batch_row b JOIN dwelling_address a ON a.key = b.dwelling_key
     WHERE b.grid_code IS NOT NULL ORDER BY a.dwelling_id, b.ordinal DESC
), placed AS (
    UPDATE dwelling d SET grid_code = s.grid_code FROM said s
     WHERE d.id = s.dwelling_id AND d.grid_code IS NULL RETURNING d.id, d.grid_code
), moved AS (
    UPDATE occupancy o SET grid_code = p.grid_code FROM placed p WHERE o.dwelling_id = p.id
    RETURNING o.resident_id
), marked AS (
    UPDATE resolved SET {_gained("grid_code")}
     WHERE NOT is_new AND NOT elsewhere AND resident_id IN (SELECT resident_id FROM moved)
)
UPDATE resident r SET version = r.version + 1, updated_at = now()
 WHERE r.id IN (SELECT resident_id FROM moved)
   AND r.id NOT IN (SELECT resident_id FROM resolved WHERE NOT elsewhere)
RETURNING r.id
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
INSERT INTO resident (id, area_code, {", ".join(FOLDED)})
SELECT k.resident_id, CAST(:village_code AS text), {", ".join(f"p.{c}" for c in FOLDED)}
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

NEW_PHONES = f"""
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
UPDATE resolved SET {_gained("phones")}
 WHERE NOT is_new AND resident_id IN (SELECT resident_id FROM added)
"""

NEW_LABELS = f"""
WITH added AS (
    INSERT INTO resident_label (resident_id, label)
    SELECT DISTINCT k.resident_id, label
      FROM resolved k JOIN person p USING (person_key), unnest(p.labels) AS label
     WHERE NOT k.elsewhere
        ON CONFLICT DO NOTHING RETURNING resident_id
)
UPDATE resolved SET {_gained("labels")}
 WHERE NOT is_new AND resident_id IN (SELECT resident_id FROM added)
"""

HAS_DEMOLISHED = """
SELECT EXISTS (SELECT FROM building WHERE village_code = :village_code AND status = 'demolished')
"""

# Nobody moves into what was demolished: these rows say who there is, but not where.
LEAVE_OUT_DEMOLISHED = """
WITH gone AS (
    SELECT b.ordinal, b.sheet_number, b.row
      FROM building k
      JOIN dwelling d ON d.division_code = k.village_code AND d.building = k.number
           AND d.compound_id IS NOT DISTINCT FROM k.compound_id
      JOIN dwelling_address a ON a.dwelling_id = d.id
      JOIN batch_row b ON b.dwelling_key = a.key
     WHERE k.village_code = :village_code AND k.status = 'demolished'
), told AS (
    UPDATE ledger_row r SET codes = r.codes || ARRAY['dwelling.demolished']
      FROM gone g
     WHERE r.import_id = :import_id AND r.sheet_number = g.sheet_number AND r.row = g.row
)
UPDATE batch_row b SET dwelling_key = '' FROM gone g WHERE b.ordinal = g.ordinal
"""

# A source that still says what it said last time does not bring back somebody who moved out since.
# One that says something else brings them back into a dwelling they have left only if it says that
# they came after they had left: it may be an old file, or speak anew of another dwelling.
NEW_OCCUPANCIES = f"""
WITH lives AS (
    SELECT k.resident_id, b.dwelling_key, k.elsewhere, coalesce(c.spoke_before, true) AS spoke_before,
           {last_of("b.tenure")} AS tenure, {last_of("b.relation_to_head")} AS relation_to_head,
           {last_of("b.start_date")} AS start_date
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
    UPDATE resolved SET {_gained("dwelling")}
     WHERE NOT is_new AND NOT elsewhere AND resident_id IN (SELECT resident_id FROM added)
)
SELECT count(*) FROM added
"""

_OF_OCCUPANCY = ("tenure", "relation_to_head", "start_date")

CHANGED_OCCUPANCIES = f"""
WITH lives AS (
    SELECT k.resident_id, a.dwelling_id, {last_of("b.tenure")} AS tenure,
           {last_of("b.relation_to_head")} AS relation_to_head, {last_of("b.start_date")} AS start_date
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
    RETURNING o.resident_id, {_difference(_OF_OCCUPANCY)} AS changes
)
UPDATE resolved k SET touched = true, changes = k.changes || c.changes
  FROM changed c WHERE k.resident_id = c.resident_id
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
    RETURNING r.id, {_difference(STATED_FIELDS)} AS changes
)
UPDATE resolved k
   SET touched = c.id IS NOT NULL,
       changes = k.changes || coalesce(c.changes, '{{}}')
                 || CASE WHEN k.has_new_number THEN '{{"id_number": [null, "{HIDDEN}"]}}'::jsonb
                         ELSE '{{}}' END
  FROM resolved o LEFT JOIN changed c ON c.id = o.resident_id
 WHERE k.person_key = o.person_key AND NOT k.is_new
"""

STATEMENTS = """
INSERT INTO ledger_statement (resident_id, source, said)
SELECT id, CAST(:source AS text), said FROM change WHERE said_anything
    ON CONFLICT (resident_id, source) DO UPDATE SET said = excluded.said
"""

COUNTS = """
SELECT count(*) FILTER (WHERE is_new) AS created,
       count(*) FILTER (WHERE touched AND NOT is_new) AS updated,
       count(*) FILTER (WHERE NOT touched AND NOT is_new) AS unchanged
  FROM resolved
"""

# What joins and lists go by. All columns would take longer, and have time: autovacuum still
# looks at them, for this does not count as its work.
ANALYZE = """
ANALYZE resident (id, area_code, keeper_compound_id), identity_document (blind_index, resident_id),
        occupancy (resident_id, dwelling_id, division_code, grid_code, compound_id, end_date, state),
        dwelling (id, division_code, grid_code, compound_id), phone (resident_id, blind_index)
"""

WRITTEN = "SELECT resident_id FROM resolved WHERE is_new OR touched"

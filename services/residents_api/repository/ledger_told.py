"""The SQL that says what became of each row of a ledger."""

MARK_DUPLICATES = """
UPDATE ledger_row r SET codes = array_append(r.codes, 'row.duplicate')
  FROM (SELECT sheet_number, row,
               row_number() OVER (PARTITION BY person_key, dwelling_key ORDER BY ordinal) AS n
          FROM ledger_staging WHERE import_id = :import_id) d
 WHERE d.n > 1 AND r.import_id = :import_id AND r.sheet_number = d.sheet_number AND r.row = d.row
"""

# What a stopped import has not merged is told of nobody. Rows are numbered as they were read;
# those of a person who was merged by an earlier row are merged. Staging may be gone.
FORGET_UNMERGED = """
DELETE FROM ledger_row r
 USING (SELECT sheet_number, row, row_number() OVER (ORDER BY sheet_number, row) - 1 AS ordinal
          FROM ledger_row WHERE import_id = :import_id) n
 WHERE r.import_id = :import_id AND r.sheet_number = n.sheet_number AND r.row = n.row
   AND r.outcome = 'accepted' AND r.effect IS NULL AND n.ordinal >= :applied_to
   AND NOT EXISTS (SELECT FROM ledger_staging s
                    WHERE s.import_id = :import_id AND s.ordinal = n.ordinal
                      AND s.home_ordinal < :applied_to)
"""

MARK_WARNINGS = """
UPDATE ledger_row r SET codes = r.codes || w.codes
  FROM (SELECT b.sheet_number, b.row, array_remove(ARRAY[
               CASE WHEN k.elsewhere THEN 'resident.elsewhere' END,
               CASE WHEN x.name <> b.name THEN 'name.conflicts_with_register' END
               ], NULL) AS codes
          FROM batch_row b JOIN resolved k USING (person_key)
          JOIN resident x ON x.id = k.resident_id
         WHERE k.elsewhere OR x.name <> b.name) w
 WHERE r.import_id = :import_id AND r.sheet_number = w.sheet_number AND r.row = w.row
"""

# What most rows of a ledger come to, a new person, is not written: see `LedgerRow.effect`.
TELL_EFFECTS = """
UPDATE ledger_row r
   SET effect = CASE WHEN k.touched THEN 'changed' ELSE 'unchanged' END,
       changes = CASE WHEN k.touched THEN k.changes END
  FROM batch_row b JOIN resolved k USING (person_key)
 WHERE NOT k.is_new
   AND r.import_id = :import_id AND r.sheet_number = b.sheet_number AND r.row = b.row
"""

# A dry run is taken back, but not what it found out: that is put aside meanwhile.
TOLD = """
SELECT r.sheet_number, r.row, r.codes, r.effect, r.changes
  FROM ledger_row r
  JOIN ledger_staging s ON s.import_id = r.import_id AND s.sheet_number = r.sheet_number
       AND s.row = r.row
 WHERE r.import_id = $1 AND (r.effect IS NOT NULL OR r.codes <> '{}')
"""
PUT_ASIDE = """
CREATE TEMPORARY TABLE told ON COMMIT DROP AS
SELECT sheet_number, row, codes, effect, changes FROM ledger_row WHERE false
"""
TELL_AGAIN = """
UPDATE ledger_row r SET codes = t.codes, effect = t.effect, changes = t.changes
  FROM told t
 WHERE r.import_id = :import_id AND r.sheet_number = t.sheet_number AND r.row = t.row
"""

"""How large a ledger may be. The city's register is 870,000 rows of some 25 columns."""

# A spreadsheet's reader lays out every cell of a sheet's used rectangle, empty or not, at 32
# bytes each: two cells in opposite corners of a sheet ask for 550 GB and kill the process.
MAX_CELLS = 25_000_000
MAX_COLUMNS = 256
MAX_SHEETS = 256
MAX_MERGES = 2_000_000
# All parts of an XLSX that are read, uncompressed; a cell is some 40 bytes of XML.
MAX_XLSX_BYTES = 1_500_000_000
# One object per string: these are the strings of the whole workbook.
MAX_SHARED_STRINGS_BYTES = 256_000_000
MAX_XLSX_PARTS = 4_096
MAX_XLS_BYTES = 200_000_000
# Its reader keeps three copies; a sheet of the format has at most 65,536 rows.
MAX_XLS_CELLS = 10_000_000
MAX_TEXT_BYTES = 1_000_000_000
# Of a delimited text file: a row, and the lines that one quoted record may span.
MAX_LINE_CHARACTERS = 1_000_000
MAX_RECORD_LINES = 64

"""Synthetic people, as rows of the ledgers community workers keep.

people, city (population)   a village's ledger of any size; a city's, village by village
town                        the demo town, with its exact figures
├── households              who lives together: ages, kinship, marriage
│   ├── traits              what a person's age and sex make likely
│   └── names, numbers      invented; identity numbers carry an area code of no place
├── housing                 compounds, buildings, units, hamlets and grids
└── ages                    completed years and the birthdays to keep clear of
ledger                      the columns; CSV and XLSX
mistakes                    what goes wrong in a ledger kept by hand

The same seed and the same day give the same rows.
"""

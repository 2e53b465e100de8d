"""The register's rules, pure: what a number, a name, a date, a phone, a dwelling and a ledger are."""

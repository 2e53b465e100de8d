"""A ledger's way into the register: read, check and seal, stage, then merge in batches."""

"""Pure rules: what an audience means, without a word of SQL."""

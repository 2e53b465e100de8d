"""The commands, one a module; `app` of each is what `shequ` runs."""

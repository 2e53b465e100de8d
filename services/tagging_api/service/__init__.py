"""What labels and targeting do: business verbs."""

"""The shapes of labels and targeting on the wire."""

"""What the register does: business verbs, each in one transaction of its caller's."""

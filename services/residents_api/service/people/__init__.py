"""People: registered, kept true, found, and shown: masked, or plain with a reason."""

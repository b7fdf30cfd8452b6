"""Tables computed from tables: which stretches of time must be done again, doing them, writing
only what differs."""

"""Online polls: one vote a person, and counts that are right and cheap."""

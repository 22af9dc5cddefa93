"""The actors of a session."""

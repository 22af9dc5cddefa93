"""Interlock: an execution-safety runtime for trading hosts."""

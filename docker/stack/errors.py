"""The error that ends a command with a message for its user."""

from __future__ import annotations


class StackError(Exception):
    """A reason why a command cannot continue, with what to do."""

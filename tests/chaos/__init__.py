"""Faults on purpose: tasks, servers and connections die at seeded moments, and then the rows are counted.

``python -m tests.chaos --help``, or ``make faults``.
"""

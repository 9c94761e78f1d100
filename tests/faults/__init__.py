"""Faults on purpose: tasks, servers and connections die at seeded moments, and then the rows are counted.

``python -m tests.faults --help``, or ``make faults``.
"""

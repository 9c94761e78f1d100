"""Real servers for tests: each starts in a temporary folder on free ports of the loopback."""

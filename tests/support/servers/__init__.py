"""Real servers for tests: each starts in a temporary directory on free ports of the loopback."""

"""The commands of ``docker/``: start, stop and use the deployment with ``docker compose``.

Standard library only: they run on the host with its own Python, without this repository's environment.
"""

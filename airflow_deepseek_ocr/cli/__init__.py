"""The command line; ``main`` is importable here for environments that start it by this name."""

from airflow_deepseek_ocr.cli.main import main

__all__ = ["main"]

"""Entry of ``python -m airflow_deepseek_ocr.cli``."""

import sys

from airflow_deepseek_ocr.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

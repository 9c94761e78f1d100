"""Documents in S3 become rows in a SQL database, read by DeepSeek-OCR, in Apache Airflow."""

__version__ = "0.1.0"

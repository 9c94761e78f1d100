#!/usr/bin/env bash
# Airflow's database and that of the results, each with a user that cannot connect to the other. Run once by the
# image, when the volume is new. psql reads the passwords from its environment: arguments are visible to others.
set -euo pipefail
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv ocr_password OCR_DB_PASSWORD
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE ROLE ocr LOGIN PASSWORD :'ocr_password';
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE ocr OWNER ocr;
REVOKE CONNECT ON DATABASE airflow, ocr FROM PUBLIC;
SQL

"""The provider's metadata (entry point ``apache_airflow_provider``)."""

from __future__ import annotations

from typing import Any

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.connection.fields import CONN_TYPE, HOOK_NAME
from airflow_deepseek_ocr.connection.form import FIELD_BEHAVIOUR, conn_fields

_INTEGRATION = "DeepSeek-OCR"
_MODEL_URL = "https://github.com/deepseek-ai/DeepSeek-OCR"

#: Pages on the classes of this metadata.
_GUIDES = (
    "quickstart",
    "reference/connection",
    "reference/operators",
    "reference/sensors",
    "reference/results",
    "guides/airflow-ui",
    "guides/events",
    "guides/examples",
)


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata.

    It does not name the plugin, which is an entry point: Airflow with ``lazy_discover_providers = False`` in
    ``[core]`` would load it a second time, and show that as an import error.
    """
    return {
        "package-name": "airflow-deepseek-ocr",
        "name": "DeepSeek-OCR",
        "description": f"Reads documents from S3 into a SQL database with `{_INTEGRATION} <{_MODEL_URL}>`__.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": _MODEL_URL,
                "how-to-guide": [f"/docs/{page}.md" for page in _GUIDES],
                "logo": "/docs/integration-logos/deepseek-ocr.svg",
                "tags": ["ai", "machine-learning", "software"],
            }
        ],
        "hooks": [_modules("airflow_deepseek_ocr.hooks.deepseek_ocr")],
        "operators": [_modules("airflow_deepseek_ocr.operators.deepseek_ocr")],
        "sensors": [_modules("airflow_deepseek_ocr.sensors.s3")],
        "triggers": [
            _modules("airflow_deepseek_ocr.triggers.s3", "airflow_deepseek_ocr.triggers.sqs")
        ],
        "extra-links": ["airflow_deepseek_ocr.airflow_support.results_page.ResultsLink"],
        "connection-types": [
            {
                "connection-type": CONN_TYPE,
                "hook-class-name": "airflow_deepseek_ocr.hooks.deepseek_ocr.DeepSeekOCRHook",
                "hook-name": HOOK_NAME,
                "ui-field-behaviour": {
                    "hidden-fields": FIELD_BEHAVIOUR["hidden_fields"],
                    "relabeling": FIELD_BEHAVIOUR["relabeling"],
                    "placeholders": FIELD_BEHAVIOUR["placeholders"],
                },
                "conn-fields": conn_fields(),
            }
        ],
        "config": _config(),
        "task-decorators": [
            {
                "name": "deepseek_ocr",
                "class-name": "airflow_deepseek_ocr.decorators.deepseek_ocr.deepseek_ocr_task",
            }
        ],
    }


def _config() -> dict[str, Any]:
    return {
        "deepseek_ocr": {
            "description": "Results of DeepSeek-OCR, and its programs on workers.",
            "options": {
                "auto_migrate": {
                    "description": "Whether tasks, sensors and triggers create and migrate the tables of "
                    "the results database. If not, run airflow-deepseek-ocr db upgrade after each upgrade "
                    "of the package.",
                    "version_added": None,
                    "type": "boolean",
                    "example": None,
                    "default": "True",
                },
                "allow_commands": {
                    "description": "Commands that connections may start on this worker in the fields vLLM "
                    "command and Python of the resident server, separated by commas; each the whole command. "
                    "The command vllm and the task's Python need no entry.",
                    "version_added": None,
                    "type": "string",
                    "example": "/opt/vllm/bin/vllm,/opt/ocr/bin/python",
                    "default": "",
                },
                "db_schema": {
                    "description": "Schema of the tables in the results database; on MySQL and MariaDB the "
                    "database. It must exist. Without it, the connection decides.",
                    "version_added": None,
                    "type": "string",
                    "example": "team",
                    "default": "",
                },
                "db_table_prefix": {
                    "description": "Beginning of the names of the tables, their indexes and constraints: "
                    "lower-case letters, digits and underscores, at most 20.",
                    "version_added": None,
                    "type": "string",
                    "example": "scans_",
                    "default": "",
                },
                **_list_options(),
                **_page_options(),
            },
        }
    }


def _list_options() -> dict[str, Any]:
    return {
        "document_list_days": {
            "description": "Days for which lists of documents that are too long for an XCom are "
            "kept in the results database. A task that is cleared later does not find its list.",
            "version_added": None,
            "type": "float",
            "example": None,
            "default": "30",
        },
    }


def _page_options() -> dict[str, Any]:
    return {
        "results_page": {
            "description": "Whether the API server has the page of OCR results.",
            "version_added": None,
            "type": "boolean",
            "example": None,
            "default": "True",
        },
        "results_page_db_conn_id": {
            "description": "Connection of the results database that the page shows. The API server must be "
            "able to read the connection and to reach the database.",
            "version_added": None,
            "type": "string",
            "example": None,
            "default": "deepseek_ocr_db",
        },
        "results_page_aws_conn_id": {
            "description": "Connection to S3 with which the page fetches pictures of pages and exports.",
            "version_added": None,
            "type": "string",
            "example": None,
            "default": "aws_default",
        },
        "results_page_exports": {
            "description": "Places from which the page sends pictures and exports, separated by commas: "
            "prefixes of S3, and directories of the API server's host. The prefix that the connection "
            "deepseek_ocr_default has as export_to is one without being named here.",
            "version_added": None,
            "type": "string",
            "example": "s3://archive/ocr, /mnt/ocr-exports",
            "default": "",
        },
    }


def _modules(*names: str) -> dict[str, Any]:
    return {"integration-name": _INTEGRATION, "python-modules": list(names)}

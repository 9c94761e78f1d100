"""The connection's form in Airflow's UI."""

from __future__ import annotations

from typing import Any

from airflow_deepseek_ocr.connection.fields import FIELDS

#: The standard fields of the form. ``port`` is shown even without a host: the Test button of Airflow 3.3.2
#: sends port 0 for a saved connection without a port, and the API server rejects the request, because that
#: is not the saved one. A saved 0 is accepted, and means none here.
FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden_fields": ["schema"],
    "relabeling": {
        "host": "Host of a server",
        "login": "Login on the server",
        "password": "API key of the server, or access token of the hub",
    },
    "placeholders": {
        "host": "empty: the model runs on the workers; else a host, https://... or "
        "unix:///path/of/socket of a server; several separated by commas",
        "login": "only for basic authentication",
        "password": "of a server; without a host: only for private hub models",
        "port": "of the server; 0 for none, which the Test button of Airflow 3.3.2 needs",
    },
}


def conn_fields() -> dict[str, dict[str, Any]]:
    """Return the fields for the provider's metadata (``conn-fields``, Airflow 3.2 and later)."""
    return {
        each.name: {
            "label": each.label,
            "description": each.help,
            "schema": {
                "type": [each.type, "null"],
                **({"default": each.default} if each.default is not None else {}),
                **({"enum": list(each.enum)} if each.enum else {}),
                **({"minimum": each.minimum} if each.minimum is not None else {}),
            },
        }
        for each in FIELDS
    }


def form_widgets() -> dict[str, Any]:
    """Return the fields as form widgets (Airflow 3.1, which has no ``conn-fields``)."""
    from wtforms import IntegerField, StringField
    from wtforms.validators import Optional, any_of

    return {
        each.name: (IntegerField if each.type == "integer" else StringField)(
            each.label,
            validators=[Optional(), *([any_of(list(each.enum))] if each.enum else [])],
            description=each.help,
            default=each.default,
        )
        for each in FIELDS
    }

"""The lists of documents and of pages to review."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from fastapi.testclient import TestClient

from tests.support.fixtures.shown_documents import FOREIGN, OWN, RUN

Client = Callable[..., TestClient]


def names(client: TestClient, **query: object) -> set[str]:
    response = client.get("/api/documents", params=query)
    assert response.status_code == 200, response.text
    return {each["uri"].rpartition("/")[2] for each in response.json()["documents"]}


def test_people_see_the_documents_of_their_dags_only(client: Client) -> None:
    own = {"invoice.pdf", "letter (draft) 100%_a.tiff", "hostile.pdf", "scan.pdf", "long.pdf"}
    assert names(client("VIEWER")) == own
    # Documents that no DAG read need the right on the connection.
    assert names(client("OP")) == {*own, "by-hand.pdf"}
    assert names(client("ADMIN")) == {*own, "by-hand.pdf", "secret.pdf"}
    session = client("VIEWER").get("/api/session").json()
    assert session["dag_ids"] == [OWN]
    assert session["user"] == "a viewer"
    assert session["flags"]["loop"] == "The model repeated the same text in a loop."
    assert client("VIEWER").get("/api/counts").json()["total"] == 5


def test_without_a_login_nothing_is_answered(client: Client) -> None:
    for path in ("session", "documents", "counts", "queue", "documents/1", "documents/1/pages/1"):
        assert client(None).get(f"/api/{path}").status_code in (401, 403), path


def test_conditions_are_joined_and_wildcards_are_plain_characters(client: Client) -> None:
    viewer = client("VIEWER")
    assert names(viewer, q="INVOICE") == {"invoice.pdf"}
    assert names(viewer, q="100%_") == {"letter (draft) 100%_a.tiff"}
    assert names(viewer, q="1__%_") == set()
    assert names(viewer, status="failed") == {"scan.pdf"}
    assert names(viewer, dag_id=OWN, run_id=RUN, task_id="read", map_index=3, q="inv") == {
        "invoice.pdf"
    }
    assert names(viewer, dag_id=FOREIGN) == set()
    assert names(viewer, since="2099-01-01T00:00:00Z") == set()
    assert len(names(viewer, until="2099-01-01T00:00:00Z", since="2020-01-01T00:00:00Z")) == 5


def test_text_is_found_in_pages_and_names(client: Client) -> None:
    viewer = client("VIEWER")
    assert names(viewer, q="a paragraph") == set()
    assert names(viewer, q="a Paragraph", in_text=True) == {"hostile.pdf"}
    assert names(viewer, q="scan", in_text=True) == {"scan.pdf"}
    assert viewer.get("/api/documents", params={"q": "no such", "in_text": True}).json() == {
        "documents": [],
        "next_before": None,
        "is_partial": False,
    }


def test_a_document_has_the_figures_of_its_pages(client: Client) -> None:
    (found,) = client().get("/api/documents", params={"q": "invoice"}).json()["documents"]
    assert (found["pages"], found["failed_pages"], found["lowest_score"]) == (3, 1, 0.4)
    assert found["status"] == "partial"


def test_the_queue_has_the_worst_page_first(client: Client, results: SimpleNamespace) -> None:
    found = client().get("/api/queue").json()
    assert [(each["document_id"], each["page_number"]) for each in found["pages"]] == [
        (results.ids["scan.pdf"], 1),
        (results.ids["invoice.pdf"], 2),
    ]
    assert found["next_after"] is None
    assert client().get("/api/queue", params={"below": 0.2}).json()["pages"][0]["score"] == 0.1
    assert client().get("/api/queue", params={"after": "x"}).status_code == 422


def test_parameters_have_bounds(client: Client) -> None:
    viewer = client()
    for query in ({"q": "a" * 2000}, {"before": 2**63}, {"map_index": 2**31}, {"since": "soon"}):
        assert viewer.get("/api/documents", params=query).status_code == 422, query

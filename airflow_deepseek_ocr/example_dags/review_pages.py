"""Read documents, and ask people about the pages whose score or confidence is low.

Each such page is a question in Airflow's UI (Required Actions), with its text to correct. Triggered by
hand. Set the parameters ``prefix`` and ``below``. Connections as in ``s3_to_database``. Needs Airflow's
operator for a human in the loop (Airflow 3.1, apache-airflow-providers-standard).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from inspect import signature
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Param, task

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator

DB_CONN_ID = "deepseek_ocr_db"
#: Questions of one run. The other pages stay in the queue of the results page.
MOST_QUESTIONS = 20
ACCEPT, CORRECT, LEAVE = "Accept", "Store my text", "Leave it"
#: Name of an answer's time limit; apache-airflow-providers-standard 1.12 and older have the second one.
LIMIT = (
    "response_timeout"
    if "response_timeout" in signature(HITLOperator.__init__).parameters
    else "execution_timeout"
)


def as_question(page: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the operator that asks about a page.

    Subject and body are templates: the text of the model and the name of a document must not be one.
    """
    name = page["uri"].replace("{", "(").replace("}", ")")
    flags = ", ".join(page["flags"]) or "none"
    return {
        "subject": f"Page {page['page_number']} of {name}",
        "body": f"Score {page['score']}, confidence {page['confidence']}, flags: {flags}.",
        "params": {"text": Param(page["text"], type="string", format="multiline")},
    }


with DAG(
    "review_pages",
    description=__doc__.splitlines()[0],
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "prefix": Param(
            "s3://documents/in/",
            type="string",
            pattern="^s3://",
            description="bucket and prefix of the documents",
        ),
        "below": Param(
            0.8,
            type="number",
            minimum=0,
            maximum=1,
            description="score or confidence below which people are asked about a page",
        ),
    },
    tags=["deepseek-ocr"],
):
    read = DeepSeekOCROperator(
        task_id="read", s3_prefix="{{ params.prefix }}", db_conn_id=DB_CONN_ID, retries=2
    )

    @task
    def find(
        returned: dict[str, Any], params: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return the pages that need a review, the worst first."""
        from airflow_deepseek_ocr.hooks.ocr_results import OcrResults

        with OcrResults(DB_CONN_ID) as results:
            pages = [
                (page.score or 0, document, page)
                for document in results.documents_of(returned)
                for page in results.pages(document)
                if page.needs_review((params or {})["below"])
            ]
        pages.sort(key=lambda each: each[0])
        names = ("document_id", "page_number", "text", "score", "confidence", "flags")
        return [
            {"uri": document.uri, **{name: getattr(page, name) for name in names}}
            | {"created_at": page.created_at.isoformat()}
            for _, document, page in pages[:MOST_QUESTIONS]
        ]

    # [START howto_review_pages]
    pages = find(read.output)
    answers = HITLOperator.partial(
        task_id="ask",
        options=[ACCEPT, CORRECT, LEAVE],
        defaults=LEAVE,
        **{LIMIT: timedelta(days=2)},
    ).expand_kwargs(pages.map(as_question))
    # [END howto_review_pages]

    @task
    def store(question: tuple[dict[str, Any], dict[str, Any]]) -> str:
        """Store the answer, unless the page was read again or reviewed in the meantime."""
        from airflow_deepseek_ocr.hooks.ocr_results import OcrResults

        asked, answer = question
        (choice,) = answer["chosen_options"]
        by = (answer.get("responded_by_user") or {}).get("name") or "human-in-the-loop"
        with OcrResults(DB_CONN_ID) as results:
            number = asked["page_number"]
            pages = results.pages(asked["document_id"])
            page = next((each for each in pages if each.page_number == number), None)
            if page is None or page.created_at.isoformat() != asked["created_at"]:
                return "read again"
            # An answer may be days younger than its question.
            if page.is_corrected or page.is_accepted:
                return "reviewed elsewhere"
            if choice == CORRECT:
                results.correct(page, answer["params_input"]["text"], by=by)
            elif choice == ACCEPT:
                results.accept(page, by=by)
        return choice

    store.expand(question=pages.zip(answers.output))

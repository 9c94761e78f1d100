"""Read documents, and ask people about the pages whose score or confidence is low.

Each such page is a question in Airflow's UI (Required Actions), with its text to correct. Triggered by
hand. Set the parameters ``prefix`` and ``below``. Connections as in ``s3_to_database``. Needs Airflow's
operator for a human in the loop (Airflow 3.1, apache-airflow-providers-standard).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from inspect import signature
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Param, task, task_group
from airflow.sdk.definitions.param import ParamsDict

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


class AskAboutPage(HITLOperator):
    """Ask a person about a page, with its text in a field to correct.

    Subject and body are no templates here: the text of the model and the name of a document must not be one.

    :param page: one of the pages that the task ``find`` returns.
    """

    template_fields = ("page",)

    def __init__(self, *, page: Any, **kwargs: Any) -> None:
        super().__init__(subject="A page", **kwargs)
        self.page = page

    def execute(self, context: Any) -> Any:
        """Ask, and wait without a worker slot."""
        page = self.page
        flags = ", ".join(page["flags"]) or "none"
        self.subject = f"Page {page['page_number']} of {page['uri']}"
        self.body = f"Score {page['score']}, confidence {page['confidence']}, flags: {flags}."
        text = Param(page["text"], type="string", format="multiline")
        self.params = ParamsDict({"text": text})
        return super().execute(context)


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
        task_id="read",
        s3_prefix="{{ params.prefix }}",
        db_conn_id=DB_CONN_ID,
        max_failed_pages=None,  # people are asked about the pages that failed
        retries=2,
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

    @task(retries=2, retry_delay=timedelta(minutes=1))
    def store(page: dict[str, Any], answer: dict[str, Any]) -> str:
        """Store the answer, unless the page was read again or reviewed in the meantime."""
        from airflow_deepseek_ocr.hooks.ocr_results import OcrResults

        (choice,) = answer["chosen_options"]
        text = (answer.get("params_input") or {}).get("text", page["text"])
        if not isinstance(text, str):
            raise AirflowFailException(
                f"The answer's text is {type(text).__name__}. Clear the task review.ask of this page to ask "
                "again, or correct the page in the results page."
            )
        # A person may have typed a correction, and then accepted it.
        if choice == ACCEPT and text != page["text"]:
            choice = CORRECT
        by = (answer.get("responded_by_user") or {}).get("name") or "human-in-the-loop"
        with OcrResults(DB_CONN_ID) as results:
            number = page["page_number"]
            pages = results.pages(page["document_id"])
            stored = next((each for each in pages if each.page_number == number), None)
            if stored is None or stored.created_at.isoformat() != page["created_at"]:
                return "read again"
            # An answer may be days younger than its question.
            if stored.is_corrected or stored.is_accepted:
                return "reviewed elsewhere"
            if choice == CORRECT:
                results.correct(stored, text, by=by)
            elif choice == ACCEPT:
                results.accept(stored, by=by)
        return choice

    @task_group
    def review(page: Any) -> None:
        """Ask about a page, and store the answer as soon as it comes."""
        # [START howto_review_pages]
        ask = AskAboutPage(
            task_id="ask",
            page=page,
            options=[ACCEPT, CORRECT, LEAVE],
            defaults=LEAVE,
            **{LIMIT: timedelta(days=2)},
        )
        store(page, ask.output)
        # [END howto_review_pages]

    review.expand(page=find(read.output))

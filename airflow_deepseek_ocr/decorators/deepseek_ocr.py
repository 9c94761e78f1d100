"""The decorator ``@task.deepseek_ocr``: a task reads the documents that a function returns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    DecoratedOperator,
    TaskDecorator,
    context_merge,
    determine_kwargs,
    task_decorator_factory,
)

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class _DeepSeekOCRDecoratedOperator(DecoratedOperator, DeepSeekOCROperator):
    """Reads the documents that a Python function returns."""

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *DeepSeekOCROperator.template_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **DeepSeekOCROperator.template_fields_renderers,
    }
    custom_operator_name = "@task.deepseek_ocr"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs
        )

    def execute(self, context: Context) -> dict[str, Any]:
        context_merge(context, self.op_kwargs)
        arguments = determine_kwargs(self.python_callable, self.op_args, context)
        self.documents = self.python_callable(*self.op_args, **arguments)
        return DeepSeekOCROperator.execute(self, context)


def deepseek_ocr_task(
    python_callable: Callable[..., Any] | None = None, **kwargs: Any
) -> TaskDecorator:
    """Return a task that reads the documents returned by a function.

    :param python_callable: returns ``documents`` of
        :class:`~airflow_deepseek_ocr.operators.deepseek_ocr.DeepSeekOCROperator`.
    :param kwargs: the operator's other arguments.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        decorated_operator_class=_DeepSeekOCRDecoratedOperator,
        **kwargs,
    )

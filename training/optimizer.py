"""Muon for the matrices, AdamW for the rest.

Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/) orthogonalises each matrix's
momentum. torch.optim.Muon takes two-dimensional parameters one by one; here most of the matrices are
stacked experts, and matrices of one shape go through together, which saves a thousand kernel launches
a step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

#: Coefficients of the quintic Newton-Schulz iteration, and how many are made (same source).
_COEFFICIENTS, _ITERATIONS = (3.4445, -4.7750, 2.0315), 5
_MOMENTUM = 0.95


def make_optimizers(network: nn.Module, device: str) -> list[torch.optim.Optimizer]:
    """Optimizers for all parameters.

    Rates are tensors, so that a captured step sees them change; each group's ``peak_lr`` has the peak.

    :param device: of the network.
    """
    matrices, others = [], []
    for name, parameter in network.named_parameters():
        is_matrix = parameter.ndim >= 2 and parameter.numel() > parameter.shape[-1]
        is_table = any(part in name for part in ("embed", "lm_head", "characters", "gate.weight"))
        (matrices if is_matrix and not is_table else others).append(parameter)
    optimizers: list[torch.optim.Optimizer] = [
        Muon(matrices, lr=torch.tensor(0.02, device=device), weight_decay=0.01),
        torch.optim.AdamW(
            others,
            lr=torch.tensor(2e-3, device=device),
            betas=(0.9, 0.98),
            weight_decay=0.01,
            fused=device == "cuda",
            capturable=device == "cuda",
        ),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = float(group["lr"])
    return optimizers


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised.

    :param parameters: of two dimensions; of three (a stack of matrices); of four (a convolution,
        taken as a matrix with a row for each output channel).
    :param lr: learning rate (0-dimensional tensor), multiplied by sqrt(rows / columns) of matrices higher than wide.
    :param weight_decay: decoupled, as in AdamW.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: torch.Tensor, weight_decay: float
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[_matrices(parameter).shape[-2:]].append(parameter)
            for (rows, columns), parameters in shapes.items():
                momenta = [self._momentum(parameter) for parameter in parameters]
                gradients = [parameter.grad for parameter in parameters]
                torch._foreach_lerp_(momenta, gradients, 1 - _MOMENTUM)
                nesterov = torch._foreach_lerp(gradients, momenta, _MOMENTUM)
                stacks = [_matrices(each) for each in nesterov]
                updates = _orthogonalise(torch.cat(stacks)).split([len(stack) for stack in stacks])
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_sub_(
                    parameters,
                    [
                        (update.to(rate.dtype) * rate).reshape(parameter.shape)
                        for update, parameter in zip(updates, parameters, strict=True)
                    ],
                )

    def _momentum(self, parameter: nn.Parameter) -> torch.Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum: torch.Tensor = state["momentum"]
        return momentum


def _matrices(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor as a stack of matrices (count, rows, columns)."""
    if tensor.ndim == 3:
        return tensor
    return tensor.flatten(1)[None]


def _orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    a, b, c = _COEFFICIENTS
    x = matrices.bfloat16()
    high = x.shape[-2] > x.shape[-1]
    if high:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if high else x

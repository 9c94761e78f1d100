"""Muon for the matrices, AdamW for the rest, both on float32 masters.

Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/) orthogonalises each matrix's
momentum. torch.optim.Muon takes two-dimensional parameters one by one; here most of the matrices are
stacked experts, and matrices of one shape go through together, which saves a thousand kernel launches
a step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from training.cards import Cards

#: Coefficients of the quintic Newton-Schulz iteration, and how many are made (same source).
_COEFFICIENTS, _ITERATIONS = (3.4445, -4.7750, 2.0315), 5
_MOMENTUM = 0.95
_MUON_RATE, _ADAMW_RATE, _WEIGHT_DECAY = 0.02, 1e-3, 0.01
_CLIP_NORM = 1.0
#: Steps over which the averages of the weights go. With rates that are held, they read far better than the
#: weights of any one step (Izmailov et al., 2018, https://arxiv.org/abs/1803.05407).
_AVERAGED_STEPS = 1000
#: Parts of the names of weights that are looked up or are no matrix in spirit.
_TABLES = (
    "pos_embed",
    "position_embedding",
    "embed_tokens",
    "lm_head",
    "characters",
    "gate.weight",
)


class Optimizer:
    """Updates float32 masters of a network's weights from the gradients of its own.

    The network may be in bfloat16, in which small updates would be lost. Rates are tensors, so that
    a captured step sees them change.

    :param network: its weights are rounded masters after each step.
    """

    def __init__(self, network: nn.Module) -> None:
        self._parameters = dict(network.named_parameters())
        self.masters = {
            name: nn.Parameter(parameter.detach().float().clone())
            for name, parameter in self._parameters.items()
        }
        #: Means of the masters over the last steps: what a checkpoint is made of.
        self.averages = {name: master.detach().clone() for name, master in self.masters.items()}
        self._averaged = torch.zeros((), device=next(iter(self.masters.values())).device)
        sizes = [master.numel() for master in self.masters.values()]
        #: Gradients of all masters in float32, one after the other: what cards average. Zero for what a
        #: step has no gradient for.
        self.gradients = torch.zeros(sum(sizes), device=next(iter(self.masters.values())).device)
        parts = self.gradients.split(sizes)
        self._gradients = {
            name: part.view_as(master)
            for (name, master), part in zip(self.masters.items(), parts, strict=True)
        }
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, master in self.masters.items():
            is_matrix = master.ndim >= 2 and master.numel() > master.shape[-1]
            is_table = any(part in name for part in _TABLES)
            (matrices if is_matrix and not is_table else others).append(master)
        device = others[0].device
        on_gpu = device.type == "cuda"
        adamw = torch.optim.AdamW(
            others,
            lr=torch.tensor(_ADAMW_RATE, device=device),
            betas=(0.9, 0.98),
            weight_decay=_WEIGHT_DECAY,
            fused=on_gpu,
            capturable=on_gpu,
        )
        muon_rate = torch.tensor(_MUON_RATE, device=device)
        self._peaks = [
            (Muon(matrices, lr=muon_rate, weight_decay=_WEIGHT_DECAY), _MUON_RATE),
            (adamw, _ADAMW_RATE),
        ]

    def set_rate(self, share: float) -> None:
        """Set the learning rates to that share of their peaks."""
        for optimizer, peak in self._peaks:
            for group in optimizer.param_groups:
                group["lr"].fill_(peak * share)

    @torch.no_grad()
    def collect(self) -> tuple[str, ...]:
        """Move the network's gradients to ``gradients``; returns the names of the weights that have one."""
        found = {
            name: parameter.grad
            for name, parameter in self._parameters.items()
            if parameter.grad is not None
        }
        torch._foreach_copy_([self._gradients[name] for name in found], list(found.values()))
        for name, gradient in self._gradients.items():
            if name not in found:
                gradient.zero_()
            self._parameters[name].grad = None
        return tuple(found)

    def step(self, names: Collection[str]) -> torch.Tensor:
        """Clip the collected gradients, update masters and network.

        :param names: of the weights to update; others neither move nor decay.
        :returns: the gradients' norm before clipping, 0-dimensional.
        """
        norm = self.gradients.norm()
        self.gradients.mul_((_CLIP_NORM / (norm + 1e-6)).clamp(max=1.0))
        for name in names:
            self.masters[name].grad = self._gradients[name]
        for optimizer, _ in self._peaks:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._round(self.masters)
        self._average()
        return norm

    @torch.no_grad()
    def _average(self) -> None:
        self._averaged += 1
        # The mean of all steps at first, so that a short run's averages are no longer its beginning.
        weight = (1 / self._averaged).clamp(min=1 / _AVERAGED_STEPS)
        averages = list(self.averages.values())
        differences = torch._foreach_sub(list(self.masters.values()), averages)
        torch._foreach_mul_(differences, weight)
        torch._foreach_add_(averages, differences)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the network the averages for as long as the context lasts."""
        self._round(self.averages)
        try:
            yield
        finally:
            self._round(self.masters)

    @torch.no_grad()
    def _round(self, weights: Mapping[str, torch.Tensor]) -> None:
        torch._foreach_copy_(list(self._parameters.values()), list(weights.values()))

    def state_dict(self) -> dict[str, Any]:
        """All that :meth:`load_state_dict` needs to go on."""
        return {
            "masters": {name: master.detach() for name, master in self.masters.items()},
            "averages": self.averages,
            "averaged": self._averaged,
            "optimizers": [optimizer.state_dict() for optimizer, _ in self._peaks],
        }

    def follow(self, cards: Cards) -> None:
        """Take the first card's weights: rounding parts them in the course of thousands of steps."""
        cards.copy_first([master.detach() for master in self.masters.values()])
        self._round(self.masters)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state, in the network's weights too."""
        with torch.no_grad():
            for name, master in self.masters.items():
                master.copy_(state["masters"][name])
                self.averages[name].copy_(state["averages"][name])
            self._averaged.copy_(state["averaged"])
        for (optimizer, _), saved in zip(self._peaks, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._round(self.masters)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised.

    :param parameters: of two dimensions; of three (a stack of matrices); of four (a convolution,
        taken as a matrix with a row for each output channel).
    :param lr: learning rate (0-dimensional tensor), multiplied by sqrt(rows / columns) of matrices
        higher than wide.
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
            shapes: dict[torch.Size, list[torch.Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[_matrices(parameter).shape[-2:]].append(parameter)
            for (rows, columns), parameters in shapes.items():
                momenta = [self._momentum(parameter) for parameter in parameters]
                gradients = [each.grad for each in parameters if each.grad is not None]
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

    def _momentum(self, parameter: torch.Tensor) -> torch.Tensor:
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

"""Updates: which weights are turned as matrices, and that small ones are not lost."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.network import Network
from training.optimizer import Muon, Optimizer


def test_matrices_are_turned_and_tables_are_not() -> None:
    optimizer = Optimizer(Network())
    names = {id(master): name for name, master in optimizer.masters.items()}
    matrices, others = (
        {names[id(each)] for group in part.param_groups for each in group["params"]}
        for part, _ in optimizer._peaks
    )
    assert matrices | others == optimizer.masters.keys()
    assert not matrices & others
    expected = ("qkv", "experts.gate_up_proj", "patch_embed.projection.weight", "neck.conv2")
    for part in (*expected, "mlp.gate_proj.weight", "multi_modal_projector.weight"):
        assert any(part in name for name in matrices), part
    tables = {name for name in others if optimizer.masters[name].ndim >= 2}
    parts = ("embed_tokens", "lm_head", "pos_embed", "position_embedding", "mlp.gate", "characters")
    assert all(any(part in name for part in parts) for name in tables), tables
    assert len(tables) == len(parts) + 2  # three of the four layers have a gate


def test_muon_turns_a_gradient_into_a_rotation() -> None:
    torch.manual_seed(0)
    matrices = [nn.Parameter(torch.randn(*shape)) for shape in ((24, 48), (3, 16, 8), (8, 4, 3, 3))]
    before = [matrix.detach().clone() for matrix in matrices]
    muon = Muon(matrices, lr=torch.tensor(0.5), weight_decay=0.0)
    for matrix in matrices:
        matrix.grad = torch.randn_like(matrix)
    muon.step()
    for matrix, old, rate in zip(matrices, before, (0.5, 0.5 * 2**0.5, 0.5), strict=True):
        update = (old - matrix.detach()) / rate
        update = update if update.ndim == 3 else update.flatten(1)[None]
        values = torch.linalg.svdvals(update)
        # Five iterations bring singular values near 1, not to it.
        assert values.min() > 0.4
        assert values.max() < 1.4


def test_small_updates_survive_in_bfloat16() -> None:
    network = nn.Linear(8, 8).to(torch.float32)
    optimizer = Optimizer(network)
    for parameter in network.parameters():
        parameter.data = parameter.data.bfloat16()
    start = optimizer.masters["weight"].detach().clone()
    optimizer.set_rate(1e-4)
    for _ in range(20):
        network(torch.ones(2, 8, dtype=torch.bfloat16)).sum().backward()
        names = optimizer.collect()
        assert set(names) == {"weight", "bias"}
        optimizer.step(names)
    master = optimizer.masters["weight"].detach()
    assert master.dtype == torch.float32
    assert 0 < (master - start).abs().max() < 1e-3
    assert torch.equal(network.weight.detach(), master.bfloat16())
    assert network.weight.grad is None


def test_what_has_no_gradient_neither_moves_nor_decays() -> None:
    network = nn.ModuleDict({"used": nn.Linear(4, 4), "idle": nn.Linear(4, 4)})
    optimizer = Optimizer(network)
    start = {name: master.detach().clone() for name, master in optimizer.masters.items()}
    optimizer.set_rate(1.0)
    network["idle"](torch.ones(1, 4)).sum().backward()
    optimizer.collect()
    (1000 * network["used"](torch.ones(1, 4))).sum().backward()
    names = optimizer.collect()
    assert set(names) == {"used.weight", "used.bias"}
    idle = optimizer._gradients["idle.weight"]
    assert not idle.any(), "an earlier step's gradient is no part of this one's mean"
    norm = optimizer.step(names)
    assert norm > 1000
    assert optimizer.gradients.norm() < 1.01, "clipped"
    for name, master in optimizer.masters.items():
        assert master.equal(start[name]) == ("idle" in name)


def test_averages_are_means_of_the_weights_after_each_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("training.optimizer._AVERAGED_STEPS", 2)
    network = nn.Linear(4, 4)
    optimizer = Optimizer(network)
    optimizer.set_rate(1.0)
    seen = []
    for _ in range(3):
        network(torch.ones(1, 4)).square().sum().backward()
        optimizer.step(optimizer.collect())
        seen.append(optimizer.masters["weight"].detach().clone())
    # The mean of the first two, then half of that and half of the third.
    expected = (seen[0] + seen[1]) / 4 + seen[2] / 2
    assert torch.allclose(optimizer.averages["weight"], expected, atol=1e-6)
    with optimizer.averaged():
        assert torch.allclose(network.weight, expected, atol=1e-6)
    assert torch.equal(network.weight, seen[2])
    resumed = Optimizer(nn.Linear(4, 4))
    resumed.load_state_dict(optimizer.state_dict())
    assert torch.equal(resumed.averages["weight"], optimizer.averages["weight"])
    assert resumed._averaged == 3

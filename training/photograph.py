"""What a camera or a scanner does to a page's light and colours, on the GPU."""

from __future__ import annotations

import torch


def photograph(
    pixels: torch.Tensor,
    inside: torch.Tensor,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Normalised RGB views as a camera or scanner might have seen them: colour, light, noise.

    Half of the views stay as they are.

    :param pixels: uint8 (views, size, size).
    :param inside: (views, 4): the part that shows the page; padding stays exact.
    :param generator: of the device of ``pixels``.
    :param dtype: in which it is computed.
    :returns: of ``dtype`` (views, 3, size, size).
    """
    count, size, _ = pixels.shape
    device = pixels.device

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator, device=device, dtype=dtype)

    def some(share: float) -> torch.Tensor:
        return (uniform(count, 1, 1, 1) < share).to(dtype)

    grey = pixels[:, None].to(dtype) / 255
    # Ink and paper get colours of their own.
    ink, paper = 0.35 * uniform(count, 3, 1, 1), 1 - 0.2 * uniform(count, 3, 1, 1)
    tinted = some(0.25)
    # Light falls off to one side.
    ramp = torch.linspace(-1, 1, size, device=device, dtype=dtype)
    slope = (uniform(count, 2, 1, 1) - 0.5) * 0.25 * some(0.15)
    light = 1 + slope[:, :1] * ramp[:, None] + slope[:, 1:] * ramp
    noise = torch.randn((count, 1, size, size), generator=generator, device=device, dtype=dtype)
    noise *= 0.05 * uniform(count, 1, 1, 1) * some(0.3)
    # Few passes over the three channels: they take longer than all else here.
    colour = torch.addcmul(tinted * ink, 1 - tinted + tinted * (paper - ink), grey)
    colour = torch.addcmul(noise, colour, light).clamp_(0, 1)
    rows, columns = torch.arange(size, device=device)[:, None], torch.arange(size, device=device)
    x1, y1, x2, y2 = (edge[:, None, None] for edge in inside.unbind(1))
    shown = (rows >= y1) & (rows < y2) & (columns >= x1) & (columns < x2)
    return torch.where(shown[:, None], colour, grey).mul_(2).sub_(1)

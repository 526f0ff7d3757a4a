"""The losses on UV maps, written once more for PyTorch: what `i2uv bench train --vs torch` times.

After the definitions in `i2uv_jax.losses`, which say what each term is. Maps are channels first,
(b, 3, m, m); mesh and keypoint terms, and users' own, are missing.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool

from i2uv_jax.config import LossConfig
from i2uv_jax.losses import MASK_EPSILON
from i2uv_jax.models.torch_hand_net import TorchOutput


def _mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.to(values.dtype).expand_as(values)
    return (values * weights).sum() / weights.sum().clamp(min=MASK_EPSILON)


def _uv_l1(uv_map: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return _mean((uv_map - truth).abs(), mask)


def _uv_mask(uv_map: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return _mean((uv_map - truth).abs(), ~mask)


def _uv_gradient(uv_map: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    error = uv_map - truth
    parts = [error.diff(dim=3).abs().flatten(2), error.diff(dim=2).abs().flatten(2)]
    masks = [(mask[:, 1:] & mask[:, :-1]).flatten(), (mask[1:] & mask[:-1]).flatten()]
    return _mean(torch.cat(parts, dim=2), torch.cat(masks))


def _uv_aligned(uv_map: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    points, true_points = (part.flatten(2).transpose(1, 2) for part in (uv_map, truth))
    inside = mask.flatten()[:, None].to(points.dtype)
    with torch.no_grad():  # Umeyama 1991; the alignment counts as given
        shares = inside / inside.sum()
        mean, true_mean = ((shares * part).sum(1, keepdim=True) for part in (points, true_points))
        centred = points - mean
        covariance = (true_points - true_mean).transpose(1, 2) @ (shares * centred)
        u, singular, vt = torch.linalg.svd(covariance)
        signs = torch.ones_like(singular)
        signs[:, 2] = torch.sign(torch.linalg.det(u) * torch.linalg.det(vt))
        rotation = (u * signs[:, None]) @ vt
        scale = (singular * signs).sum(1) / (shares * centred**2).sum((1, 2))
    aligned = scale[:, None, None] * ((points - mean) @ rotation.transpose(1, 2)) + true_mean
    return _mean((aligned - true_points).abs(), inside)


_TERMS: dict[str, Callable[..., torch.Tensor]] = {
    "uv_l1": _uv_l1, "uv_mask": _uv_mask, "uv_gradient": _uv_gradient, "uv_aligned": _uv_aligned,
}  # fmt: skip


class TorchLoss:
    """A config's weighted sum of terms, the presence's cross-entropy included.

    Raises:
      ValueError: the config asks for a term that is missing here.
    """

    def __init__(
        self,
        config: LossConfig,
        texel_masks: Mapping[int, Bool[np.ndarray, "m m"]],
        device: torch.device,
    ) -> None:
        """Takes the masks of `losses.mask_sizes`."""
        for term, _ in (*config.stage_terms, *config.final_terms):
            if term not in _TERMS:
                raise ValueError(f"--vs torch: knows the losses {list(_TERMS)}, got {term!r}")
        if config.confidence_weight > 0:
            raise ValueError(
                "--vs torch: expected loss.confidence_weight 0, which it does not know"
            )
        self._config = config
        self._masks = {
            size: torch.tensor(np.array(mask), dtype=torch.bool, device=device)
            for size, mask in texel_masks.items()
        }

    def __call__(self, output: TorchOutput, true_uv_map: torch.Tensor) -> torch.Tensor:
        """The loss of a batch, scalar.

        Args:
          output: of the pictures that `true_uv_map` goes with, and of negatives behind them.
        """
        config, num_own = self._config, len(true_uv_map)
        total = true_uv_map.new_zeros(())
        finest_first = reversed(output.stage_uv_maps)
        for uv_map, weight in zip(finest_first, config.stage_weights, strict=False):
            if weight > 0:
                terms = self._sum(config.stage_terms, uv_map[:num_own], true_uv_map)
                total = total + weight * terms
        if config.final_terms:
            total = total + self._sum(config.final_terms, output.uv_map[:num_own], true_uv_map)
        if config.presence_weight > 0:
            own, negatives = output.presence_logit[:num_own], output.presence_logit[num_own:]
            presence = F.softplus(-own).mean() + F.softplus(negatives).mean()
            total = total + config.presence_weight * presence / 2
        return total

    def _sum(self, terms: tuple, uv_map: torch.Tensor, true_uv_map: torch.Tensor) -> torch.Tensor:
        size = uv_map.shape[-1]
        truth, mask = true_uv_map, self._masks[size]
        if truth.shape[-1] != size:
            truth = F.interpolate(truth, (size, size), mode="bilinear", align_corners=True)
        return sum(weight * _TERMS[term](uv_map, truth, mask) for term, weight in terms)

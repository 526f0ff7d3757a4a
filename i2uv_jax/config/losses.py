"""The losses of a run."""

from collections.abc import Callable
from dataclasses import dataclass

from i2uv_jax.config.checks import check

LossTerm = tuple[str | Callable, float]
"""A loss by name (`i2uv_jax.losses.LOSS_TERMS`), dotted path ("package.module:function") or as a
function, and its weight."""


@dataclass(frozen=True)
class LossConfig:
    """Which losses are taken where, and what each weighs.

    To add a loss, write one function (see `i2uv_jax.losses`) and name it here:
    `stage_terms=(("uv_l1", 1.0), ("my_package.losses:uv_laplacian", 0.1))`.
    """

    stage_terms: tuple[LossTerm, ...] = (
        ("uv_l1", 1.0),
        ("uv_gradient", 1.0),
        ("uv_mask", 0.1),
    )
    """Losses on every decoder stage's UV map."""
    stage_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    """Weights of the stages, FINEST first; stages beyond the list weigh nothing."""
    final_terms: tuple[LossTerm, ...] = (("uv_l1", 1.0), ("uv_gradient", 1.0))
    """Losses on the map that the model hands out (SRNet's, else the last stage's once more); only
    here the mesh losses "vertices", "keypoints" and "keypoints_2d" may stand."""
    presence_weight: float = 0.0
    """Weight of the cross-entropy of what the model says about a right hand's presence
    (`AffineNetConfig.presence`); above 0 each step also shows pictures without one."""
    absent_share: float = 0.25
    """How many such pictures go with each batch, as a share of it: mirror images of some of its
    own, which show left hands, and pictures without a hand (`training.negatives`)."""
    confidence_weight: float = 0.0
    """Weight of the negative log-likelihood of each texel's distance from the truth under what the
    model says to expect (`AffineNetConfig.confidence`). It moves that head alone."""

    def __post_init__(self) -> None:
        for name in ("stage_terms", "final_terms"):
            for term in getattr(self, name):
                check(
                    isinstance(term, tuple)
                    and len(term) == 2
                    and (callable(term[0]) or isinstance(term[0], str))
                    and isinstance(term[1], int | float)
                    and term[1] >= 0,
                    name,
                    "pairs of a loss (name or function) and a weight of at least 0",
                    term,
                )
        check(
            all(weight >= 0 for weight in self.stage_weights),
            "stage_weights",
            "weights of at least 0",
            self.stage_weights,
        )
        value = self.presence_weight
        check(value >= 0, "loss.presence_weight", "at least 0", value)
        value = self.confidence_weight
        check(value >= 0, "loss.confidence_weight", "at least 0", value)
        value = self.absent_share
        check(0 < value <= 1, "loss.absent_share", "a share above 0, at most 1", value)

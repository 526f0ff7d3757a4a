"""Whole pictures with several hands, on which detectors are trained."""

from dataclasses import dataclass

from i2uv_jax.config.checks import check, check_share
from i2uv_jax.config.rendering import OcclusionConfig, RenderConfig, SensorConfig


@dataclass(frozen=True)
class SceneConfig:
    """Whole pictures with hands, faces and arms pasted into them. Lengths are in picture sides."""

    hand_weights: tuple[float, ...] = (0.15, 0.45, 0.25, 0.1, 0.05)
    """How often a scene has no hand, one, two, ..., relative to each other."""
    close_share: float = 0.4
    """Share of scenes that are a close view of one hand, as crops of photos are."""
    close_sides: tuple[float, float] = (0.45, 1.25)
    sides: tuple[float, float] = (0.07, 0.6)
    """Shortest and longest side of a hand's box in close views and in the others."""
    touching_share: float = 0.3
    """Hands that stand close to the one before, so that the two overlap."""
    bystander_share: float = 0.5
    """Chance of each of two places that a face, an arm or a blob of skin stands there."""
    bar_share: float = 0.5
    """Share of scenes between grey bars, as pictures that are not square come to the detector."""
    min_visible: float = 0.35
    """Share of a hand that has to be seen for it to count; with less it is doubtful."""
    num_cutouts: int = 1024
    """Hands that are rendered at a time and pasted many times."""
    cutout_size: int = 128
    """Side in pixels of a rendered hand's square, which it fills about two thirds of."""
    num_backgrounds: int = 384
    batches_per_pool: int = 300
    """Batches of scenes after which hands and backgrounds are made anew."""

    def __post_init__(self) -> None:
        check(
            1 < len(self.hand_weights) <= 9
            and all(w >= 0 for w in self.hand_weights)
            and sum(self.hand_weights) > 0,
            "scene.hand_weights",
            "2 to 9 weights of at least 0, not all 0",
            self.hand_weights,
        )
        for name in (
            "close_share",
            "touching_share",
            "bystander_share",
            "bar_share",
            "min_visible",
        ):
            check_share(getattr(self, name), f"scene.{name}")
        for name in ("close_sides", "sides"):
            value = getattr(self, name)
            check(
                len(value) == 2 and 0 < value[0] <= value[1],
                f"scene.{name}",
                "two numbers above 0, the smaller first",
                value,
            )
        for name in ("num_cutouts", "num_backgrounds", "batches_per_pool"):
            check(getattr(self, name) >= 1, f"scene.{name}", "at least 1", getattr(self, name))
        check(
            self.cutout_size >= 32 and self.cutout_size % 4 == 0,
            "scene.cutout_size",
            "a multiple of 4 from 32",
            self.cutout_size,
        )


def scene_hands() -> RenderConfig:
    """Hands as scenes are made of: whole, with room around them, before nothing."""
    return RenderConfig(
        min_fill=0.5,
        max_fill=0.7,
        centre_jitter=0.05,
        upright_share=0.4,
        occlusion=OcclusionConfig(
            front_share=0.05, grasp_share=0.25, limb_share=0.05, truncation_share=0.0
        ),
        sensor=SensorConfig(strength=0.5),
    )

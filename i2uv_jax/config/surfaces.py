"""High-fidelity geometry, and the pairs of UV maps on which SRNet is trained."""

from dataclasses import dataclass, field

from i2uv_jax.config.checks import check


@dataclass(frozen=True)
class DetailConfig:
    """High-fidelity geometry. Strengths scale heights: 1 is an adult's hand, 0 leaves it out."""

    wrinkles: float = 1.0
    """Folds and creases at the fingers' joints."""
    palm_lines: float = 1.0
    tendons: float = 1.0
    veins: float = 1.0
    nails: float = 1.0
    pads: float = 1.0
    variation: float = 1.0
    """How much places and heights differ between people."""
    smoothing_texels: float = 0.6
    """Standard deviation of the Gaussian that smooths the finished map, a scan's too; 0 leaves it
    sharp."""

    def __post_init__(self) -> None:
        for name in (
            "wrinkles", "palm_lines", "tendons", "veins", "nails", "pads", "variation"
        ):  # fmt: skip
            value = getattr(self, name)
            check(0 <= value <= 3, f"detail.{name}", "0 to 3", value)
        value = self.smoothing_texels
        check(value >= 0, "detail.smoothing_texels", "at least 0", value)


@dataclass(frozen=True)
class CoarseErrorConfig:
    """What is wrong with coarse maps that SRNet is to mend; every pair draws up to this much."""

    texels: int | None = None
    """Side of AffineNet's map in texels: coarse maps are made of this size, and resized to SRNet's
    as its are. None makes them of SRNet's size at once."""
    smoothing_texels: float = 2.5
    """Standard deviation of the Gaussian of a fully smoothed map."""
    noise_mm: float = 0.6
    """Standard deviation, along each axis, of errors that neighbouring texels hardly share."""
    noise_texels: float = 1.0
    """Standard deviation of the Gaussian that these errors are smoothed with."""
    drift_mm: float = 2.0
    """Standard deviation of errors that whole regions share."""
    drift_texels: int = 32
    """Width of such a region, in texels of a map of 256."""
    shrinkage: float = 0.03
    """Share of a point's distance from the hand's middle that is lost."""

    def __post_init__(self) -> None:
        for name in ("smoothing_texels", "noise_mm", "noise_texels", "drift_mm"):
            value = getattr(self, name)
            check(value >= 0, f"coarse.{name}", "at least 0", value)
        check(self.texels is None or self.texels >= 2, "coarse.texels", "at least 2", self.texels)
        check(self.drift_texels >= 1, "coarse.drift_texels", "at least 1", self.drift_texels)
        check(0 <= self.shrinkage < 1, "coarse.shrinkage", "a share below 1", self.shrinkage)


@dataclass(frozen=True)
class SurfacePairConfig:
    """Pairs of a coarse and a high-fidelity UV map, on which SRNet is trained by itself.

    Fine maps are generated or, with `data.sets`, those of registered scans; coarse ones the mesh's
    below, spoilt. With `affine` coarse maps are that network's of rendered pictures.
    """

    detail: DetailConfig = field(default_factory=DetailConfig)
    coarse: CoarseErrorConfig = field(default_factory=CoarseErrorConfig)
    affine: str | None = None
    """Take coarse maps from this model's AffineNet (a file, or the name of a shipped one), frozen;
    pictures are as `render` says."""

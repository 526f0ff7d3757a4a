"""Published results on FreiHAND and HO-3D v2, for the tables of reports.

Millimetres after Procrustes alignment; F-scores of the aligned mesh; areas under aligned curves
from 0 to 50 mm. A number that its source does not give is None, and Mesh Graphormer's gives none on
HO-3D. Each row names where it was read.
"""

from dataclasses import dataclass

_WILOR = "comparison tables of WiLoR, arXiv:2409.12259v2"


@dataclass(frozen=True)
class Published:
    """One method's row."""

    method: str
    keypoint_aligned_mm: float
    vertex_aligned_mm: float
    f_aligned_5: float
    f_aligned_15: float
    source: str
    keypoint_aligned_auc: float | None = None
    vertex_aligned_auc: float | None = None


_GRAPHORMER = "the authors' docs/EXP.md (github.com/microsoft/MeshGraphormer)"

PUBLISHED: dict[str, tuple[Published, ...]] = {
    "freihand": (
        Published("I2UV-HandNet (ICCV 2021)", 6.7, 6.9, 0.707, 0.977, _WILOR),
        Published("METRO (CVPR 2021)", 6.5, 6.3, 0.731, 0.984, _WILOR),
        Published("Mesh Graphormer (ICCV 2021)", 5.9, 6.0, 0.764, 0.986, _GRAPHORMER, 0.883, 0.880),
        Published("MobRecon (CVPR 2022)", 5.7, 5.8, 0.784, 0.986, _WILOR),
        Published("HaMeR (CVPR 2024)", 6.0, 5.7, 0.785, 0.990, _WILOR),
        Published("WiLoR (CVPR 2025)", 5.5, 5.1, 0.825, 0.993, _WILOR),
    ),
    "ho3d-v2": (
        Published("I2UV-HandNet (ICCV 2021)", 9.9, 10.1, 0.500, 0.943, _WILOR, 0.804, 0.799),
        Published("METRO (CVPR 2021)", 10.4, 11.1, 0.484, 0.946, _WILOR, 0.792, 0.779),
        Published("MobRecon (CVPR 2022)", 9.2, 9.4, 0.538, 0.957, _WILOR),
        Published("HaMeR (CVPR 2024)", 7.7, 7.9, 0.635, 0.980, _WILOR, 0.846, 0.841),
        Published("WiLoR (CVPR 2025)", 7.5, 7.7, 0.646, 0.983, _WILOR, 0.851, 0.846),
    ),
}

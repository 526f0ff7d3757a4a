"""What devices can do at best: data sheets for some, two measured ceilings for the others.

Dense products without sparsity, at boost clock, as the makers' sheets give them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from i2uv_jax.measuring.timing import time_calls

_MATRIX_SIDE = {"cpu": 1536, "gpu": 8192, "tpu": 8192}
_COPY_BYTES = {"cpu": 1 << 28, "gpu": 1 << 30, "tpu": 1 << 30}


@dataclass(frozen=True)
class Peaks:
    """Of one device."""

    teraflops: dict[str, float]
    """By precision ("float32", "tf32", "bfloat16"), TFLOP/s."""
    gigabytes_per_second: float
    """Of the device's memory."""
    source: str


_V100, _A100, _H100 = (f"NVIDIA {name} Tensor Core GPU data sheet" for name in
                       ("V100", "A100", "H100"))  # fmt: skip
_TPU = "Google Cloud TPU documentation, system architecture, "

TABLE = {
    # By the start of JAX's name of the device; longer names first where one starts another.
    # Volta and Turing have no bfloat16: XLA computes it in float32 there.
    "Tesla V100-PCIE": Peaks({"float32": 14.0, "tf32": 14.0}, 900, _V100),
    "Tesla V100": Peaks({"float32": 15.7, "tf32": 15.7}, 900, _V100),
    "Tesla T4": Peaks({"float32": 8.1, "tf32": 8.1}, 320, "NVIDIA T4 data sheet"),
    "NVIDIA A100-SXM4-80GB": Peaks({"float32": 19.5, "tf32": 156, "bfloat16": 312}, 2039, _A100),
    "NVIDIA A100 80GB PCIe": Peaks({"float32": 19.5, "tf32": 156, "bfloat16": 312}, 1935, _A100),
    "NVIDIA A100": Peaks({"float32": 19.5, "tf32": 156, "bfloat16": 312}, 1555, _A100),
    "NVIDIA H100 PCIe": Peaks({"float32": 51, "tf32": 378, "bfloat16": 756}, 2000, _H100),
    "NVIDIA H100": Peaks({"float32": 67, "tf32": 494, "bfloat16": 989}, 3350, _H100),
    "NVIDIA H200": Peaks(
        {"float32": 67, "tf32": 494, "bfloat16": 989}, 4800, "NVIDIA H200 data sheet"
    ),
    "NVIDIA L4": Peaks({"float32": 30.3, "tf32": 60, "bfloat16": 121}, 300, "NVIDIA L4 data sheet"),
    # Matrix units of TPUs multiply bfloat16; a float32 peak is not published.
    "TPU v4": Peaks({"bfloat16": 275}, 1228, _TPU + "v4"),
    "TPU v5 lite": Peaks({"bfloat16": 197}, 819, _TPU + "v5e"),
    "TPU v5e": Peaks({"bfloat16": 197}, 819, _TPU + "v5e"),
    "TPU v6 lite": Peaks({"bfloat16": 918}, 1640, _TPU + "v6e"),
    "TPU v6e": Peaks({"bfloat16": 918}, 1640, _TPU + "v6e"),
}

WATTS = {
    "Tesla V100-PCIE": 250.0,
    "Tesla V100": 300.0,
    "Tesla T4": 70.0,
    "NVIDIA A100 80GB PCIe": 300.0,
    "NVIDIA A100": 400.0,
    "NVIDIA H100 PCIe": 350.0,
    "NVIDIA H100": 700.0,
    "NVIDIA H200": 700.0,
    "NVIDIA L4": 72.0,
}
"""Rated power by the start of JAX's name of the device, data sheets as above. The makers of TPUs
publish none."""
CPU_CORE_WATTS = 10.0
"""Assumed of a core of a server's CPU and its share of the memory."""


def precision_of(dtype: str, platform: str) -> str:
    """The table's column that products of arrays of this type are computed in by default."""
    if dtype == "float32":
        return {"gpu": "tf32", "tpu": "bfloat16"}.get(platform, "float32")
    return dtype


def peaks_of(device_kind: str, precision: str) -> Peaks | None:
    """The table's entry, if it has one for this device and precision."""
    found = _entry(TABLE, device_kind)
    return found if found is not None and precision in found.teraflops else None


def rated_watts(device_kind: str) -> float | None:
    """What a device draws at most by its maker's sheet; None for those of `WATTS` that lack one."""
    return _entry(WATTS, device_kind)


def _entry(table: Mapping[str, Any], device_kind: str) -> Any | None:
    # "NVIDIA L4" must not stand for an L40.
    names = [n for n in table if device_kind == n or device_kind.startswith((f"{n} ", f"{n}-"))]
    return table[max(names, key=len)] if names else None


def measured_peaks(precision: str, *, num_runs: int = 5) -> Peaks:
    """Ceilings of the first device, the best of a few runs: a matrix product and a copy."""
    platform = jax.devices()[0].platform
    side = _MATRIX_SIDE.get(platform, _MATRIX_SIDE["gpu"])
    matrix = jnp.ones((side, side), "bfloat16" if precision == "bfloat16" else "float32")
    matmul_precision = {"float32": "float32", "tf32": "tensorfloat32"}.get(precision)
    multiply = jax.jit(lambda a: jnp.dot(a, a, precision=matmul_precision))
    product = time_calls(lambda: multiply(matrix), num_runs=num_runs)
    array = jnp.ones(_COPY_BYTES.get(platform, _COPY_BYTES["gpu"]) // 4, jnp.float32)
    add_one = jax.jit(lambda a: a + 1)
    copy = time_calls(lambda: add_one(array), num_runs=num_runs)
    return Peaks(
        {precision: 2 * side**3 / min(product.seconds) / 1e12},
        2 * array.nbytes / min(copy.seconds) / 1e9,
        f"measured here: a product of {side} x {side} matrices, a copy of {array.nbytes >> 20} MiB",
    )

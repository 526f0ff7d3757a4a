"""Every export of a model against the model itself, on the same rendered hands."""

from collections.abc import Callable
from dataclasses import dataclass

from i2uv_jax.config import HandNetConfig
from i2uv_jax.evaluate.rendered_crops import RenderedCrops
from i2uv_jax.evaluate.runtime_agreement import (
    Agreement,
    agreement,
    aligned_keypoint_error_mm,
    predict_crops,
)
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference.export import export_model
from i2uv_jax.inference.runtime_errors import MissingRuntimeError, UnsupportedModelError
from i2uv_jax.inference.runtimes import open_content

_AIM_FLOAT_MM, _AIM_INT8_MM = 0.01, 1.0


@dataclass(frozen=True)
class ExportKind:
    """One way to export a model; `export_model` explains the options."""

    title: str
    file_format: str
    int8: str | None = None

    @property
    def aim_mm(self) -> float:
        """What the mean difference from JAX should stay below."""
        return _AIM_FLOAT_MM if self.int8 is None else _AIM_INT8_MM


EXPORT_KINDS = (
    ExportKind("StableHLO", "stablehlo"),
    ExportKind("ONNX", "onnx"),
    ExportKind("LiteRT", "litert"),
    ExportKind("LiteRT, `--int8`", "litert", "weights"),
    ExportKind("LiteRT, `--int8 convolutions`", "litert", "convolutions"),
)


@dataclass(frozen=True)
class MeasuredExport:
    """A file and how near its hands are to JAX's and to the truth."""

    kind: ExportKind
    num_bytes: int
    batch_size: int | None
    """Of the file's inputs; None is any."""
    agreement: Agreement
    error_mm: float
    """The keypoints' mean distance from the truth, aligned."""


@dataclass(frozen=True)
class ExportBenchmark:
    """All exports that could be made and run here."""

    error_mm: float
    """JAX's own: the keypoints' mean distance from the truth, aligned."""
    exports: list[MeasuredExport]
    left_out: dict[str, str]
    """Why the others are missing, by title."""


def measure_exports(
    config: HandNetConfig,
    variables: dict,
    name: str,
    crops: RenderedCrops,
    calibration: RenderedCrops,
    *,
    on_progress: Callable[[str], None],
) -> ExportBenchmark:
    """Exports in every way and compares. Runtimes that are not installed, or cannot run the model,
    are left out.

    Args:
      name: how the files call the model.
      crops: to compare on.
      calibration: what int8's ranges are taken from.
      on_progress: called with the title of what is being worked on.
    """
    on_progress("JAX")
    expected = predict_crops(config, variables, crops)
    exports, left_out = [], {}
    for kind in EXPORT_KINDS:
        on_progress(kind.title)
        try:
            content = export_model(
                kind.file_format, config, variables, load_hand(), name,
                int8=kind.int8, calibration=calibration.network_inputs,
            )  # fmt: skip
            network, card = open_content(content)
        except (MissingRuntimeError, UnsupportedModelError) as error:
            left_out[kind.title] = str(error)
            continue
        found = predict_crops(config, variables, crops, network)
        batch = card["inputs"][0]["shape"][0]
        exports.append(
            MeasuredExport(
                kind=kind,
                num_bytes=len(content),
                batch_size=batch if isinstance(batch, int) else None,
                agreement=agreement(expected, found, crops),
                error_mm=aligned_keypoint_error_mm(found, crops),
            )
        )
    return ExportBenchmark(aligned_keypoint_error_mm(expected, crops), exports, left_out)

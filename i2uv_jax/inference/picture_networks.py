"""The networks of `PalmDetector`, each of which sees one square picture at a time, on XLA or
LiteRT."""

from functools import cached_property
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from i2uv_jax.config import LandmarkNetConfig, PalmNetConfig
from i2uv_jax.inference.export import FORMAT, IMAGE, with_card
from i2uv_jax.inference.kept_exports import kept_network
from i2uv_jax.inference.one_picture import compile_for_one_picture
from i2uv_jax.inference.predictor import Network
from i2uv_jax.inference.runtime_errors import MissingRuntimeError
from i2uv_jax.models.landmark_net import LandmarkNet, LandmarkNetOutput
from i2uv_jax.models.model_files import LANDMARK_NET, PALM_NET, shipped_file
from i2uv_jax.models.networks import build_network
from i2uv_jax.models.palm_net import PalmNet, PalmNetOutput
from i2uv_jax.models.weights import load_model_file

_NETWORKS = {
    PalmNetConfig: (PalmNet, PalmNetOutput),
    LandmarkNetConfig: (LandmarkNet, LandmarkNetOutput),
}
"""What a config stands for, and what that tells."""


class PictureNetwork(Protocol):
    """Sees one picture at a time; may be called from several threads."""

    image_size: int

    def __call__(self, pixels: UInt8[np.ndarray, "s s 3"]) -> Any:
        """The network's output for a square picture of `image_size`: its own type, of NumPy arrays
        without the batch's axis."""
        ...

    def compile(self) -> None:
        """Compiles ahead of the first call, once."""
        ...


class PictureNetworks(NamedTuple):
    """What `PalmDetector` is made of."""

    palm: PictureNetwork
    """Gives `PalmNetOutput`."""
    landmark: PictureNetwork
    """Gives `LandmarkNetOutput`."""


def load_picture_networks(backend: str) -> PictureNetworks:
    """The shipped networks.

    Args:
      backend: "xla", or "litert", which gets an export (`inference.kept_exports`).

    Raises:
      MissingRuntimeError: LiteRT is not installed.
      UnsupportedModelError: LiteRT cannot compute them.
      ValueError: a file is broken.
    """
    return PictureNetworks(
        _load(PALM_NET, PalmNetConfig, backend), _load(LANDMARK_NET, LandmarkNetConfig, backend)
    )


def _load(
    name: str, config_type: type[PalmNetConfig | LandmarkNetConfig], backend: str
) -> PictureNetwork:
    file = shipped_file(name)
    config, variables, _ = load_model_file(file, config_type)
    if backend == "xla":
        return XlaPictureNetwork(config, variables)
    network = kept_network(backend, [file], lambda: export_picture_network(config, variables))
    return ExportedPictureNetwork(config, network)


class XlaPictureNetwork:
    """A `PictureNetwork` that XLA compiles."""

    def __init__(self, config: PalmNetConfig | LandmarkNetConfig, variables: dict) -> None:
        """
        Args:
          config: the network.
          variables: its Flax variables.
        """
        self.image_size = config.image_size
        self._config = config
        self._variables = variables

    def __call__(self, pixels: UInt8[np.ndarray, "s s 3"]) -> Any:
        output = jax.device_get(self._compiled(self._variables, pixels[None]))
        return jax.tree.map(lambda leaf: leaf[0], output)

    def compile(self) -> None:
        _ = self._compiled

    @cached_property
    def _compiled(self) -> jax.stages.Compiled:
        model = build_network(self._config)

        def answer(variables: dict, pixels: UInt8[Array, "b s s 3"]) -> Any:
            return model.apply(variables, _from_bytes(pixels), train=False)

        return compile_for_one_picture(answer, self._variables, self.image_size)


class ExportedPictureNetwork:
    """A `PictureNetwork` on LiteRT."""

    def __init__(self, config: PalmNetConfig | LandmarkNetConfig, network: Network) -> None:
        """
        Args:
          config: the network.
          network: its export, opened.
        """
        self.image_size = config.image_size
        self._network = network
        _, self._output_type = _NETWORKS[type(config)]

    def __call__(self, pixels: UInt8[np.ndarray, "s s 3"]) -> Any:
        told = self._network(pixels[None])
        return self._output_type(**{name: values[0] for name, values in told.items()})

    def compile(self) -> None:
        """It was when it was opened."""


def export_picture_network(config: PalmNetConfig | LandmarkNetConfig, variables: dict) -> bytes:
    """A LiteRT file that `open_export` reads: one picture to the fields of the network's output.

    Raises:
      MissingRuntimeError: the extra is not installed.
      UnsupportedModelError: LiteRT's converter cannot express the network.
    """
    try:
        from i2uv_jax.inference.litert_graph import litert_model
    except ImportError as error:
        raise MissingRuntimeError("litert", error) from error
    network, _ = _NETWORKS[type(config)]
    model = network(config)  # In operations that every runtime has.
    shape = (1, config.image_size, config.image_size, 3)

    def answer(pixels: UInt8[Array, "1 s s 3"]) -> dict[str, Array]:
        return vars(model.apply(variables, _from_bytes(pixels), train=False))

    program = litert_model(answer, {IMAGE: jax.ShapeDtypeStruct(shape, jnp.uint8)})
    inputs = [{"name": IMAGE, "shape": shape, "dtype": "uint8"}]
    return with_card(program, {"format": FORMAT, "inputs": inputs})


def _from_bytes(pixels: UInt8[Array, "b s s 3"]) -> Array:
    return pixels.astype(jnp.float32) / 255

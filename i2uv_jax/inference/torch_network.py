"""A picture network on PyTorch, from crops to maps as the other runtimes take and give them."""

from collections.abc import Callable

import numpy as np
import torch

from i2uv_jax.config import HandNetConfig
from i2uv_jax.models.torch_hand_net import TorchHandNet

MODES = ("eager", "channels_last", "compiled")


def torch_network(
    config: HandNetConfig, variables: dict, mode: str, precision: str = "float32"
) -> Callable[[np.ndarray], np.ndarray]:
    """uint8 crops to UV maps by PyTorch, on its GPU if it has one.

    Args:
      mode: one of `MODES`; "compiled" is channels_last as well.
      precision: "bfloat16" casts the whole network.

    Raises:
      ValueError: the config has a part that the network for PyTorch lacks, or takes several looks.
    """
    if config.looks > 1:
        raise ValueError(f"--vs torch: expected a model of one look, got one of {config.looks}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    layout = torch.contiguous_format if mode == "eager" else torch.channels_last
    model = TorchHandNet(config, variables, channels_last=mode != "eager")
    model = model.to(device, dtype).eval()
    run = torch.compile(model) if mode == "compiled" else model

    @torch.inference_mode()
    def network(crops: np.ndarray) -> np.ndarray:
        image = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2).to(dtype) / 255
        uv_map = run(image.contiguous(memory_format=layout)).uv_map
        # Fetching it waits for the device.
        return uv_map.permute(0, 2, 3, 1).float().cpu().numpy()

    return network

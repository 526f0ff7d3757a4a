"""The same network written for PyTorch, to time against and to check with: `--vs torch`.

Independent of our layers: PyTorch's own convolutions, batch norm, resizing and sampling, from the
paper's structure. It takes our variables. Needs the extra `bench`.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from flax.traverse_util import flatten_dict
from torch import nn

from i2uv_jax.config import HandNetConfig
from i2uv_jax.models.hand_net import IMAGENET_MEAN, IMAGENET_STD
from i2uv_jax.models.resnet import RESNETS

MODES = ("eager", "channels_last", "compiled")


class TorchHandNet(nn.Module):
    """The published structure, evaluation mode, weights as buffers named as in our variables.

    Raises:
      ValueError: the config has parts of ours that this does not know.
    """

    def __init__(self, config: HandNetConfig, variables: dict) -> None:
        super().__init__()
        affine = config.affine
        has_detail_gain = config.sr is not None and config.sr.detail_gain is not None
        if affine.coarse_to_fine or affine.upsample_last or config.looks > 1 or has_detail_gain:
            raise ValueError(
                "--vs torch: expected a model of the published structure, got one with "
                "coarse_to_fine, upsample_last, several looks or detail_gain"
            )
        self.config = config
        self._spec = RESNETS[affine.encoder]
        for path, value in flatten_dict(variables).items():
            array = np.asarray(value)
            if array.ndim == 4:
                array = np.ascontiguousarray(array.transpose(3, 2, 0, 1))
            self.register_buffer("__".join(path[1:]), torch.tensor(array))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("deviation", torch.tensor(IMAGENET_STD)[:, None, None])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(b, 3, s, s), 0 to 1, to (b, 3, m, m)."""
        skips = self._encoder((image - self.mean) / self.deviation)
        x, uv_map = skips[-1], None
        order = (skips[4], skips[3], skips[2], skips[1], skips[0], None)
        for stage, size in enumerate(self.config.stage_sizes, start=1):
            name = f"affine_net__stage{stage}"
            x = self._conv_norm_relu(_resize(x, size), f"{name}__up")
            skip = order[stage - 1]
            joined = [x, skip]
            if uv_map is not None:
                uv_map = _resize(uv_map, size)
                grid = uv_map[:, :2].permute(0, 2, 3, 1).clamp(0, 1) * 2 - 1
                if stage == 2:
                    joined[0] = _sample(x, grid)
                if skip is not None:
                    joined[1] = _sample(skip, grid)
                if stage >= 4:
                    joined.append(uv_map)
            x = torch.cat([part for part in joined if part is not None], dim=1)
            x = self._conv_norm_relu(x, f"{name}__merge")
            uv_map = self._conv(x, f"{name}__head__conv")
        if self.config.sr is None:
            return uv_map
        coarse = x = _resize(uv_map, self.config.sr.size)
        for layer in range(1, len(self.config.sr.kernels) + 1):
            x = self._conv(x, f"sr_net__conv{layer}")
            x = x if layer == len(self.config.sr.kernels) else F.relu(x)
        return coarse + x if self.config.sr.residual else x

    def _encoder(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Stem, pooled, and the four stages."""
        root = "affine_net__encoder__"
        stem = self._conv(x, f"{root}stem_conv", stride=2)
        x = F.relu(self._norm(stem, f"{root}stem_norm"))
        outputs = [stem, F.max_pool2d(x, 3, stride=2, padding=1)]
        x = outputs[-1]
        for stage, num_blocks in enumerate(self._spec.num_blocks, start=1):
            for block in range(1, num_blocks + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                x = self._block(x, f"{root}stage{stage}_block{block}", stride)
            outputs.append(x)
        return outputs

    def _block(self, x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        strides = (1, stride, 1) if self._spec.bottleneck else (stride, 1)
        shortcut = x
        for layer, step in enumerate(strides, start=1):
            x = self._norm(self._conv(x, f"{name}__conv{layer}", step), f"{name}__norm{layer}")
            x = x if layer == len(strides) else F.relu(x)
        if hasattr(self, f"{name}__downsample_conv__kernel"):
            shortcut = self._conv(shortcut, f"{name}__downsample_conv", stride)
            shortcut = self._norm(shortcut, f"{name}__downsample_norm")
        return F.relu(x + shortcut)

    def _conv(self, x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        kernel = getattr(self, f"{name}__kernel")
        bias = getattr(self, f"{name}__bias", None)
        return F.conv2d(x, kernel, bias, stride, padding=kernel.shape[-1] // 2)

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        values = (getattr(self, f"{name}__{part}") for part in ("mean", "var", "scale", "bias"))
        return F.batch_norm(x, *values, eps=1e-5)

    def _conv_norm_relu(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.relu(self._norm(self._conv(x, f"{name}__conv"), f"{name}__norm"))


def torch_network(
    config: HandNetConfig, variables: dict, mode: str, precision: str = "float32"
) -> Callable[[np.ndarray], np.ndarray]:
    """uint8 crops to UV maps by PyTorch, on its GPU if it has one.

    Args:
      mode: one of `MODES`; "compiled" is channels_last as well.
      precision: "bfloat16" casts the whole network.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    layout = torch.contiguous_format if mode == "eager" else torch.channels_last
    model = TorchHandNet(config, variables).to(device, dtype)
    for buffer in model.buffers():
        if buffer.ndim == 4:
            buffer.data = buffer.data.contiguous(memory_format=layout)
    run = torch.compile(model) if mode == "compiled" else model

    @torch.inference_mode()
    def network(crops: np.ndarray) -> np.ndarray:
        image = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2).to(dtype) / 255
        uv_map = run(image.contiguous(memory_format=layout))
        # Fetching it waits for the device.
        return uv_map.permute(0, 2, 3, 1).float().cpu().numpy()

    return network


def _resize(x: torch.Tensor, size: int) -> torch.Tensor:
    if x.shape[-1] == size:
        return x
    return F.interpolate(x, (size, size), mode="bilinear", align_corners=True)


def _sample(features: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    return F.grid_sample(features, grid, mode="bilinear", align_corners=True)

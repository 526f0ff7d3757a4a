"""The same network written for PyTorch, to time against and to check with: `--vs torch`.

Independent of our layers: PyTorch's own convolutions, batch norm, resizing and sampling, from the
structure that `affine_net.py` and `sr_net.py` describe. It takes our variables. Needs the extra
`bench`.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from flax.traverse_util import flatten_dict
from torch import nn

from i2uv_jax.config import HandNetConfig
from i2uv_jax.geometry.keypoints import NUM_KEYPOINTS
from i2uv_jax.hand.mean_hand import mean_uv_map
from i2uv_jax.hand.skinned_fit import joint_parts
from i2uv_jax.models.hand_net import IMAGENET_MEAN, IMAGENET_STD
from i2uv_jax.models.hand_stage import FIRST_SIZE, KEYPOINT_ENCODER
from i2uv_jax.models.keypoint_encoder import KEYPOINT_FEATURES
from i2uv_jax.models.keypoint_pull import MIN_SHARE, keypoint_tables
from i2uv_jax.models.layers import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM
from i2uv_jax.models.resnet import RESNETS
from i2uv_jax.models.uv_decoder import PULL_FEATURES, PULL_FOLLOWED, PULL_GAIN


class TorchOutput(NamedTuple):
    """As `HandNetOutput`, channels first: maps are (b, 3, m, m)."""

    stage_uv_maps: tuple[torch.Tensor, ...]
    uv_map: torch.Tensor
    presence_logit: torch.Tensor | None


class TorchHandNet(nn.Module):
    """A picture network; its parameters and buffers are named as our variables, "a__b__kernel".

    What a config's `confidence` adds is kept, and not computed.

    Kernels of convolutions are kept as matrices with a row for each output, as PyTorch's Muon takes
    them; with four axes they then lie in the memory format that was asked for.
    """

    def __init__(self, config: HandNetConfig, variables: dict, *, channels_last: bool) -> None:
        """Takes "params" and "batch_stats" of a model of ours.

        Args:
          channels_last: the memory format of pictures that it will be given.

        Raises:
          ValueError: the config has a part that this does not know.
        """
        super().__init__()
        if config.affine is None or (config.sr is not None and config.sr.detail_gain is not None):
            raise ValueError("--vs torch: knows no model without an AffineNet or with detail_gain")
        self.config = config
        self._spec = RESNETS[config.affine.encoder]
        self._channels_last = channels_last
        self._kernel_sizes: dict[str, int] = {}
        for (kind, *path), value in flatten_dict(variables).items():
            name, array = "__".join(path), np.asarray(value)
            if array.ndim == 4:
                self._kernel_sizes[name] = array.shape[0]
                axes = (3, 0, 1, 2) if channels_last else (3, 2, 0, 1)
                array = array.transpose(axes).reshape(array.shape[3], -1)
            tensor = torch.tensor(array)
            if kind == "params":
                self.register_parameter(name, nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("deviation", torch.tensor(IMAGENET_STD)[:, None, None])
        if config.affine.coarse_to_fine:
            mean_hand = mean_uv_map(config.stage_sizes[0])
            self.register_buffer("mean_hand", torch.tensor(np.array(mean_hand)))
        if config.skinned is not None:
            parts = joint_parts(config.stage_sizes[-1], config.skinned)
            for table, values in parts._asdict().items():
                self.register_buffer(f"parts_{table}", torch.tensor(values))
        for size in set(config.stage_sizes) if config.takes_keypoints else ():
            for table, values in zip(("regressor", "nearness"), keypoint_tables(size), strict=True):
                self.register_buffer(f"keypoint_{table}_{size}", torch.tensor(values))

    def forward(self, image: torch.Tensor, keypoints: torch.Tensor | None = None) -> TorchOutput:
        """(b, 3, s, s), 0 to 1, and (b, 21, 3) told keypoints, where the model takes some."""
        affine = self.config.affine
        if affine.takes_keypoints and keypoints is None:
            keypoints = image.new_full((len(image), NUM_KEYPOINTS, 3), torch.nan)
        skips = self._encoder((image - self.mean) / self.deviation)
        x, uv_map, uv_maps, presence_logit = skips[-1], None, [], None
        order = (skips[4], skips[3], skips[2], skips[1], skips[0], None)
        num_done = 0
        if affine.coarse_to_fine:
            x, uv_map, presence_logit = self._hand_stage(x, keypoints)
            x = torch.cat([x, _connect(skips[3], uv_map)], dim=1)
            uv_maps.append(uv_map)
            num_done = 2
        sizes = self.config.stage_sizes[len(uv_maps) :]
        for stage, size in enumerate(sizes, start=num_done + 1):
            name = f"affine_net__stage{stage}"
            if affine.upsample_last:
                x = _resize(self._conv_norm_relu(x, f"{name}__up"), size)
            else:
                x = self._conv_norm_relu(_resize(x, size), f"{name}__up")
            skip = order[stage - 1]
            joined = [x, skip]
            if uv_map is not None:
                uv_map = _resize(uv_map, size)
                if affine.takes_keypoints:
                    pull, known = self._pull(uv_map, keypoints)
                    told = torch.cat([PULL_GAIN * pull, known], dim=1)
                    joined[0] = x = x + self._conv(told.to(x.dtype), f"{name}__{PULL_FEATURES}")
                if stage == 2:
                    joined[0] = _connect(x, uv_map)
                if skip is not None:
                    joined[1] = _connect(skip, uv_map)
                if stage >= 4 or affine.coarse_to_fine:
                    joined.append(uv_map.to(x.dtype))
            x = torch.cat([part for part in joined if part is not None], dim=1)
            x = self._conv_norm_relu(x, f"{name}__merge")
            head = self._conv(x, f"{name}__head__conv").float()
            if affine.takes_keypoints:
                head = head + pull * self._conv(x, f"{name}__{PULL_FOLLOWED}").float()
            uv_map = uv_map + head if affine.coarse_to_fine else head
            uv_maps.append(uv_map)
        return TorchOutput(tuple(uv_maps), self._refine(uv_map), presence_logit)

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

    def _hand_stage(
        self, features: torch.Tensor, keypoints: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Features of texels, the map, the presence: see `hand_stage.HandStage`."""
        root, size = "affine_net__hand_stage__", self.config.stage_sizes[0]
        x = self._dense(features.permute(0, 2, 3, 1).flatten(1), f"{root}dense")
        if self.config.takes_keypoints:
            x = x + self._told(keypoints, f"{root}{KEYPOINT_ENCODER}__")
        x = F.relu(self._norm(x, f"{root}norm"))
        texels = self._dense(x, f"{root}texels").unflatten(1, (size, size, -1)).permute(0, 3, 1, 2)
        x = x.float()
        columns = self._dense(x, f"{root}rotation").float()
        first = F.normalize(columns[:, :3], dim=1)
        second = columns[:, 3:] - (first * columns[:, 3:]).sum(1, keepdim=True) * first
        second = F.normalize(second, dim=1)
        rotation = torch.stack([first, second, torch.linalg.cross(first, second)], dim=2)
        place = self._dense(x, f"{root}place").float() + torch.tensor([0.5, 0.5, 0.0]).to(x)
        scale = FIRST_SIZE * self._dense(x, f"{root}log_scale").float().exp()
        bend = self._dense(x, f"{root}bend").float().unflatten(1, (size * size, 3))
        points = (self.mean_hand.reshape(-1, 3) + bend) @ rotation.transpose(1, 2)
        uv_map = scale[..., None] * points + place[:, None]
        logit = self._dense(x, f"{root}presence")[:, 0] if self.config.affine.presence else None
        return texels, uv_map.unflatten(1, (size, size)).permute(0, 3, 1, 2), logit

    def _pull(
        self, uv_map: torch.Tensor, keypoints: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What told keypoints want of texels: see `keypoint_pull.keypoint_pull`."""
        size = uv_map.shape[-1]
        # Coordinates are float32 whatever the features' precision.
        regressor, nearness = (
            getattr(self, f"keypoint_{name}_{size}").float() for name in ("regressor", "nearness")
        )
        keypoints = keypoints.float()
        is_known = keypoints.isfinite()
        own = regressor @ uv_map.flatten(2).transpose(1, 2)
        move = (keypoints - own).where(is_known, 0)
        known = nearness @ is_known.to(own.dtype)
        pull = nearness @ move / known.clamp(min=MIN_SHARE)
        pull, known = (x.transpose(1, 2).unflatten(2, (size, size)) for x in (pull, known))
        return pull, known

    def _told(self, keypoints: torch.Tensor, root: str) -> torch.Tensor:
        """Features of told keypoints: see `keypoint_encoder.KeypointEncoder`."""
        is_known = keypoints.isfinite()
        centred = 4 * (keypoints - torch.tensor([0.5, 0.5, 0.0]).to(keypoints))
        x = torch.stack([centred.where(is_known, 0), is_known.to(centred.dtype)], dim=-1).flatten(1)
        for layer in ("hidden1", "hidden2"):
            x = F.relu(self._dense(x, f"{root}{layer}"))
        return self._dense(x, f"{root}{KEYPOINT_FEATURES}")

    def _skinned(self, uv_map: torch.Tensor) -> torch.Tensor:
        """`hand.skinned_fit`, its rotations by singular value decompositions (Umeyama 1991)."""
        points = uv_map.flatten(2).transpose(1, 2)
        middle = points.mean(dim=1, keepdim=True)
        place = self.parts_shares @ (points - middle)
        covariance = torch.einsum("jdt,btc->bjcd", self.parts_moments, points - middle)
        u, singular, vt = torch.linalg.svd(covariance)
        signs = torch.ones_like(singular)
        signs[..., 2] = torch.sign(torch.linalg.det(u) * torch.linalg.det(vt))
        scale = (singular * signs).sum(-1) / self.parts_variance
        turn = scale[..., None, None] * ((u * signs[..., None, :]) @ vt)
        places = self.parts_points[:, None] - self.parts_centres
        skinned = torch.einsum("nj,njd,bjcd->bcn", self.parts_skin, places, turn)
        skinned = skinned + torch.einsum("nj,bjc->bcn", self.parts_skin, place)
        size = self.config.skinned
        return (skinned + middle.transpose(1, 2)).unflatten(2, (size, size))

    def _refine(self, uv_map: torch.Tensor) -> torch.Tensor:
        config = self.config.sr
        if self.config.skinned is not None:
            uv_map = self._skinned(uv_map)
        if config is None:
            return uv_map
        uv_map = uv_map.detach() if config.stop_gradient else uv_map
        coarse = _resize(uv_map, config.size)
        x = coarse.to(self.sr_net__conv1__kernel.dtype)
        for layer in range(1, len(config.kernels) + 1):
            x = self._conv(x, f"sr_net__conv{layer}")
            x = x if layer == len(config.kernels) else F.relu(x)
        return coarse + x.float() if config.residual else x.float()

    def _conv(self, x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        kernel = getattr(self, f"{name}__kernel")
        bias = getattr(self, f"{name}__bias", None)
        side = self._kernel_sizes[f"{name}__kernel"]
        if self._channels_last:
            kernel = kernel.unflatten(1, (side, side, -1)).permute(0, 3, 1, 2)
        else:
            kernel = kernel.unflatten(1, (-1, side, side))
        return F.conv2d(x, kernel, bias, stride, padding=side // 2)

    def _dense(self, x: torch.Tensor, name: str) -> torch.Tensor:
        kernel = getattr(self, f"{name}__kernel")
        return torch.addmm(getattr(self, f"{name}__bias"), x.to(kernel.dtype), kernel)

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        values = (getattr(self, f"{name}__{part}") for part in ("mean", "var", "scale", "bias"))
        momentum = 1 - BATCH_NORM_MOMENTUM
        return F.batch_norm(x, *values, self.training, momentum, BATCH_NORM_EPSILON)

    def _conv_norm_relu(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.relu(self._norm(self._conv(x, f"{name}__conv"), f"{name}__norm"))


def _connect(features: torch.Tensor, uv_map: torch.Tensor) -> torch.Tensor:
    """Features at the projections of a map's texels."""
    grid = uv_map[:, :2].permute(0, 2, 3, 1).clamp(0, 1) * 2 - 1
    return F.grid_sample(features, grid.to(features.dtype), mode="bilinear", align_corners=True)


def _resize(x: torch.Tensor, size: int) -> torch.Tensor:
    if x.shape[-1] == size:
        return x
    return F.interpolate(x, (size, size), mode="bilinear", align_corners=True)

"""A trained AffineNet in a wider encoder, which says what the narrow one said and can learn more.

Net2WiderNet (Chen, Goodfellow and Shlens, Net2Net: Accelerating Learning via Knowledge Transfer,
ICLR 2016): every further channel repeats one of the old ones, and whoever reads a repeated channel
reads shares of it that add up to one. The shares are drawn, and differ, so that training takes the
repetitions apart.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Float, Int

from i2uv_jax.config import AffineNetConfig, HandNetConfig
from i2uv_jax.models.resnet import (
    BOTTLENECK_EXPANSION,
    RESNETS,
    STAGE_CHANNELS,
    STEM_CHANNELS,
    scaled_channels,
)

_SHARES = (0.5, 1.5)
"""Range of the shares that readers take of the copies of one channel, before they are divided by
their sum."""


class _Channels(NamedTuple):
    """Where the channels of a feature map come from."""

    source: Int[np.ndarray, " new"]
    """The old channel that each repeats."""
    share: Float[np.ndarray, " new"]
    """What a reader takes of it; those of one source add up to 1."""


def only_wider(old: HandNetConfig, new: HandNetConfig) -> bool:
    """Whether two models differ by the second one's wider encoder, and by nothing in their sizes.

    Looks, precision and the way of computing are free to differ.
    """
    if old.affine is None or new.affine is None or new.affine.width <= old.affine.width:
        return False
    same = replace(
        new,
        affine=replace(new.affine, width=old.affine.width),
        looks=old.looks,
        dtype=old.dtype,
        cpu_paths=old.cpu_paths,
    )
    return same == old


def widened(
    variables: dict[str, Any], old: AffineNetConfig, width: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Variables of a `HandNet` whose encoder is `width` wide, and whose answers are the old ones'.

    Args:
      variables: "params" and "batch_stats" of a `HandNet` with `old`; the decoder and SRNet keep
        their channels.
      rng: draws which channels are repeated, and the shares.
    """
    flat = dict(flatten_dict(variables, sep="/"))
    widening = _Widening(flat, old, width, rng)
    skips = widening.widen_encoder()
    widening.widen_readers(skips)
    return unflatten_dict(flat, sep="/")


class _Widening:
    """One widening in progress: replaces the tensors of `flat`."""

    def __init__(self, flat, old: AffineNetConfig, width: float, rng: np.random.Generator) -> None:
        self.flat, self.old, self.width, self.rng = flat, old, width, rng

    def widen_encoder(self) -> dict[str, _Channels]:
        """The encoder's parameters; returns the channels of each of its feature maps."""
        spec = RESNETS[self.old.encoder]
        expansion = BOTTLENECK_EXPANSION if spec.bottleneck else 1
        num_layers = 3 if spec.bottleneck else 2
        name = "affine_net/encoder"
        skips = {"stem": self._draw(STEM_CHANNELS)}
        self._convolution(f"{name}/stem_conv", _kept(3), skips["stem"])
        self._norm(f"{name}/stem_norm", skips["stem"])
        stream = skips["pooled"] = skips["stem"]
        strides = ("stride4", "stride8", "stride16", "stride32")
        for stage, (channels, num_blocks) in enumerate(
            zip(STAGE_CHANNELS, spec.num_blocks, strict=True), start=1
        ):
            for block in range(1, num_blocks + 1):
                path = f"{name}/stage{stage}_block{block}"
                # A shortcut without a convolution adds channel to channel: they stay in step.
                has_shortcut = f"params/{path}/downsample_conv/kernel" in self.flat
                out = self._draw(channels, expansion) if has_shortcut else stream
                if has_shortcut:
                    self._convolution(f"{path}/downsample_conv", stream, out)
                    self._norm(f"{path}/downsample_norm", out)
                inputs = stream
                for layer in range(1, num_layers + 1):
                    outputs = out if layer == num_layers else self._draw(channels)
                    self._convolution(f"{path}/conv{layer}", inputs, outputs)
                    self._norm(f"{path}/norm{layer}", outputs)
                    inputs = outputs
                stream = out
            skips[strides[stage - 1]] = stream
        return skips

    def widen_readers(self, skips: dict[str, _Channels]) -> None:
        """What the decoder reads of the encoder (see the table in `models.affine_net`)."""
        names = ("stride16", "stride8", "stride4", "pooled", "stem")
        channels = list(self.old.decoder_channels)
        first = 1
        if self.old.coarse_to_fine:
            self._dense("affine_net/hand_stage/dense", skips["stride32"])
            first, features = 3, [_kept(channels[1]), skips["stride8"]]
        else:
            features = [skips["stride32"]]
        for stage in range(first, len(channels) + 1):
            path = f"affine_net/stage{stage}"
            if stage == first:
                self._convolution(f"{path}/up/conv", _joined(*features))
            if stage > len(names):
                break
            joined = [_kept(channels[stage - 1]), skips[names[stage - 1]]]
            if stage >= 4 or self.old.coarse_to_fine:
                joined.append(_kept(3))
            self._convolution(f"{path}/merge/conv", _joined(*joined))

    def _draw(self, channels: int, expansion: int = 1) -> _Channels:
        """The wider feature map's channels: the old ones, then repetitions."""
        old, new = (
            expansion * scaled_channels(channels, width) for width in (self.old.width, self.width)
        )
        source = np.arange(new)
        source[old:] = self.rng.permuted(np.arange(new - old) % old)
        share = self.rng.uniform(*_SHARES, new)
        return _Channels(source, share / np.bincount(source, share)[source])

    def _convolution(self, path: str, inputs: _Channels, outputs: _Channels | None = None) -> None:
        kernel = f"params/{path}/kernel"
        widened = self.flat[kernel][:, :, inputs.source] * inputs.share[:, None]
        self.flat[kernel] = np.float32(widened if outputs is None else widened[..., outputs.source])

    def _dense(self, path: str, inputs: _Channels) -> None:
        """A layer that reads every place of a feature map, channels last."""
        name = f"params/{path}/kernel"
        kernel = self.flat[name]
        old_channels = inputs.source.max() + 1
        by_place = kernel.reshape(-1, old_channels, kernel.shape[-1])
        widened = by_place[:, inputs.source] * inputs.share[:, None]
        self.flat[name] = np.float32(widened.reshape(-1, kernel.shape[-1]))

    def _norm(self, path: str, channels: _Channels) -> None:
        for name in (f"params/{path}/scale", f"params/{path}/bias"):
            self.flat[name] = self.flat[name][channels.source]
        for name in (f"batch_stats/{path}/mean", f"batch_stats/{path}/var"):
            self.flat[name] = self.flat[name][channels.source]


def _kept(channels: int) -> _Channels:
    return _Channels(np.arange(channels), np.ones(channels))


def _joined(*parts: _Channels) -> _Channels:
    """Of feature maps concatenated in this order."""
    starts = np.cumsum([0, *(part.source.max() + 1 for part in parts)])[:-1]
    return _Channels(
        np.concatenate([start + part.source for start, part in zip(starts, parts, strict=True)]),
        np.concatenate([part.share for part in parts]),
    )

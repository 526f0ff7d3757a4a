"""The networks: what AffineNet, SRNet and the detectors are made of."""

from dataclasses import dataclass, field

from i2uv_jax.config.checks import check, check_picture_size

ENCODER_NAMES = ("resnet18", "resnet34", "resnet50")
DTYPE_NAMES = ("float32", "bfloat16")
CPU_PATHS_MODES = ("auto", "on", "off")
STAGE_STRIDES = (16, 8, 4, 4, 2, 1)
"""Image pixels per texel at each decoder stage of AffineNet, coarsest first."""


@dataclass(frozen=True)
class AffineNetConfig:
    """The encoder and decoder that turn a picture into a coarse UV position map."""

    encoder: str = "resnet50"
    """One of `ENCODER_NAMES`."""
    width: float = 1.0
    """Multiplies every channel count of the encoder (rounded to a multiple of 8)."""
    decoder_channels: tuple[int, ...] = (512, 256, 128, 64, 32, 16)
    """Channels per decoder stage, coarsest first. Fewer than six stages leave out the finest: five
    give a map of half the image's size, four a quarter."""
    upsample_last: bool = False
    """Let each stage convolve before it upsamples: a quarter of that convolution's work, for small
    models on CPUs. Off is the published network."""
    coarse_to_fine: bool = False
    """Let a fully connected stage lay a bent and turned mean hand into the picture, and every later
    head correct the upsampled map before it: for small networks that learn from scratch. It stands
    in for stages 1 and 2, whose channels are its hidden units and what it tells each texel. Off is
    the published network, whose heads each predict their whole map."""
    presence: bool = False
    """With `coarse_to_fine`: tell of each picture, too, how likely it shows a right hand. To be
    trained with `LossConfig.presence_weight`."""
    takes_keypoints: bool = False
    """With `coarse_to_fine`: let another network's keypoints help, where there are any
    (`models.keypoint_encoder`, `models.keypoint_pull`). To be trained with
    `DataConfig.told_share`."""
    confidence: bool = False
    """With `coarse_to_fine`: tell of each texel of the finest map, too, how far from the truth it
    is to be expected. To be trained with `LossConfig.confidence_weight`."""

    def __post_init__(self) -> None:
        check(self.encoder in ENCODER_NAMES, "encoder", f"one of {ENCODER_NAMES}", self.encoder)
        check(0 < self.width <= 4, "width", "a number in (0, 4]", self.width)
        channels = self.decoder_channels
        check(
            2 <= len(channels) <= len(STAGE_STRIDES) and all(c >= 1 for c in channels),
            "decoder_channels",
            f"2 to {len(STAGE_STRIDES)} positive integers",
            channels,
        )
        check(
            len(channels) >= 3 or not self.coarse_to_fine,
            "decoder_channels",
            "at least 3 integers with coarse_to_fine",
            channels,
        )
        for name in ("presence", "takes_keypoints", "confidence"):
            value = getattr(self, name)
            check(self.coarse_to_fine or not value, name, "false without coarse_to_fine", value)


@dataclass(frozen=True)
class SRNetConfig:
    """The super-resolution network that refines the coarse UV map (SRCNN as published)."""

    channels: tuple[int, ...] = (64, 32)
    """Channels of the hidden convolutions."""
    kernels: tuple[int, ...] = (9, 5, 5)
    """Odd kernel sizes, one per convolution; the last convolution gives the map."""
    residual: bool = False
    """Predict a correction of the coarse map (starting at zero) instead of the map itself."""
    detail_gain: float | None = None
    """With `residual`: show the convolutions the map's difference from its mean over 5 x 5 texels,
    so many times enlarged, and take their correction so many times smaller. They then need not
    cancel coordinates a hundred times the errors that they mend. None shows the map."""
    texel_features: int | None = None
    """With `detail_gain`: work in each texel's own frame (along u, across, along the normal) and in
    sizes of the hand, show the convolutions so many learned values of each texel besides, and add
    their correction to one learned for each texel. None works in the map's frame, and knows no
    places."""
    size: int = 256
    """Side of the map that comes out; the coarse map is resized to it, corner-aligned."""
    stop_gradient: bool = True
    """Keep SRNet's loss from reaching AffineNet: the two are trained apart, as published."""

    def __post_init__(self) -> None:
        check(
            len(self.kernels) == len(self.channels) + 1,
            "kernels",
            f"{len(self.channels) + 1} values (one more than channels)",
            self.kernels,
        )
        check(all(k % 2 == 1 and k > 0 for k in self.kernels), "kernels", "odd", self.kernels)
        check(all(c >= 1 for c in self.channels), "channels", "positive", self.channels)
        check(self.size >= 2, "size", "at least 2", self.size)
        check(
            self.detail_gain is None or (self.residual and self.detail_gain > 0),
            "detail_gain",
            "above 0 with residual, or none",
            self.detail_gain,
        )
        check(
            self.texel_features is None
            or (self.detail_gain is not None and self.texel_features >= 0),
            "texel_features",
            "at least 0 with detail_gain, or none",
            self.texel_features,
        )


@dataclass(frozen=True)
class HandNetConfig:
    """A whole model: AffineNet and, if given, SRNet on its map."""

    affine: AffineNetConfig | None = field(default_factory=AffineNetConfig)
    """None leaves SRNet alone, which takes coarse UV maps instead of pictures: to be trained on
    pairs (`SurfacePairConfig`) and joined with an AffineNet (`i2uv join`)."""
    sr: SRNetConfig | None = field(default_factory=SRNetConfig)
    image_size: int = 256
    """Side of the square picture in pixels; a multiple of 32."""
    dtype: str = "float32"
    """Precision of the computation; parameters and outputs are float32 in any case."""
    looks: int = 1
    """How often each picture is looked at: every time but the first as a close-up of the hand that
    the look before it found, upright and filling the crop (`models.looks`). For models trained
    mostly on such (`RenderConfig.closeup_share`)."""
    skinned: int | None = None
    """Put the surface of the mean hand in place of AffineNet's finest map, posed after it joint by
    joint (`hand.skinned_fit`): smooth, and joined at the chart's seams. The side of that map in
    texels; None leaves the map as it is. For the default hand's chart alone."""
    cpu_paths: str = "auto"
    """Whether to use formulations that are faster under XLA on CPUs (same parameters, same
    results): "on", "off", or "auto" for on exactly when JAX's default backend is the CPU."""

    def __post_init__(self) -> None:
        check(self.affine is not None or self.sr is not None, "sr", "a network", self.sr)
        check(
            self.image_size >= 32 and self.image_size % 32 == 0,
            "image_size",
            "a positive multiple of 32",
            self.image_size,
        )
        check(
            self.skinned is None or (self.skinned >= 2 and self.affine is not None),
            "skinned",
            "at least 2, with an AffineNet, or none",
            self.skinned,
        )
        check(self.looks >= 1, "looks", "at least 1", self.looks)
        check(self.dtype in DTYPE_NAMES, "dtype", f"one of {DTYPE_NAMES}", self.dtype)
        check(
            self.cpu_paths in CPU_PATHS_MODES,
            "cpu_paths",
            f"one of {CPU_PATHS_MODES}",
            self.cpu_paths,
        )

    @property
    def tells_presence(self) -> bool:
        """Whether the model says of each picture if it shows a right hand."""
        return self.affine is not None and self.affine.presence

    @property
    def takes_keypoints(self) -> bool:
        """Whether the model can be told keypoints beside a picture."""
        return self.affine is not None and self.affine.takes_keypoints

    @property
    def tells_confidence(self) -> bool:
        """Whether the model says of each texel how far from the truth it is to be expected."""
        return self.affine is not None and self.affine.confidence

    @property
    def crop_size(self) -> int:
        """Side in pixels of the crops that the model is asked about: close-ups need more than
        what one look takes in."""
        return self.image_size if self.looks == 1 else 2 * self.image_size

    @property
    def input_size(self) -> int:
        """Side of what goes in: the picture, or the coarse UV map of an SRNet alone."""
        return self.sr.size if self.affine is None else self.image_size

    @property
    def stage_sizes(self) -> tuple[int, ...]:
        """Side of each decoder stage's UV map in texels, coarsest first."""
        if self.affine is None:
            return ()
        strides = STAGE_STRIDES[: len(self.affine.decoder_channels)]
        if self.affine.coarse_to_fine:
            strides = (strides[2], *strides[2:])
        return tuple(self.image_size // stride for stride in strides)

    @property
    def uv_map_size(self) -> int:
        """Side of the UV map that the model hands out, in texels."""
        return self.sr.size if self.sr is not None else self.coarse_size

    @property
    def coarse_size(self) -> int:
        """Side of the UV map that SRNet is given, in texels."""
        return self.stage_sizes[-1] if self.skinned is None else self.skinned


@dataclass(frozen=True)
class DetectorConfig:
    """The network that finds hands in whole pictures."""

    image_size: int = 192
    """Side of the square picture in pixels; a multiple of 32."""
    channels: tuple[int, ...] = (16, 24, 40, 72, 112)
    """Channels at strides 2, 4, 8, 16 and 32."""
    dtype: str = "float32"
    """Precision of the computation; parameters and outputs are float32 in any case."""

    def __post_init__(self) -> None:
        check_picture_size(self.image_size)
        check(
            len(self.channels) == 5 and all(c >= 1 for c in self.channels),
            "channels",
            "five positive integers",
            self.channels,
        )
        check(self.dtype in DTYPE_NAMES, "dtype", f"one of {DTYPE_NAMES}", self.dtype)

    @property
    def input_size(self) -> int:
        """Side of what goes in."""
        return self.image_size


@dataclass(frozen=True)
class PalmNetConfig:
    """The network that finds palms in whole pictures; the defaults are MediaPipe's."""

    image_size: int = 192
    """Side of the square picture in pixels; a multiple of 32."""
    channels: tuple[int, ...] = (32, 64, 128, 256, 256)
    """Channels at strides 2, 4, 8, 16 and 32."""
    num_blocks: int = 4
    """Blocks at each stride, after the one that halves the sides."""

    def __post_init__(self) -> None:
        check_picture_size(self.image_size)
        check(
            len(self.channels) == 5
            and all(1 <= a <= b for a, b in zip(self.channels, self.channels[1:], strict=False)),
            "channels",
            "five positive integers, none below the one before",
            self.channels,
        )
        check(self.num_blocks >= 1, "num_blocks", "at least 1", self.num_blocks)

    @property
    def input_size(self) -> int:
        """Side of what goes in."""
        return self.image_size


@dataclass(frozen=True)
class LandmarkNetConfig:
    """The network that finds the keypoints of one hand; the defaults are MediaPipe's."""

    image_size: int = 224
    """Side of the square picture in pixels; a multiple of 32."""
    channels: tuple[int, ...] = (24, 16, 24, 40, 80, 112, 192)
    """Channels after the first convolution and after each of the six stages of blocks, of which
    all but the first and the fifth halve the sides."""

    def __post_init__(self) -> None:
        check_picture_size(self.image_size)
        check(
            len(self.channels) == 7 and all(c >= 1 for c in self.channels),
            "channels",
            "seven positive integers",
            self.channels,
        )

    @property
    def input_size(self) -> int:
        """Side of what goes in."""
        return self.image_size

"""Every default value of the package, as frozen (hashable) dataclasses.

A config names a model or a run completely: it is stored in checkpoints as JSON and is passed to
jitted functions as a static argument. Each class checks its own values when it is made and raises
a ValueError that names the field, what was expected and what came. Nothing here imports JAX or the
rest of the package.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

ENCODER_NAMES = ("resnet18", "resnet34", "resnet50")
DTYPE_NAMES = ("float32", "bfloat16")
CPU_PATHS_MODES = ("auto", "on", "off")
OPTIMIZER_NAMES = ("adam", "adamw", "lamb", "muon")
BAD_STEP_MODES = ("stop", "skip")

STAGE_STRIDES = (16, 8, 4, 4, 2, 1)
"""Image pixels per texel at each decoder stage of AffineNet, coarsest first."""


def _check(condition: bool, name: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {got!r}")


def _check_picture_size(value: int) -> None:
    """Of whole pictures that hands are looked for in."""
    _check(value >= 64 and value % 32 == 0, "image_size", "a multiple of 32 from 64", value)


def _check_share(value: float, name: str) -> None:
    _check(0 <= value <= 1, name, "a share from 0 to 1", value)


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
        _check(self.encoder in ENCODER_NAMES, "encoder", f"one of {ENCODER_NAMES}", self.encoder)
        _check(0 < self.width <= 4, "width", "a number in (0, 4]", self.width)
        channels = self.decoder_channels
        _check(
            2 <= len(channels) <= len(STAGE_STRIDES) and all(c >= 1 for c in channels),
            "decoder_channels",
            f"2 to {len(STAGE_STRIDES)} positive integers",
            channels,
        )
        _check(
            len(channels) >= 3 or not self.coarse_to_fine,
            "decoder_channels",
            "at least 3 integers with coarse_to_fine",
            channels,
        )
        for name in ("presence", "takes_keypoints", "confidence"):
            value = getattr(self, name)
            _check(self.coarse_to_fine or not value, name, "false without coarse_to_fine", value)


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
    size: int = 256
    """Side of the map that comes out; the coarse map is resized to it, corner-aligned."""
    stop_gradient: bool = True
    """Keep SRNet's loss from reaching AffineNet: the two are trained apart, as published."""

    def __post_init__(self) -> None:
        _check(
            len(self.kernels) == len(self.channels) + 1,
            "kernels",
            f"{len(self.channels) + 1} values (one more than channels)",
            self.kernels,
        )
        _check(all(k % 2 == 1 and k > 0 for k in self.kernels), "kernels", "odd", self.kernels)
        _check(all(c >= 1 for c in self.channels), "channels", "positive", self.channels)
        _check(self.size >= 2, "size", "at least 2", self.size)
        _check(
            self.detail_gain is None or (self.residual and self.detail_gain > 0),
            "detail_gain",
            "above 0 with residual, or none",
            self.detail_gain,
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
    cpu_paths: str = "auto"
    """Whether to use formulations that are faster under XLA on CPUs (same parameters, same
    results): "on", "off", or "auto" for on exactly when JAX's default backend is the CPU."""

    def __post_init__(self) -> None:
        _check(self.affine is not None or self.sr is not None, "sr", "a network", self.sr)
        _check(
            self.image_size >= 32 and self.image_size % 32 == 0,
            "image_size",
            "a positive multiple of 32",
            self.image_size,
        )
        _check(self.looks >= 1, "looks", "at least 1", self.looks)
        _check(self.dtype in DTYPE_NAMES, "dtype", f"one of {DTYPE_NAMES}", self.dtype)
        _check(
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
        return self.sr.size if self.sr is not None else self.stage_sizes[-1]


LossTerm = tuple[str | Callable, float]
"""A loss by name (`i2uv_jax.losses.LOSS_TERMS`), dotted path ("package.module:function") or as a
function, and its weight."""


@dataclass(frozen=True)
class LossConfig:
    """Which losses are taken where, and what each weighs.

    To add a loss, write one function (see `i2uv_jax.losses`) and name it here:
    `stage_terms=(("uv_l1", 1.0), ("my_package.losses:uv_laplacian", 0.1))`.
    """

    stage_terms: tuple[LossTerm, ...] = (
        ("uv_l1", 1.0),
        ("uv_gradient", 1.0),
        ("uv_mask", 0.1),
    )
    """Losses on every decoder stage's UV map."""
    stage_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    """Weights of the stages, FINEST first; stages beyond the list weigh nothing."""
    final_terms: tuple[LossTerm, ...] = (("uv_l1", 1.0), ("uv_gradient", 1.0))
    """Losses on the map that the model hands out (SRNet's, else the last stage's once more); only
    here the mesh losses "vertices", "keypoints" and "keypoints_2d" may stand."""
    presence_weight: float = 0.0
    """Weight of the cross-entropy of what the model says about a right hand's presence
    (`AffineNetConfig.presence`); above 0 each step also shows pictures without one."""
    absent_share: float = 0.25
    """How many such pictures go with each batch, as a share of it: mirror images of some of its
    own, which show left hands, and pictures without a hand (`training.negatives`)."""
    confidence_weight: float = 0.0
    """Weight of the negative log-likelihood of each texel's distance from the truth under what the
    model says to expect (`AffineNetConfig.confidence`). It moves that head alone."""

    def __post_init__(self) -> None:
        for name in ("stage_terms", "final_terms"):
            for term in getattr(self, name):
                _check(
                    isinstance(term, tuple)
                    and len(term) == 2
                    and (callable(term[0]) or isinstance(term[0], str))
                    and isinstance(term[1], int | float)
                    and term[1] >= 0,
                    name,
                    "pairs of a loss (name or function) and a weight of at least 0",
                    term,
                )
        _check(
            all(weight >= 0 for weight in self.stage_weights),
            "stage_weights",
            "weights of at least 0",
            self.stage_weights,
        )
        value = self.presence_weight
        _check(value >= 0, "loss.presence_weight", "at least 0", value)
        value = self.confidence_weight
        _check(value >= 0, "loss.confidence_weight", "at least 0", value)
        value = self.absent_share
        _check(0 < value <= 1, "loss.absent_share", "a share above 0, at most 1", value)


@dataclass(frozen=True)
class BackgroundConfig:
    """What stands behind the hand."""

    clutter: float = 1.0
    """How busy drawn backgrounds are: scales the contrast of their textures and the chance of each
    thing in them. 0: one plain colour."""
    skin_share: float = 0.25
    """Share of things in drawn backgrounds that have a skin's colour, like faces and arms."""
    people_share: float = 0.25
    """Share of backgrounds, drawn ones and pictures alike, before which a drawn face or bare arm
    stands: people hold their hands before themselves."""
    defocus: float = 0.02
    """Standard deviation of the largest blur by depth of field, in crop sides."""
    folder: str | None = None
    """Folder of the user's own pictures to put behind hands; none draws every background."""
    folder_share: float = 0.7
    """Share of backgrounds that come from the folder, where there is one."""
    folder_limit: int = 512
    """Most pictures of the folder that are used: the first by name, each kept in memory."""
    folder_size: int = 192
    """Side in pixels to which the folder's pictures are shrunk."""

    def __post_init__(self) -> None:
        for name in ("skin_share", "people_share", "folder_share"):
            _check_share(getattr(self, name), f"render.background.{name}")
        for name in ("clutter", "defocus"):
            value = getattr(self, name)
            _check(0 <= value <= 1, f"render.background.{name}", "0 to 1", value)
        _check(
            self.folder_limit >= 1,
            "render.background.folder_limit",
            "at least 1",
            self.folder_limit,
        )
        _check(
            self.folder_size >= 16, "render.background.folder_size", "at least 16", self.folder_size
        )


@dataclass(frozen=True)
class OcclusionConfig:
    """What hides parts of the hand, as shares of all pictures; 0 leaves the kind out."""

    front_share: float = 0.2
    """A thing between camera and hand."""
    grasp_share: float = 0.35
    """A thing in the hand, where its pose leaves room for one: can, ball, pen, phone."""
    limb_share: float = 0.1
    """Fingers of another hand before this one."""
    truncation_share: float = 0.15
    """The crop cuts a part of the hand off."""

    def __post_init__(self) -> None:
        for name in ("front_share", "grasp_share", "limb_share", "truncation_share"):
            _check_share(getattr(self, name), f"render.occlusion.{name}")


@dataclass(frozen=True)
class SensorConfig:
    """What the camera does to a picture. Lengths are in crop sides."""

    strength: float = 1.0
    """Scales every width, level, spread and share below; 0: a perfect camera."""
    motion_share: float = 0.2
    motion_length: float = 0.05
    """Longest path of a point while the shutter is open."""
    defocus: float = 0.014
    """Standard deviation of the widest lens blur."""
    coarse_share: float = 0.4
    coarseness: float = 2.0
    """Most picture pixels per pixel of the sensor: hands that are small in their photo."""
    noise: float = 0.035
    """Largest standard deviation of noise at mid grey."""
    exposure: float = 0.18
    """Standard deviation of the logarithm of the exposure."""
    tint: float = 0.7
    """How wrong white balance and colours are."""
    contrast: float = 0.15
    """Standard deviation of the logarithms of contrast and gamma. On average contrast is raised by
    0.7 of it."""
    vignetting: float = 0.35
    """Share of light that the darkest corner can lose."""
    sharpening: float = 1.0
    """Most that a camera adds to a pixel of its difference from those around it (unsharp mask)."""
    jpeg_share: float = 0.5
    jpeg_quality: tuple[float, float] = (25.0, 95.0)
    """Worst and best quality on libjpeg's scale."""
    jpeg_halve_chroma: bool = True
    spectrum_share: float = 0.1
    """Share of pictures whose low frequencies get the amplitudes of another background (Fourier
    domain adaptation)."""
    spectrum_cycles: int = 2
    """Highest frequency so changed, in cycles per crop side."""

    def __post_init__(self) -> None:
        for name in ("motion_share", "coarse_share", "jpeg_share", "spectrum_share"):
            _check_share(getattr(self, name), f"render.sensor.{name}")
        for name in (
            "strength", "motion_length", "defocus", "noise", "exposure", "tint", "contrast",
            "vignetting", "sharpening", "spectrum_cycles",
        ):  # fmt: skip
            value = getattr(self, name)
            _check(value >= 0, f"render.sensor.{name}", "at least 0", value)
        _check(self.coarseness >= 1, "render.sensor.coarseness", "at least 1", self.coarseness)
        _check(
            len(self.jpeg_quality) == 2
            and 1 <= self.jpeg_quality[0] <= self.jpeg_quality[1] <= 100,
            "render.sensor.jpeg_quality",
            "two numbers from 1 to 100, the lower first",
            self.jpeg_quality,
        )


@dataclass(frozen=True)
class SkinConfig:
    """What skin looks like. With all strengths and shares 0: plain skin, one tone with
    slight waves."""

    detail: float = 1.0
    """Strength of drawn skin: pale palms, nails, creases, veins, flushed and freckled places."""
    relief: float = 1.0
    """Height of creases and pores, which catch the light."""
    variation: float = 1.0
    """How far skins are shifted in tone, hue, contrast and saturation."""
    folder: str | None = None
    """Folder of photographic skins: square body textures in MakeHuman's UV space; none draws every
    skin."""
    photo_share: float = 0.6
    """Share of hands whose skin comes from the folder, where there is one."""
    texture_size: int = 256
    """Side in texels of the hand's part of each skin texture."""

    def __post_init__(self) -> None:
        for name in ("detail", "relief", "variation"):
            value = getattr(self, name)
            _check(0 <= value <= 2, f"render.skin.{name}", "0 to 2", value)
        _check_share(self.photo_share, "render.skin.photo_share")
        value = self.texture_size
        _check(
            32 <= value <= 1024 and value % 2 == 0,
            "render.skin.texture_size",
            "an even number from 32 to 1024",
            value,
        )


@dataclass(frozen=True)
class LightConfig:
    """What lights hands. With all strengths 0: plain light, one lamp and a gradient."""

    environment: float = 1.0
    """How much the surroundings' light differs between directions."""
    shadows: float = 1.0
    """Darkness of the shadows that parts of the hand cast on others."""
    occlusion: float = 1.0
    """How much surroundings' light misses in hollows and between fingers."""
    subsurface: float = 1.0
    """How far light, red most of all, spreads under the skin."""
    gloss: float = 1.0
    """Strength of reflections on the skin."""
    exposure: float = 0.45
    """Standard deviation of the exposure's error in stops."""

    def __post_init__(self) -> None:
        for name in ("environment", "shadows", "occlusion"):
            value = getattr(self, name)
            _check(0 <= value <= 1, f"render.light.{name}", "0 to 1", value)
        for name in ("subsurface", "gloss", "exposure"):
            value = getattr(self, name)
            _check(0 <= value <= 2, f"render.light.{name}", "0 to 2", value)


@dataclass(frozen=True)
class ForearmConfig:
    """Forearms and what is worn, as shares of all hands."""

    share: float = 0.95
    """Hands that are shown with a forearm; the others end at the wrist."""
    sleeve_share: float = 0.5
    ring_share: float = 0.15
    band_share: float = 0.2
    """Something around the wrist: a watch or a bracelet."""

    def __post_init__(self) -> None:
        for name in ("share", "sleeve_share", "ring_share", "band_share"):
            _check_share(getattr(self, name), f"render.forearm.{name}")


@dataclass(frozen=True)
class RenderConfig:
    """What the renderer draws. Training sets both sizes from its model."""

    image_size: int = 128
    """Side of the square picture in pixels."""
    uv_map_size: int = 128
    """Side of the UV position map in texels."""
    supersampling: int = 2
    """Samples per pixel along each side: 1 is fastest and shows jagged outlines."""
    min_fill: float = 0.4
    max_fill: float = 0.95
    """The longer side of the hand's bounding box, in crop sides."""
    centre_jitter: float = 0.1
    """How far the box's centre may lie from the crop's along each axis, in crop sides."""
    max_slant: float = 0.35
    """Tangent of the largest angle between the optical axis and the hand, along each axis."""
    tilt_degrees: float | None = 25.0
    """Standard deviation of the angle by which fingers or forearm point at the camera: in people's
    photos the hand mostly lies along the picture plane. All turns about the forearm are equally
    likely. None: all directions of view are."""
    free_view_share: float = 0.15
    """Share of hands that are seen from any direction whatever, pointing at the camera included."""
    upright_share: float = 0.0
    """Share of hands whose palm points up in the picture, give or take `roll_jitter`; the others
    are turned in the plane by any angle."""
    roll_jitter: float = 0.5
    """How uncertain up is for upright hands: see `render.view.roll_upright`."""
    closeup_share: float = 0.0
    """Share of pictures that show the hand as a second look does, upright and filling the crop
    (`render.framing`). For models that look more than once (`HandNetConfig.looks`)."""
    skin: SkinConfig = field(default_factory=SkinConfig)
    light: LightConfig = field(default_factory=LightConfig)
    forearm: ForearmConfig = field(default_factory=ForearmConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    occlusion: OcclusionConfig = field(default_factory=OcclusionConfig)
    sensor: SensorConfig = field(default_factory=SensorConfig)

    def __post_init__(self) -> None:
        for name in ("image_size", "uv_map_size"):
            _check(getattr(self, name) >= 2, f"render.{name}", "at least 2", getattr(self, name))
        _check(1 <= self.supersampling <= 4, "render.supersampling", "1 to 4", self.supersampling)
        _check(
            0 < self.min_fill <= self.max_fill,
            "render.min_fill",
            "above 0 and at most render.max_fill",
            self.min_fill,
        )
        _check(
            self.tilt_degrees is None or self.tilt_degrees >= 0,
            "render.tilt_degrees",
            "at least 0, or none",
            self.tilt_degrees,
        )
        for name in ("upright_share", "closeup_share", "free_view_share"):
            _check_share(getattr(self, name), f"render.{name}")
        for name in ("centre_jitter", "max_slant", "roll_jitter"):
            _check(getattr(self, name) >= 0, f"render.{name}", "at least 0", getattr(self, name))


def plain_looks(config: RenderConfig) -> RenderConfig:
    """A config's poses, views, occluders, rooms and sensor, with the plainest of hands alone.

    For quick runs: this compiles and draws far sooner than realistic hands do.
    """
    return replace(
        config,
        skin=replace(config.skin, detail=0.0, relief=0.0, variation=0.0, folder=None),
        light=replace(
            config.light, environment=0.0, shadows=0.0, occlusion=0.0, subsurface=0.0, gloss=0.0,
            exposure=0.0,
        ),
        forearm=replace(
            config.forearm, share=1.0, sleeve_share=0.0, ring_share=0.0, band_share=0.0
        ),
        background=replace(config.background, people_share=0.0),
    )  # fmt: skip


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
            _check(0 <= value <= 3, f"detail.{name}", "0 to 3", value)
        value = self.smoothing_texels
        _check(value >= 0, "detail.smoothing_texels", "at least 0", value)


@dataclass(frozen=True)
class CoarseErrorConfig:
    """What is wrong with coarse maps that SRNet is to mend; every pair draws up to this much."""

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
            _check(value >= 0, f"coarse.{name}", "at least 0", value)
        _check(self.drift_texels >= 1, "coarse.drift_texels", "at least 1", self.drift_texels)
        _check(0 <= self.shrinkage < 1, "coarse.shrinkage", "a share below 1", self.shrinkage)


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


@dataclass(frozen=True)
class DataConfig:
    """Where training batches come from."""

    reuse: int = 1
    """How often each generated picture is trained on, every time turned, scaled, shifted and
    coloured anew; more than 1 pays where generating costs about as much as a step."""
    sets: tuple[tuple[str, float], ...] = ()
    """Stored sets to train on instead of pictures rendered on the device: pairs of a folder (see
    `i2uv data build`) and its weight in the mix; none renders. The evaluation is the first set's
    split of that name or, where it has none, its last samples. An SRNet alone takes folders of
    registered scans, or sets built of them."""
    workers: int = 2
    """Processes that decode stored pictures beside each training process; 0 uses threads."""
    turn_degrees: float | None = None
    """Standard deviation of the turn by which stored pictures, and pairs for SRNet, are varied;
    none is any angle."""
    variation: float = 1.0
    """Scales how much size, place and colours of stored pictures are varied; 0 leaves them."""
    told_share: float = 0.7
    """Share of pictures whose keypoints a model that takes some (`AffineNetConfig.takes_keypoints`)
    is told in training, with the errors of `data.told_keypoints`."""

    def __post_init__(self) -> None:
        _check(self.reuse >= 1, "data.reuse", "at least 1", self.reuse)
        _check(0 <= self.told_share <= 1, "data.told_share", "0 to 1", self.told_share)
        for pair in self.sets:
            _check(
                len(pair) == 2 and bool(pair[0]) and pair[1] > 0,
                "data.sets",
                "pairs of a folder and a weight above 0 (DIR:1)",
                pair,
            )
        _check(
            self.reuse == 1 or not self.sets,
            "data.reuse",
            "1 with data.sets, which are varied in any case",
            self.reuse,
        )
        _check(0 <= self.workers <= 256, "data.workers", "0 to 256", self.workers)
        _check(
            self.turn_degrees is None or self.turn_degrees >= 0,
            "data.turn_degrees",
            "at least 0, or none",
            self.turn_degrees,
        )
        _check(0 <= self.variation <= 2, "data.variation", "0 to 2", self.variation)


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser and its learning rate: linear warm-up, then a cosine to the end of the run."""

    algorithm: str = "adam"
    """One of `OPTIMIZER_NAMES`."""
    peak_learning_rate: float = 1e-3
    end_learning_rate: float = 0.0
    warmup_steps: int = 0
    weight_decay: float = 0.0
    """Decoupled decay of kernels (not of biases and norms); not with "adam"."""
    adam_share: float = 0.1
    """Learning rate, as a share of the run's, of what "muon" leaves to Adam: everything but the
    convolutions that a norm follows."""
    clip_norm: float | None = None
    """Largest global norm of the gradient; none leaves it as it is."""
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check(
            self.algorithm in OPTIMIZER_NAMES,
            "optim.algorithm",
            f"one of {OPTIMIZER_NAMES}",
            self.algorithm,
        )
        for name in ("peak_learning_rate", "epsilon", "adam_share"):
            _check(getattr(self, name) > 0, f"optim.{name}", "above 0", getattr(self, name))
        for name in ("end_learning_rate", "warmup_steps", "weight_decay"):
            _check(getattr(self, name) >= 0, f"optim.{name}", "at least 0", getattr(self, name))
        for name in ("beta1", "beta2"):
            _check(0 <= getattr(self, name) < 1, f"optim.{name}", "in [0, 1)", getattr(self, name))
        _check(
            self.clip_norm is None or self.clip_norm > 0,
            "optim.clip_norm",
            "above 0 or none",
            self.clip_norm,
        )
        _check(
            self.weight_decay == 0 or self.algorithm != "adam",
            "optim.weight_decay",
            "0 for optim.algorithm adam",
            self.weight_decay,
        )


@dataclass(frozen=True)
class TrainConfig:
    """Length, batch and bookkeeping of a run. All `every_*` values count steps."""

    num_steps: int = 1000
    batch_size: int = 32
    """Pictures per step over all devices."""
    seed: int = 0
    """Decides the initial parameters and every picture of the run."""
    init_from: str | None = None
    """Start from the weights of this model, a file or the name of a shipped one, instead of random
    ones. Its shapes must be those of this config's model, but for an encoder that may be narrower
    and is then widened (`models.widening`), and for `affine.presence`, which it may lack and then
    starts undecided; the optimiser starts anew."""
    num_devices: int | None = None
    """How many devices share each batch; none takes all of all processes."""
    fsdp: int = 1
    """Split parameters and optimiser state over groups of this many devices, which have to divide
    the run's; 1 keeps a whole copy on each."""
    microbatches: int = 1
    """Work through each batch in this many pieces within a step, which divides the memory that
    activations take; see `i2uv_jax.training.gradient` for what that means to batch norm."""
    rematerialise: bool = False
    """Compute activations within the network's blocks anew for the gradient instead of keeping
    them: about a third more work for a fraction of the memory."""
    bad_steps: str = "stop"
    """What to do at a step whose loss or gradient is not finite or whose loss is above `max_loss`:
    "stop" the run, or "skip" the update and go on (several such steps in a row still stop it)."""
    max_loss: float | None = 1e4
    """A larger loss counts as exploded; none lets it grow."""
    ema_decay: float | None = None
    """Keep an exponential moving average of the weights, to be evaluated and exported."""
    max_minutes: float | None = None
    """Stop cleanly (saved, resumable) after this much wall clock, whatever the step."""
    log_every: int = 20
    picture_every: int = 500
    evaluate_every: int = 500
    save_every: int = 500
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        counts = ("num_steps", "batch_size", "log_every", "picture_every", "evaluate_every")
        for name in (*counts, "save_every", "keep_checkpoints", "fsdp", "microbatches"):
            _check(getattr(self, name) >= 1, f"train.{name}", "at least 1", getattr(self, name))
        for name in ("num_devices", "max_minutes", "max_loss"):
            value = getattr(self, name)
            _check(value is None or value > 0, f"train.{name}", "above 0 or none", value)
        _check(
            self.ema_decay is None or 0 <= self.ema_decay < 1,
            "train.ema_decay",
            "in [0, 1) or none",
            self.ema_decay,
        )
        _check(
            self.bad_steps in BAD_STEP_MODES,
            "train.bad_steps",
            f"one of {BAD_STEP_MODES}",
            self.bad_steps,
        )
        _check(
            self.batch_size % self.microbatches == 0,
            "train.microbatches",
            f"a divisor of train.batch_size ({self.batch_size})",
            self.microbatches,
        )


@dataclass(frozen=True)
class EvaluationConfig:
    """The fixed set of unseen pictures that a run is measured on."""

    num_images: int = 256
    """Rounded up to whole training batches."""
    seed: int = 1_000_003
    """Key of rendered ones; it never meets a training key, which derives from `train.seed`."""

    def __post_init__(self) -> None:
        _check(self.num_images >= 1, "evaluation.num_images", "at least 1", self.num_images)


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
        _check_picture_size(self.image_size)
        _check(
            len(self.channels) == 5 and all(c >= 1 for c in self.channels),
            "channels",
            "five positive integers",
            self.channels,
        )
        _check(self.dtype in DTYPE_NAMES, "dtype", f"one of {DTYPE_NAMES}", self.dtype)

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
        _check_picture_size(self.image_size)
        _check(
            len(self.channels) == 5
            and all(1 <= a <= b for a, b in zip(self.channels, self.channels[1:], strict=False)),
            "channels",
            "five positive integers, none below the one before",
            self.channels,
        )
        _check(self.num_blocks >= 1, "num_blocks", "at least 1", self.num_blocks)

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
        _check_picture_size(self.image_size)
        _check(
            len(self.channels) == 7 and all(c >= 1 for c in self.channels),
            "channels",
            "seven positive integers",
            self.channels,
        )

    @property
    def input_size(self) -> int:
        """Side of what goes in."""
        return self.image_size


@dataclass(frozen=True)
class SceneConfig:
    """Whole pictures with hands, faces and arms pasted into them. Lengths are in picture sides."""

    hand_weights: tuple[float, ...] = (0.15, 0.45, 0.25, 0.1, 0.05)
    """How often a scene has no hand, one, two, ..., relative to each other."""
    close_share: float = 0.4
    """Share of scenes that are a close view of one hand, as crops of photos are."""
    close_sides: tuple[float, float] = (0.45, 1.25)
    sides: tuple[float, float] = (0.07, 0.6)
    """Shortest and longest side of a hand's box in close views and in the others."""
    touching_share: float = 0.3
    """Hands that stand close to the one before, so that the two overlap."""
    bystander_share: float = 0.5
    """Chance of each of two places that a face, an arm or a blob of skin stands there."""
    bar_share: float = 0.5
    """Share of scenes between grey bars, as pictures that are not square come to the detector."""
    min_visible: float = 0.35
    """Share of a hand that has to be seen for it to count; with less it is doubtful."""
    num_cutouts: int = 1024
    """Hands that are rendered at a time and pasted many times."""
    cutout_size: int = 128
    """Side in pixels of a rendered hand's square, which it fills about two thirds of."""
    num_backgrounds: int = 384
    batches_per_pool: int = 300
    """Batches of scenes after which hands and backgrounds are made anew."""

    def __post_init__(self) -> None:
        _check(
            1 < len(self.hand_weights) <= 9
            and all(w >= 0 for w in self.hand_weights)
            and sum(self.hand_weights) > 0,
            "scene.hand_weights",
            "2 to 9 weights of at least 0, not all 0",
            self.hand_weights,
        )
        for name in (
            "close_share",
            "touching_share",
            "bystander_share",
            "bar_share",
            "min_visible",
        ):
            _check_share(getattr(self, name), f"scene.{name}")
        for name in ("close_sides", "sides"):
            value = getattr(self, name)
            _check(
                len(value) == 2 and 0 < value[0] <= value[1],
                f"scene.{name}",
                "two numbers above 0, the smaller first",
                value,
            )
        for name in ("num_cutouts", "num_backgrounds", "batches_per_pool"):
            _check(getattr(self, name) >= 1, f"scene.{name}", "at least 1", getattr(self, name))
        _check(
            self.cutout_size >= 32 and self.cutout_size % 4 == 0,
            "scene.cutout_size",
            "a multiple of 4 from 32",
            self.cutout_size,
        )


def _check_run(name: str, optim: OptimConfig, train: TrainConfig) -> None:
    _check(
        bool(name) and all(c.isalnum() or c in "-_." for c in name),
        "name",
        "letters, digits, '-', '_' and '.'",
        name,
    )
    _check(
        optim.warmup_steps < train.num_steps,
        "optim.warmup_steps",
        f"below train.num_steps ({train.num_steps})",
        optim.warmup_steps,
    )


@dataclass(frozen=True)
class ExperimentConfig:
    """A whole training run: `i2uv train` builds everything from this value."""

    name: str
    """Name of the run's folder and of the model it exports."""
    model: HandNetConfig = field(default_factory=HandNetConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    render: RenderConfig = field(default_factory=RenderConfig)
    data: DataConfig = field(default_factory=DataConfig)
    surface_pairs: SurfacePairConfig = field(default_factory=SurfacePairConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        _check_run(self.name, self.optim, self.train)
        _check(
            self.loss.presence_weight == 0 or self.model.tells_presence,
            "loss.presence_weight",
            "0 without model.affine.presence",
            self.loss.presence_weight,
        )
        _check(
            self.loss.confidence_weight == 0 or self.model.tells_confidence,
            "loss.confidence_weight",
            "0 without model.affine.confidence",
            self.loss.confidence_weight,
        )


def scene_hands() -> RenderConfig:
    """Hands as scenes are made of: whole, with room around them, before nothing."""
    return RenderConfig(
        min_fill=0.5,
        max_fill=0.7,
        centre_jitter=0.05,
        upright_share=0.4,
        occlusion=OcclusionConfig(
            front_share=0.05, grasp_share=0.25, limb_share=0.05, truncation_share=0.0
        ),
        sensor=SensorConfig(strength=0.5),
    )


@dataclass(frozen=True)
class DetectorExperimentConfig:
    """A whole training run of a detector."""

    name: str
    """Name of the run's folder and of the model it exports."""
    model: DetectorConfig = field(default_factory=DetectorConfig)
    scene: SceneConfig = field(default_factory=SceneConfig)
    render: RenderConfig = field(default_factory=scene_hands)
    """The hands, the backgrounds, and the camera that takes the scenes."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        _check_run(self.name, self.optim, self.train)


AnyExperimentConfig = ExperimentConfig | DetectorExperimentConfig
"""What `i2uv train` takes."""

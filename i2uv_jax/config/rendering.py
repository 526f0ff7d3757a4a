"""The generator of training pictures."""

from dataclasses import dataclass, field, replace

from i2uv_jax.config.checks import check, check_share


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
    """Most pictures of the folder that are used: evenly over the list, each kept in memory."""
    folder_size: int = 192
    """Side in pixels to which the folder's pictures are shrunk."""

    def __post_init__(self) -> None:
        for name in ("skin_share", "people_share", "folder_share"):
            check_share(getattr(self, name), f"render.background.{name}")
        for name in ("clutter", "defocus"):
            value = getattr(self, name)
            check(0 <= value <= 1, f"render.background.{name}", "0 to 1", value)
        check(
            self.folder_limit >= 1,
            "render.background.folder_limit",
            "at least 1",
            self.folder_limit,
        )
        check(
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
            check_share(getattr(self, name), f"render.occlusion.{name}")


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
            check_share(getattr(self, name), f"render.sensor.{name}")
        for name in (
            "strength", "motion_length", "defocus", "noise", "exposure", "tint", "contrast",
            "vignetting", "sharpening", "spectrum_cycles",
        ):  # fmt: skip
            value = getattr(self, name)
            check(value >= 0, f"render.sensor.{name}", "at least 0", value)
        check(self.coarseness >= 1, "render.sensor.coarseness", "at least 1", self.coarseness)
        check(
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
            check(0 <= value <= 2, f"render.skin.{name}", "0 to 2", value)
        check_share(self.photo_share, "render.skin.photo_share")
        value = self.texture_size
        check(
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
            check(0 <= value <= 1, f"render.light.{name}", "0 to 1", value)
        for name in ("subsurface", "gloss", "exposure"):
            value = getattr(self, name)
            check(0 <= value <= 2, f"render.light.{name}", "0 to 2", value)


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
            check_share(getattr(self, name), f"render.forearm.{name}")


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
            check(getattr(self, name) >= 2, f"render.{name}", "at least 2", getattr(self, name))
        check(1 <= self.supersampling <= 4, "render.supersampling", "1 to 4", self.supersampling)
        check(
            0 < self.min_fill <= self.max_fill,
            "render.min_fill",
            "above 0 and at most render.max_fill",
            self.min_fill,
        )
        check(
            self.tilt_degrees is None or self.tilt_degrees >= 0,
            "render.tilt_degrees",
            "at least 0, or none",
            self.tilt_degrees,
        )
        for name in ("upright_share", "closeup_share", "free_view_share"):
            check_share(getattr(self, name), f"render.{name}")
        for name in ("centre_jitter", "max_slant", "roll_jitter"):
            check(getattr(self, name) >= 0, f"render.{name}", "at least 0", getattr(self, name))


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

"""How a run learns: its data, optimiser, length and evaluation."""

from dataclasses import dataclass

from i2uv_jax.config.checks import check

OPTIMIZER_NAMES = ("adam", "adamw", "lamb", "muon")
BAD_STEP_MODES = ("stop", "skip")


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
    is told in training, of those in which the hand landmark network sees the hand, with more or
    less of its errors (`data.told_keypoints`)."""

    def __post_init__(self) -> None:
        check(self.reuse >= 1, "data.reuse", "at least 1", self.reuse)
        check(0 <= self.told_share <= 1, "data.told_share", "0 to 1", self.told_share)
        for pair in self.sets:
            check(
                len(pair) == 2 and bool(pair[0]) and pair[1] > 0,
                "data.sets",
                "pairs of a folder and a weight above 0 (DIR:1)",
                pair,
            )
        check(
            self.reuse == 1 or not self.sets,
            "data.reuse",
            "1 with data.sets, which are varied in any case",
            self.reuse,
        )
        check(0 <= self.workers <= 256, "data.workers", "0 to 256", self.workers)
        check(
            self.turn_degrees is None or self.turn_degrees >= 0,
            "data.turn_degrees",
            "at least 0, or none",
            self.turn_degrees,
        )
        check(0 <= self.variation <= 2, "data.variation", "0 to 2", self.variation)


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser and its learning rate: linear warm-up, then a cosine to the end of the run."""

    algorithm: str = "adam"
    """One of `OPTIMIZER_NAMES`."""
    peak_learning_rate: float = 1e-3
    end_learning_rate: float = 0.0
    warmup_steps: int = 0
    weight_decay: float = 0.0
    """Decoupled decay of kernels (not of biases and norms); not with "adam". With "muon" of the
    convolutions that Muon moves, of nothing that it leaves to Adam."""
    adam_share: float = 0.1
    """Learning rate, as a share of the run's, of what "muon" leaves to Adam: everything but the
    convolutions that a norm follows."""
    clip_norm: float | None = None
    """Largest global norm of the gradient; none leaves it as it is."""
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    """What Adam adds to the denominator, and Muon to the norm by which it divides."""

    def __post_init__(self) -> None:
        check(
            self.algorithm in OPTIMIZER_NAMES,
            "optim.algorithm",
            f"one of {OPTIMIZER_NAMES}",
            self.algorithm,
        )
        for name in ("peak_learning_rate", "epsilon", "adam_share"):
            check(getattr(self, name) > 0, f"optim.{name}", "above 0", getattr(self, name))
        for name in ("end_learning_rate", "warmup_steps", "weight_decay"):
            check(getattr(self, name) >= 0, f"optim.{name}", "at least 0", getattr(self, name))
        for name in ("beta1", "beta2"):
            check(0 <= getattr(self, name) < 1, f"optim.{name}", "in [0, 1)", getattr(self, name))
        check(
            self.clip_norm is None or self.clip_norm > 0,
            "optim.clip_norm",
            "above 0 or none",
            self.clip_norm,
        )
        check(
            self.weight_decay == 0 or self.algorithm != "adam",
            "optim.weight_decay",
            "0 for optim.algorithm adam",
            self.weight_decay,
        )


@dataclass(frozen=True)
class TrainConfig:
    """Length, batch and bookkeeping of a run. All `*_every` values count steps."""

    num_steps: int = 1000
    batch_size: int = 32
    """Pictures per step over all devices."""
    seed: int = 0
    """Decides the initial parameters and every picture of the run."""
    init_from: str | None = None
    """Start from the weights of this model, a file or the name of a shipped one, instead of random
    ones. Its shapes must be those of this config's model, but for an encoder that may be narrower
    and is then widened (`models.widening`), and for `affine.presence`, `affine.takes_keypoints` and
    `affine.confidence`, which it may lack: then it starts undecided about the first, deaf to
    keypoints and equally confident everywhere. The optimiser starts anew."""
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
            check(getattr(self, name) >= 1, f"train.{name}", "at least 1", getattr(self, name))
        for name in ("num_devices", "max_minutes", "max_loss"):
            value = getattr(self, name)
            check(value is None or value > 0, f"train.{name}", "above 0 or none", value)
        check(
            self.ema_decay is None or 0 <= self.ema_decay < 1,
            "train.ema_decay",
            "in [0, 1) or none",
            self.ema_decay,
        )
        check(
            self.bad_steps in BAD_STEP_MODES,
            "train.bad_steps",
            f"one of {BAD_STEP_MODES}",
            self.bad_steps,
        )
        check(
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
    """Of rendered ones, which are no training pictures whatever `train.seed` is."""

    def __post_init__(self) -> None:
        check(self.num_images >= 1, "evaluation.num_images", "at least 1", self.num_images)

"""A config's training step in PyTorch, eager and channels last: `i2uv bench train --vs torch`.

The same network, loss, clipping, optimiser and average of the weights, in PyTorch's own operations
on the same pictures. Muon is `torch.optim.Muon`, which multiplies its matrices in bfloat16; Adam is
the fused one.
"""

import time
from collections.abc import Sequence

import jax
import numpy as np
import torch
from flax.traverse_util import flatten_dict
from jaxtyping import Array, Float
from optax.contrib import MuonDimensionNumbers
from torch.optim.swa_utils import get_ema_multi_avg_fn

from i2uv_jax.config import ExperimentConfig, OptimConfig
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.losses import mask_sizes
from i2uv_jax.models.torch_hand_net import TorchHandNet
from i2uv_jax.training.optimizer import learning_rate_schedule, muon_dimensions
from i2uv_jax.training.program import TrainingProgram
from i2uv_jax.training.state import TrainState
from i2uv_jax.training.torch_loss import TorchLoss

_NUM_WARM_UP = 2


class TorchTrainStep:
    """Steps of a network for PyTorch, on its GPU if it has one.

    Raises:
      ValueError: the config has a part that is missing here.
    """

    def __init__(self, program: TrainingProgram, state: TrainState, *, num_steps: int) -> None:
        """Starts from the parameters of a state; takes so many steps at most."""
        config = program.config
        _check(config, program.mesh.size)
        sizes = mask_sizes(config.loss, config.model.stage_sizes, config.model.uv_map_size)
        masks = {size: build_tables(program.source.atlas, size).texel_mask for size in sizes}
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._loss = TorchLoss(config.loss, masks, self._device)
        variables = jax.device_get(state.variables)
        self.network = TorchHandNet(config.model, variables, channels_last=True)
        self.network.to(self._device).train()
        self._optimizers = _optimizers(config.optim, self.network, variables["params"])
        schedule = learning_rate_schedule(config.optim, config.train.num_steps)
        self._learning_rates = iter(np.asarray(schedule(np.arange(num_steps))).tolist())
        self._clip_norm = config.optim.clip_norm
        self._is_bfloat16 = config.model.dtype == "bfloat16"
        self._average, self._update_average = None, None
        if config.train.ema_decay is not None:
            self._average = [leaf.detach().clone() for leaf in self._leaves()]
            self._update_average = get_ema_multi_avg_fn(config.train.ema_decay)

    def to_device(self, array: Float[Array, "b ..."]) -> torch.Tensor:
        """What steps take: pictures and maps channels first (in memory last), all else as it is."""
        tensor = torch.tensor(np.array(array), device=self._device)
        if tensor.ndim == 4:
            return tensor.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        return tensor

    def __call__(self, inputs: Sequence[torch.Tensor], true_uv_map: torch.Tensor) -> float:
        """Takes a step and waits for it; returns the loss before it.

        Args:
          inputs: the network's, as the program's `Task.network_inputs` gives them.
        """
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._is_bfloat16):
            output = self.network(*inputs)
        loss = self._loss(output, true_uv_map)
        loss.backward()
        if self._clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._clip_norm)
        learning_rate = next(self._learning_rates)
        for optimizer, share in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = share * learning_rate
            optimizer.step()
            optimizer.zero_grad()
        if self._average is not None:
            with torch.no_grad():
                self._update_average(self._average, self._leaves(), None)
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return loss.item()

    def _leaves(self) -> list[torch.Tensor]:
        return [*self.network.parameters(), *self.network.buffers()]


def measure_torch_steps(program: TrainingProgram, *, num_steps: int) -> tuple[float, ...]:
    """Seconds of each step after two that warm up, without its batch: all take the same one.

    Raises:
      ValueError: the config has a part that is missing here.
    """
    step = TorchTrainStep(program, program.first_state(), num_steps=_NUM_WARM_UP + num_steps)
    batch = program.source.training_batch(0)
    inputs = [step.to_device(array) for array in program.task.network_inputs(batch)]
    true_uv_map = step.to_device(batch.uv_map)
    seconds = []
    for _ in range(_NUM_WARM_UP + num_steps):
        start = time.perf_counter()
        step(inputs, true_uv_map)
        seconds.append(time.perf_counter() - start)
    return tuple(seconds[_NUM_WARM_UP:])


def _check(config: ExperimentConfig, num_devices: int) -> None:
    train = config.train
    for name, value, expected in (
        ("devices", num_devices, 1),
        ("train.microbatches", train.microbatches, 1),
        ("train.rematerialise", train.rematerialise, False),
    ):
        if value != expected:
            raise ValueError(f"--vs torch: {name}: expected {expected}, got {value}")
    if config.optim.algorithm == "lamb":
        raise ValueError("--vs torch: optim.algorithm: PyTorch has no lamb")


def _optimizers(
    config: OptimConfig, network: TorchHandNet, params: dict
) -> list[tuple[torch.optim.Optimizer, float]]:
    """Optimisers and their shares of the learning rate."""
    named = dict(network.named_parameters())
    by_muon = set()
    if config.algorithm == "muon":
        dimensions = flatten_dict(muon_dimensions(params))
        by_muon = {
            "__".join(path)
            for path, found in dimensions.items()
            if isinstance(found, MuonDimensionNumbers)
        }
    adam = {"betas": (config.beta1, config.beta2), "eps": config.epsilon, "fused": True}
    rest = {name: param for name, param in named.items() if name not in by_muon}
    if config.algorithm == "adamw":
        groups = [
            {"params": [p for p in rest.values() if p.ndim > 1],
             "weight_decay": config.weight_decay},
            {"params": [p for p in rest.values() if p.ndim == 1], "weight_decay": 0.0},
        ]  # fmt: skip
        return [(torch.optim.AdamW(groups, **adam), 1.0)]
    if config.algorithm == "adam":
        return [(torch.optim.Adam(rest.values(), **adam), 1.0)]
    matrices = [named[name] for name in sorted(by_muon)]
    return [
        (torch.optim.Muon(matrices, weight_decay=config.weight_decay), 1.0),
        (torch.optim.Adam(rest.values(), **adam), config.adam_share),
    ]

"""A step in PyTorch is a step of ours: the same loss, the same weights after it."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from i2uv_jax.config import AffineNetConfig, HandNetConfig, LossConfig, SRNetConfig
from i2uv_jax.config_io import with_overrides
from i2uv_jax.training.program import build_program

torch = pytest.importorskip("torch", reason="needs the extra `bench`")

COARSE_TO_FINE = HandNetConfig(
    AffineNetConfig(
        "resnet18",
        0.125,
        (16, 4, 8, 8),
        coarse_to_fine=True,
        upsample_last=True,
        presence=True,
        takes_keypoints=True,
    ),
    SRNetConfig((4,), (3, 3), residual=True, size=16),
    image_size=32,
)
ALL_TERMS = (("uv_l1", 3.0), ("uv_aligned", 4.0), ("uv_gradient", 1.0), ("uv_mask", 0.1))


@pytest.fixture
def program_of(sheet_config, sheet_source):
    def build(*overrides, **parts):
        config = with_overrides(replace(sheet_config, **parts), overrides)
        return build_program(config, sheet_source(config))

    return build


def both_steps(program):
    """(loss, parameters by name, and how they were before) by PyTorch and by JAX."""
    from i2uv_jax.training.torch_step import TorchTrainStep

    state = program.first_state()
    batch = program.source.training_batch(0)
    if program.config.model.takes_keypoints:
        told = jax.random.uniform(jax.random.key(1), batch.keypoints.shape)
        batch = batch.replace(told_keypoints=told.at[0, 3:5].set(np.nan))
    before = flatten_dict(jax.device_get(state.params), sep="__")
    step = TorchTrainStep(program, state, num_steps=1)
    inputs = [step.to_device(array) for array in program.task.network_inputs(batch)]
    their_loss = step(inputs, step.to_device(batch.uv_map))
    theirs = dict(step.network.named_parameters())
    state, metrics = program.train_step(state, batch)
    ours = flatten_dict(jax.device_get(state.params), sep="__")
    return (their_loss, theirs), (float(metrics["loss/total"]), ours), before


def as_ours(tensor, shape):
    array = tensor.detach().numpy()
    if len(shape) == 4:
        return array.reshape(shape[3], *shape[:3]).transpose(1, 2, 3, 0)
    return array


@pytest.mark.parametrize("algorithm", ["adam", "adamw"])
def test_one_step_of_the_published_structure(program_of, algorithm):
    program = program_of(f"optim.algorithm={algorithm}")
    (their_loss, theirs), (loss, ours), before = both_steps(program)
    assert their_loss == pytest.approx(loss, rel=1e-4)
    assert theirs.keys() == ours.keys()
    for name, values in ours.items():
        np.testing.assert_allclose(
            as_ours(theirs[name], values.shape), values, atol=2e-4, err_msg=name
        )
    # Steps are up to 1e-2.
    assert max(np.abs(ours[name] - before[name]).max() for name in ours) > 3e-3


def test_one_step_of_coarse_to_fine_with_negatives_and_all_losses(program_of):
    program = program_of(
        model=COARSE_TO_FINE,
        loss=LossConfig(
            stage_terms=ALL_TERMS, final_terms=ALL_TERMS, presence_weight=0.2, absent_share=0.5
        ),
    )
    (their_loss, theirs), (loss, ours), _ = both_steps(program)
    assert their_loss == pytest.approx(loss, rel=1e-4)
    for name, values in ours.items():
        np.testing.assert_allclose(
            as_ours(theirs[name], values.shape), values, atol=3e-4, err_msg=name
        )


def test_muon_takes_the_same_kernels_about_as_far(program_of):
    # Its products are of bfloat16: five iterations agree in direction, not in the third digit.
    program = program_of("optim.algorithm=muon", "optim.warmup_steps=0")
    (_, theirs), (_, ours), before = both_steps(program)
    name = "affine_net__encoder__stage2_block1__conv1__kernel"
    moved = [
        (values - before[name]).ravel()
        for values in (as_ours(theirs[name], before[name].shape), ours[name])
    ]
    lengths = [np.linalg.norm(values) for values in moved]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.1)
    assert np.dot(*moved) / np.prod(lengths) > 0.95


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.microbatches=2"], "train.microbatches: expected 1, got 2"),
        (["train.rematerialise=true"], "train.rematerialise: expected False"),
        (["train.num_devices=2"], "devices: expected 1, got 2"),
        (["loss.final_terms=vertices:1"], "got 'vertices'"),
        (
            [
                "model.affine.decoder_channels=16,8,8",
                "model.affine.coarse_to_fine=true",
                "model.affine.confidence=true",
                "loss.confidence_weight=1",
            ],
            "expected loss.confidence_weight 0",
        ),
    ],
)
def test_what_it_lacks_is_one_line(program_of, overrides, message):
    from i2uv_jax.training.torch_step import measure_torch_steps

    with pytest.raises(ValueError, match=f"--vs torch: .*{message}"):
        measure_torch_steps(program_of(*overrides), num_steps=1)

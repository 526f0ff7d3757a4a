"""What the devices of a run tell each other in one training step."""

from dataclasses import replace

import jax

from i2uv_jax.config import DataConfig, ExperimentConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.measuring.collectives import Collective, collectives
from i2uv_jax.training.program import abstract_state, build_program


def step_collectives(
    config: ExperimentConfig, source: BatchSource | None = None
) -> tuple[Collective, ...]:
    """What one training step sends between the config's devices, as compiled; nothing is run.

    Args:
      source: of batches like the config's; the renderer unless given.

    Raises:
      ValueError: config and machine do not go together.
    """
    # Where pictures come from does not matter to the step, and only rendered ones can be traced.
    config = replace(config, data=DataConfig())
    program = build_program(config, source)
    batch = jax.eval_shape(lambda: program.source.training_batch(0))
    compiled = program.train_step.lower(abstract_state(config), batch).compile()
    return collectives(compiled.as_text(), program.mesh.size)

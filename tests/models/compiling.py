"""Quick compilation for tests: deep networks take longer to compile than to run."""

import functools

import jax

INIT_KEY = jax.random.key(0, impl="rbg")
"""Drawing a network's parameters with the default generator takes five times longer to compile."""

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

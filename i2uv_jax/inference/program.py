"""The pure function from crops to geometry, whole and in its two halves.

    network   uint8 crops of right hands to UV maps: normalisation, AffineNet, SRNet
    mesh      UV maps to vertices and keypoints, on the picture and in the hand's own size
    whole     both, with left hands mirrored on their way in and out

Models that take keypoints (`HandNetConfig.takes_keypoints`) are given some beside each crop.

All run as one compiled program, so that nothing between a crop's bytes and its mesh visits the
host; other runtimes take the network alone. What comes before the crop, resampling a photo of any
size, stays on the host: inside the program every size of photo would be a compilation of its own.

`variables` are folded (`models.folding`). No output has an input's shape and type, so donating
the inputs would free nothing, and JAX warns if asked to.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float, UInt8

from i2uv_jax.config import HandNetConfig
from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.geometry.camera import mirrored_in_crop
from i2uv_jax.geometry.keypoints import NUM_KEYPOINTS
from i2uv_jax.geometry.uv_map import build_vertex_tables, vertex_values, vertices_from_uv_map
from i2uv_jax.hand.asset import Hand
from i2uv_jax.inference.geometry import drop, hand_scale, lift, scale_to_hand
from i2uv_jax.models.folding import folded_norms
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.looks import SeenHands, mesh_reader, regress_keypoints, see_hands
from i2uv_jax.ops.compiling import compiler_options

PRECISIONS = ("default", "float32", "tf32", "bfloat16")
"""How to compute: "default" is the model's own dtype at the device's default precision (on NVIDIA
since Ampere that is TF32, on TPUs bfloat16 products); "float32" computes what it says everywhere;
"tf32" allows NVIDIA's 19-bit products and is float32 elsewhere."""

_MATMUL_PRECISION = {"float32": "float32", "tf32": "tensorfloat32"}


def inference_config(
    config: HandNetConfig, precision: str = "default", super_resolution: bool = True
) -> HandNetConfig:
    """The config of the program: its precision, and without SRNet if so wished.

    Raises:
      ValueError: an unknown precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected one of {PRECISIONS}, got {precision!r}")
    if precision != "default":
        dtype = "bfloat16" if precision == "bfloat16" else "float32"
        config = dataclasses.replace(config, dtype=dtype)
    return config if super_resolution else dataclasses.replace(config, sr=None)


def make_network(config: HandNetConfig, hand: Hand) -> Callable[..., SeenHands]:
    """sRGB crops of right hands (0 to 255) to UV maps in crop coordinates, and what else is told.

    The function takes variables, crops and, of models that take some, keypoints: x, y and z as in
    a texel, NaN where unknown; none at all is fine as well.
    """
    model = build_model(config)
    tables = build_vertex_tables(hand.atlas, config.uv_map_size)
    mesh_from_uv_map = mesh_reader(tables, hand.keypoint_regressor)

    def network(
        variables: dict,
        crops: UInt8[Array, "b s s 3"],
        keypoints: Float[Array, "b 21 3"] | None = None,
    ) -> SeenHands:
        with folded_norms():
            return see_hands(
                model,
                variables,
                crops.astype(jnp.float32) / 255,
                mesh_from_uv_map,
                keypoints,
            )

    return network


def make_mesh(
    config: HandNetConfig, hand: Hand, atlas: Atlas | None = None
) -> Callable[..., dict[str, Array]]:
    """UV maps of the network to points, mirrored where the hand is a left one.

    With the texels' expected errors, which have no side, also to those of vertices and keypoints,
    "vertex_error_m" and "keypoint_error_m". Those of keypoints are means of the vertices', weighted
    as the points are: as a mean moves no farther than its parts on average, they are upper bounds.

    Args:
      atlas: of the mesh to read off the maps, whose first vertices are the hand's, such as its
        subdivision; None takes the hand's own.
    """
    atlas = hand.atlas if atlas is None else atlas
    tables = build_vertex_tables(atlas, config.uv_map_size)
    bone_length_m = float(hand.mean_bone_length_m)

    def keypoints_of(values: Float[Array, "b v c"]) -> Float[Array, "b 21 c"]:
        return regress_keypoints(hand.keypoint_regressor, values[:, : hand.num_vertices])

    def mesh(
        uv_map: Float[Array, "b m m 3"],
        is_left: Bool[Array, "b"],
        inverse_focal: Float[Array, "b"],
        principal: Float[Array, "b 2"],
        texel_error: Float[Array, "b k k"] | None = None,
    ) -> dict[str, Array]:
        uv_map = jnp.where(is_left[:, None, None, None], mirrored_in_crop(uv_map), uv_map)
        vertices_crop = vertices_from_uv_map(tables, uv_map)
        vertices = lift(vertices_crop, inverse_focal, principal)
        keypoints = keypoints_of(vertices)
        points = {
            "uv_map": uv_map,
            "vertices_crop": vertices_crop[..., :2],
            "vertices_m": scale_to_hand(vertices, keypoints, bone_length_m),
            "keypoints_crop": drop(keypoints, inverse_focal, principal),
            "keypoints_m": scale_to_hand(keypoints, keypoints, bone_length_m),
        }
        if texel_error is None:
            return points
        tables_of_errors = build_vertex_tables(atlas, config.stage_sizes[-1])
        error = vertex_values(tables_of_errors, texel_error[..., None])
        error *= hand_scale(keypoints, bone_length_m)[:, None, None]
        return points | {
            "vertex_error_m": error[..., 0],
            "keypoint_error_m": keypoints_of(error)[..., 0],
        }

    return mesh


def make_whole(
    config: HandNetConfig, hand: Hand, atlas: Atlas | None = None
) -> Callable[..., dict[str, Array]]:
    """Crops as they are in the photo to points in the crop as it is: network, then mesh.

    Of models that tell presence also to "presence_logit", of a hand of the side that was asked for.
    `atlas` is as in `make_mesh`.
    """
    network, mesh = make_network(config, hand), make_mesh(config, hand, atlas)

    def whole(
        variables: dict,
        crops: UInt8[Array, "b s s 3"],
        is_left: Bool[Array, "b"],
        inverse_focal: Float[Array, "b"],
        principal: Float[Array, "b 2"],
        keypoints: Float[Array, "b 21 3"] | None = None,
    ) -> dict[str, Array]:
        # The network knows right hands only.
        right = jnp.where(is_left[:, None, None, None], crops[:, :, ::-1], crops)
        if keypoints is not None:
            keypoints = jnp.where(is_left[:, None, None], mirrored_in_crop(keypoints), keypoints)
        seen = network(variables, right, keypoints)
        points = mesh(seen.uv_map, is_left, inverse_focal, principal, seen.texel_error)
        if seen.presence_logit is None:
            return points
        return {**points, "presence_logit": seen.presence_logit}

    return whole


def input_shapes(config: HandNetConfig, batch_size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """What `whole` takes besides the variables."""
    size = config.crop_size
    crops = jax.ShapeDtypeStruct((batch_size, size, size, 3), jnp.uint8)
    shapes = (crops, *view_shapes(batch_size))
    if not config.takes_keypoints:
        return shapes
    return (*shapes, jax.ShapeDtypeStruct((batch_size, NUM_KEYPOINTS, 3), jnp.float32))


def mesh_shapes(config: HandNetConfig, batch_size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """What `mesh` takes."""
    size, error_size = config.uv_map_size, config.stage_sizes[-1]
    uv_map = jax.ShapeDtypeStruct((batch_size, size, size, 3), jnp.float32)
    shapes = (uv_map, *view_shapes(batch_size))
    if not config.tells_confidence:
        return shapes
    return (*shapes, jax.ShapeDtypeStruct((batch_size, error_size, error_size), jnp.float32))


def view_shapes(batch_size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """What `mesh` takes besides maps."""
    return (
        jax.ShapeDtypeStruct((batch_size,), jnp.bool_),
        jax.ShapeDtypeStruct((batch_size,), jnp.float32),
        jax.ShapeDtypeStruct((batch_size, 2), jnp.float32),
    )


def batch_mesh(batch_size: int) -> Mesh:
    """As many of this process's devices as share the batch evenly."""
    devices = jax.local_devices()
    count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    return Mesh(devices[:count], ("batch",))


def replicated(mesh: Mesh) -> NamedSharding:
    """Where variables live: whole on every device."""
    return NamedSharding(mesh, P())


def compile_batched(
    function: Callable,
    whole: tuple,
    batched: tuple,
    *,
    precision: str = "default",
) -> jax.stages.Compiled:
    """Compiles ahead of time: unlike a jitted function the result can never retrace on its own.

    Each device works on its own part of the batch (`batch_mesh`), and none hears of another.

    Args:
      function: takes the whole arguments, then the batched ones; all it returns is batched.
      whole: arguments that every device has whole, such as variables (shapes suffice).
      batched: shapes (or trees of them) of those whose first axis is the batch.
    """
    mesh = batch_mesh(jax.tree.leaves(batched)[0].shape[0])
    if mesh.size > 1:
        specs = (*(P() for _ in whole), *(P("batch") for _ in batched))
        function = jax.shard_map(
            function, mesh=mesh, in_specs=specs, out_specs=P("batch"), check_vma=False
        )
    split = NamedSharding(mesh, P("batch"))
    shardings = (*(replicated(mesh) for _ in whole), *(split for _ in batched))
    with jax.default_matmul_precision(_MATMUL_PRECISION.get(precision)):
        lowered = jax.jit(function, in_shardings=shardings).lower(*whole, *batched)
        return lowered.compile(compiler_options())

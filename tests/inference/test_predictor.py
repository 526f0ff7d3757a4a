"""The predictor: its geometry on known maps, its batching, its compilations, its complaints."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import i2uv_jax
from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.geometry.camera import project, to_crop_space
from i2uv_jax.geometry.keypoints import KEYPOINT_EDGES
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.imaging.crop import BoxError
from i2uv_jax.inference import predictor as predictor_module
from i2uv_jax.inference import program
from i2uv_jax.inference.predictor import MAX_BATCH_SIZE, Predictor
from i2uv_jax.models.hand_net import HandNetOutput
from i2uv_jax.types import Camera

COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"


@pytest.fixture(scope="module")
def tiny(tiny_model_path):
    return i2uv_jax.load_model(tiny_model_path)


@pytest.fixture
def compilations():
    """Counts every program that XLA compiles, the predictor's or anybody's."""
    names = []

    def listen(event, duration, **_):
        if event == COMPILE_EVENT:
            names.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


def noise(seed: int, height: int = 64, width: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


STUB_CONFIG = HandNetConfig(
    affine=AffineNetConfig(decoder_channels=(8,) * 6), sr=None, image_size=128
)


def predictor_of(apply, config, monkeypatch, **options) -> Predictor:
    """A predictor whose network is a function of variables, pictures and keypoints."""
    monkeypatch.setattr(
        program, "build_model", lambda config: SimpleNamespace(apply=apply, config=config)
    )
    return Predictor(config, {}, **options)


def stub_predictor(monkeypatch, make_uv_map) -> Predictor:
    """A predictor whose network is a plain function of the pictures it gets."""

    def apply(variables, image, keypoints, *, train, super_resolve):
        assert not train and keypoints is None
        return HandNetOutput(stage_uv_maps=(), uv_map=make_uv_map(image))

    return predictor_of(apply, STUB_CONFIG, monkeypatch)


def placed_rest_hand():
    """The template hand before a wide-angle camera: (vertices, keypoints) in metres, camera."""
    hand = load_hand()
    vertices = hand.template - hand.template.mean(0)
    vertices = vertices * np.array([1, -1, -1]) + np.array([0.02, -0.03, 0.35])
    camera = Camera(focal=jnp.float32(1.4), principal=jnp.array([0.55, 0.40]))
    return vertices.astype(np.float32), hand.keypoint_regressor @ vertices, camera


def true_uv_map():
    vertices, keypoints, camera = placed_rest_hand()
    points = to_crop_space(camera, vertices, jnp.float32(keypoints[0, 2]))
    return uv_map_from_vertices(build_tables(load_hand().atlas, 128), points)


def bone_length(keypoints):
    parents, children = np.array(KEYPOINT_EDGES).T
    return np.linalg.norm(keypoints[children] - keypoints[parents], axis=-1).sum()


def test_known_camera_recovers_the_perspective_geometry(monkeypatch):
    vertices, keypoints, camera = placed_rest_hand()
    uv_map = true_uv_map()
    predictor = stub_predictor(
        monkeypatch, lambda image: jnp.broadcast_to(uv_map, (len(image), 128, 128, 3))
    )
    # A 300 x 200 photo; box and margin give the crop (40, -20) to (240, 180), side 200.
    margin_free = 200 / (1 + predictor_module.crop_from_box.__kwdefaults__["margin"])
    half = margin_free / 2
    box = (140 - half, 80 - half, 140 + half, 80 + half)
    intrinsics = np.array(
        [[1.4 * 200, 0, 0.55 * 200 + 40], [0, 1.4 * 200, 0.40 * 200 - 20], [0, 0, 1]]
    )
    found = predictor(noise(0, 200, 300), box_xyxy=box, camera=intrinsics)

    np.testing.assert_allclose(found.crop_xyxy, [40, -20, 240, 180], atol=1e-4)
    scale = float(load_hand().mean_bone_length_m) / bone_length(keypoints)
    error_mm = found.vertices_mm - 1000 * scale * (vertices - keypoints[0])
    assert np.abs(error_mm).mean() < 0.2  # what a 128 x 128 map costs
    error_mm = found.keypoints_3d_mm - 1000 * scale * (keypoints - keypoints[0])
    assert np.abs(error_mm).max() < 1.0
    pixels = 200 * np.asarray(project(camera, keypoints)) + [40, -20]
    np.testing.assert_allclose(found.keypoints_2d, pixels, atol=0.5)


def test_without_camera_it_is_weak_perspective_of_the_assumed_size(monkeypatch):
    uv_map = np.asarray(true_uv_map())
    predictor = stub_predictor(
        monkeypatch, lambda image: jnp.broadcast_to(uv_map, (len(image), 128, 128, 3))
    )
    found = predictor(noise(0, 128, 128))
    assert bone_length(found.keypoints_3d_mm) == pytest.approx(
        1000 * load_hand().mean_bone_length_m, rel=1e-4
    )
    np.testing.assert_allclose(found.keypoints_3d_mm[0], 0, atol=1e-4)
    # x and y are the picture's, up to one scale.
    on_picture = found.vertices_2d - found.keypoints_2d[0]
    scale = np.linalg.norm(found.vertices_mm[:, :2]) / np.linalg.norm(on_picture)
    np.testing.assert_allclose(found.vertices_mm[:, :2], scale * on_picture, atol=1e-2)
    np.testing.assert_allclose(found.uv_map, uv_map, atol=1e-6)


def test_left_hand_is_the_mirror_image_of_a_right_hand(monkeypatch):
    uv_map = true_uv_map()

    # The map moves right with the brightness of the picture's right half, so that a crop that is
    # not mirrored on its way in shows.
    def network(image):
        shift = image[:, :, 64:].mean(axis=(1, 2, 3))[:, None, None]
        return jnp.broadcast_to(uv_map, (len(image), 128, 128, 3)).at[..., 0].add(shift)

    predictor = stub_predictor(monkeypatch, network)
    photo = noise(0, 100, 160)
    photo[:, :80] //= 4
    right = predictor(photo)
    left = predictor(np.ascontiguousarray(photo[:, ::-1]), handedness="left")
    assert (right.handedness, left.handedness) == ("right", "left")
    mirror = np.array([-1, 1, 1])
    np.testing.assert_allclose(left.vertices_mm, right.vertices_mm * mirror, atol=0.02)
    np.testing.assert_allclose(left.keypoints_3d_mm, right.keypoints_3d_mm * mirror, atol=0.02)
    np.testing.assert_allclose(left.keypoints_2d[:, 0], 160 - right.keypoints_2d[:, 0], atol=0.02)
    np.testing.assert_allclose(left.uv_map[..., 0], 1 - right.uv_map[..., 0], atol=1e-4)
    # Outward faces: the enclosed volume has one sign for both.
    assert signed_volume(left) == pytest.approx(signed_volume(right), rel=1e-3)


def signed_volume(prediction):
    a, b, c = np.moveaxis(prediction.vertices_mm[prediction.faces].astype(np.float64), 1, 0)
    return np.einsum("fd,fd->", a, np.cross(b, c)) / 6


TOLD_CONFIG = HandNetConfig(
    affine=AffineNetConfig(decoder_channels=(8,) * 6, coarse_to_fine=True, takes_keypoints=True),
    sr=None,
    image_size=128,
)


@pytest.fixture
def told_predictor(monkeypatch):
    """A predictor whose maps repeat the first told keypoint; where it is unknown they hold -1."""

    def apply(variables, image, keypoints, *, train, super_resolve):
        point = jnp.where(jnp.isfinite(keypoints[:, 0]), keypoints[:, 0], -1)
        uv_map = jnp.broadcast_to(point[:, None, None], (len(image), 128, 128, 3))
        return HandNetOutput(stage_uv_maps=(), uv_map=uv_map)

    return predictor_of(apply, TOLD_CONFIG, monkeypatch)


def test_told_keypoints_reach_the_network_in_crop_coordinates(told_predictor):
    keypoints = np.zeros((21, 3))
    keypoints[0] = 30, 60, 20
    # The crop of a whole 200 x 100 picture spans (0, -50) to (200, 150).
    right, left, plane, none = told_predictor(
        [noise(0, 100, 200)] * 4,
        handedness=("right", "left", "right", "right"),
        keypoints=(keypoints, keypoints, keypoints[:, :2], None),
    )
    for found in (right, left):
        # A left hand's are mirrored on their way in, and the map on its way out.
        np.testing.assert_allclose(found.uv_map[0, 0], [0.15, 0.55, 0.1], atol=1e-6)
    np.testing.assert_allclose(plane.uv_map[0, 0], [0.15, 0.55, -1], atol=1e-6)
    np.testing.assert_array_equal(none.uv_map[0, 0], [-1, -1, -1])


def test_keypoints_that_do_not_fit(told_predictor, tiny):
    assert told_predictor.takes_keypoints and not tiny.takes_keypoints
    with pytest.raises(ValueError, match=r"keypoints: expected shape \(21, 2\) or \(21, 3\)"):
        told_predictor(noise(0), keypoints=np.zeros((20, 3)))
    with pytest.raises(ValueError, match=r"keypoints: expected none, as model .* takes none"):
        tiny(noise(0), keypoints=np.zeros((21, 3)))


TELLING_CONFIG = HandNetConfig(
    affine=AffineNetConfig(decoder_channels=(8,) * 6, coarse_to_fine=True, presence=True),
    sr=None,
    image_size=128,
)


@pytest.fixture
def telling_predictor(monkeypatch):
    """A predictor that takes pictures for right hands which are brighter on the right."""

    def apply(variables, image, keypoints, *, train, super_resolve):
        logit = 8 * (image[:, :, 64:].mean(axis=(1, 2, 3)) - image[:, :, :64].mean(axis=(1, 2, 3)))
        uv_map = jnp.broadcast_to(true_uv_map(), (len(image), 128, 128, 3))
        return HandNetOutput(stage_uv_maps=(), uv_map=uv_map, presence_logit=logit)

    return predictor_of(apply, TELLING_CONFIG, monkeypatch)


def test_expected_errors_are_told_in_the_hand_s_millimetres(monkeypatch):
    # 0.02 sides in the left half of AffineNet's map, which SRNet's is four times as fine as, and
    # 0.05 in the right one.
    error = jnp.where(jnp.arange(32) < 16, 0.02, 0.05)
    affine = AffineNetConfig(decoder_channels=(8,) * 4, coarse_to_fine=True, confidence=True)
    config = HandNetConfig(affine, SRNetConfig(size=128), image_size=128)

    def apply(variables, image, keypoints, *, train, super_resolve):
        return HandNetOutput(
            stage_uv_maps=(),
            uv_map=jnp.broadcast_to(true_uv_map(), (len(image), 128, 128, 3)),
            log_error=jnp.broadcast_to(jnp.log(error), (len(image), 32, 32)),
        )

    predictor = predictor_of(apply, config, monkeypatch)
    found = predictor([noise(0, 200, 200)] * 2, handedness=("right", "left"))
    assert predictor.tells_confidence
    # A crop has 200 pixels a side; a hand's millimetres stand to its pixels as x and y do.
    hand = found[0]
    mm = hand.keypoints_3d_mm[12, :2] - hand.keypoints_3d_mm[0, :2]
    pixels = hand.keypoints_2d[12] - hand.keypoints_2d[0]
    mm_per_side = 200 * np.linalg.norm(mm) / np.linalg.norm(pixels)
    least, most = np.array([0.02, 0.05]) * mm_per_side
    assert found.vertex_error_mm.shape == (2, len(hand.vertices_mm))
    np.testing.assert_allclose(hand.vertex_error_mm.min(), least, rtol=1e-3)
    np.testing.assert_allclose(hand.vertex_error_mm.max(), most, rtol=1e-3)
    regressor = load_hand().keypoint_regressor
    np.testing.assert_allclose(hand.keypoint_error_mm, regressor @ hand.vertex_error_mm, rtol=1e-4)
    np.testing.assert_allclose(hand.keypoint_score, np.exp(-hand.keypoint_error_mm / 20))
    # Which texel is which does not depend on the side.
    np.testing.assert_allclose(found[1].vertex_error_mm, hand.vertex_error_mm, rtol=1e-4)


def test_a_fine_mesh_holds_the_hand_s_own_and_what_lies_between(monkeypatch):
    def apply(variables, image, keypoints, *, train, super_resolve):
        uv_map = jnp.broadcast_to(true_uv_map(), (len(image), 128, 128, 3))
        return HandNetOutput(stage_uv_maps=(), uv_map=uv_map)

    coarse, fine = (
        predictor_of(apply, STUB_CONFIG, monkeypatch, fine_mesh=fine_mesh)(noise(0))
        for fine_mesh in (False, True)
    )
    count = len(coarse.vertices_mm)
    np.testing.assert_allclose(fine.vertices_mm[:count], coarse.vertices_mm, atol=1e-3)
    np.testing.assert_allclose(fine.keypoints_3d_mm, coarse.keypoints_3d_mm, atol=1e-3)
    assert fine.faces.shape == (16 * len(coarse.faces), 3)
    # One surface: as large as the coarse one, and no edge is torn over a seam.
    edges = fine.vertices_mm[fine.faces] - fine.vertices_mm[np.roll(fine.faces, 1, axis=1)]
    assert np.linalg.norm(edges, axis=-1).max() < 6
    area_mm2 = [
        np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum() / 2
        for hand in (coarse, fine)
        for a, b, c in [hand.vertices_mm[hand.faces].swapaxes(0, 1)]
    ]
    assert area_mm2[1] == pytest.approx(area_mm2[0], rel=0.02)


def test_models_that_do_not_tell_expect_nothing(tiny):
    found = tiny(noise(0))
    assert not tiny.tells_confidence
    assert found.vertex_error_mm is found.keypoint_error_mm is found.keypoint_score is None


def half_bright(is_right: bool) -> np.ndarray:
    photo = np.zeros((128, 128, 3), np.uint8)
    photo[:, slice(64, None) if is_right else slice(64)] = 51  # a fifth of 255
    return photo


def test_an_open_side_is_the_likelier_one(telling_predictor):
    photos = [half_bright(True), half_bright(False), half_bright(False)]
    found = telling_predictor(photos, handedness=("auto", "auto", "right"))
    assert found.handedness == ("right", "left", "right")
    # Five rows went through the network together.
    assert telling_predictor.compiled_batch_sizes == (8,)
    likely = 1 / (1 + np.exp(-8 / 5))
    np.testing.assert_allclose(found.presence, [likely, likely, 1 - likely], rtol=1e-3)
    # What is kept is what the side would have given if asked for.
    left = telling_predictor(photos[1], handedness="left")
    np.testing.assert_allclose(found[1].vertices_2d, left.vertices_2d, atol=1e-3)
    assert float(found[1].presence) == pytest.approx(float(left.presence))
    np.testing.assert_array_equal(found[1].faces, left.faces)


def test_models_that_do_not_tell_need_a_side(tiny):
    assert tiny(noise(0)).presence is None and tiny([noise(0)])[0].presence is None
    with pytest.raises(ValueError, match=r"tiny.* does not tell which hand it sees, got \"auto\""):
        tiny(noise(0), handedness="auto")


def test_shapes_of_one_picture_and_of_a_batch(tiny):
    single = tiny(noise(1))
    assert single.uv_map.shape == (16, 16, 3)
    assert single.vertices_mm.shape == (1609, 3)
    assert single.vertices_2d.shape == (1609, 2)
    assert single.faces.shape == (3196, 3)
    assert single.keypoints_3d_mm.shape == (21, 3)
    assert single.keypoints_2d.shape == (21, 2)
    assert single.handedness == "right"
    batch = tiny(np.stack([noise(1), noise(2)]), handedness=("right", "left"))
    assert len(batch) == 2
    assert batch.vertices_mm.shape == (2, 1609, 3)
    assert batch[1].handedness == "left"
    assert [hand.vertices_mm.shape for hand in batch] == [(1609, 3)] * 2
    for name in ("uv_map", "vertices_mm", "keypoints_2d"):
        np.testing.assert_allclose(
            getattr(batch[0], name), getattr(single, name), rtol=1e-3, atol=1e-3
        )


def test_batch_equals_one_by_one_whatever_the_sizes(tiny):
    photos = [noise(seed, 40 + 13 * seed, 90 - 7 * seed) for seed in range(5)]
    boxes = [None, (5, 5, 50, 40), None, (-10, 3, 30, 33), (20, 20, 40, 60)]
    together = tiny(photos, box_xyxy=boxes)
    for index, (photo, box) in enumerate(zip(photos, boxes, strict=True)):
        alone = tiny(photo, box_xyxy=box)
        np.testing.assert_allclose(alone.crop_xyxy, together[index].crop_xyxy)
        np.testing.assert_allclose(
            alone.keypoints_2d, together[index].keypoints_2d, rtol=1e-3, atol=0.05
        )


def test_a_picture_does_not_see_its_neighbours(tiny):
    first = tiny([noise(0), noise(1)])[0]
    second = tiny([noise(0), noise(2)])[0]
    np.testing.assert_array_equal(first.uv_map, second.uv_map)


def test_it_compiles_once_per_bucket_and_never_again(tiny_model_path, compilations):
    predictor = i2uv_jax.load_model(tiny_model_path)
    assert predictor.compiled_batch_sizes == ()
    predictor(noise(0))
    predictor([noise(seed) for seed in range(3)])
    assert predictor.compiled_batch_sizes == (1, 4)
    # From here on other sizes of pictures, boxes, hands and cameras change no shape.
    compilations.clear()
    predictor(noise(0, 50, 80), box_xyxy=(1, 2, 30, 40), handedness="left")
    predictor([noise(seed, 70, 30) for seed in range(4)], camera=np.diag([100.0, 100.0, 1.0]))
    predictor(np.stack([noise(seed) for seed in range(3)]))
    assert compilations == []
    predictor([noise(0), noise(1)])  # The counter does count.
    assert len(compilations) == 1
    assert predictor.compiled_batch_sizes == (1, 2, 4)


def test_fixed_batch_size_compiles_once(tiny_model_path, compilations):
    predictor = i2uv_jax.load_model(tiny_model_path, batch_size=3)
    predictor.compile()
    assert predictor.compiled_batch_sizes == (3,)
    compilations.clear()
    assert len(predictor([noise(seed) for seed in range(7)])) == 7
    predictor(noise(0))
    assert compilations == [] and predictor.compiled_batch_sizes == (3,)


def brightness_predictor(monkeypatch) -> Predictor:
    """A predictor that moves the hand by each picture's mean colour, and so tells them apart."""
    uv_map = true_uv_map()

    def moved(image):
        maps = jnp.broadcast_to(uv_map, (len(image), 128, 128, 3))
        return maps + image.mean(axis=(1, 2, 3))[:, None, None, None]

    return stub_predictor(monkeypatch, moved)


def test_large_batches_run_in_pieces(monkeypatch):
    predictor = brightness_predictor(monkeypatch)
    count = MAX_BATCH_SIZE + 3
    photos = [np.full((16, 16, 3), 7 * index, np.uint8) for index in range(count)]
    found = predictor(photos)
    assert len(found) == count
    assert predictor.compiled_batch_sizes == (4, MAX_BATCH_SIZE)
    depth = found.uv_map[:, 0, 0, 2]
    np.testing.assert_allclose(np.diff(depth), 7 / 255, atol=1e-4)


class FailsLate:
    """An output on a device that runs out of memory only when it computes."""

    def __init__(self, size):
        self._size = size

    def __len__(self):
        return self._size

    def __array__(self, *_):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")


def test_what_does_not_fit_the_memory_is_worked_in_ever_smaller_pieces(monkeypatch):
    predictor = brightness_predictor(monkeypatch)
    hands = [predictor.prepare(np.full((16, 16, 3), 7 * i, np.uint8)) for i in range(8)]
    expected = predictor.start(hands).result()
    executable, fits_late = predictor._executable, 8

    def limited(size):
        def run(*inputs):
            if size > fits_late:
                raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")
            return {"uv_map": FailsLate(size)} if size > 2 else executable(size)(*inputs)

        return run

    monkeypatch.setattr(predictor, "_executable", limited)
    first, second = predictor.start(hands), predictor.start(hands)
    fits_late = 2
    with pytest.warns(UserWarning) as warned:
        found = first.result()
        # The second was sent off at eight a piece, too, and does not begin at four once more.
        again = second.result()
    assert [str(one.message)[-2:] for one in warned] == [" 4", " 2", " 2"]
    for one in (found, again):
        np.testing.assert_allclose(one.uv_map, expected.uv_map, atol=1e-6)


@pytest.mark.parametrize(
    ("images", "options", "cause"),
    [
        (np.zeros((32, 32), np.uint8), {}, "shape"),
        (np.zeros((32, 32, 4), np.uint8), {}, r"\(h, w, 3\)"),
        (np.zeros((32, 32, 3), np.float32), {}, "uint8"),
        ([], {}, "at least one picture"),
        (np.zeros((0, 32, 3), np.uint8), {}, "shape"),
        (noise(0), {"handedness": "both"}, '"left" or "right"'),
        ([noise(0)], {"handedness": ("left", "right")}, "expected one for all or 1"),
        ([noise(0), noise(1)], {"box_xyxy": [(0, 0, 9, 9)]}, "expected one for all or 2"),
        (noise(0), {"camera": np.eye(4)}, "camera"),
        (noise(0), {"camera": np.diag([100.0, 150.0, 1.0])}, "equal positive focal"),
        (noise(0), {"camera": np.array([[90, 9, 0], [0, 90, 0], [0, 0, 1.0]])}, "without skew"),
    ],
)
def test_arguments_that_do_not_fit(tiny, images, options, cause):
    with pytest.raises(ValueError, match=cause):
        tiny(images, **options)


def test_box_outside_the_picture(tiny):
    with pytest.raises(BoxError, match="outside the picture of 64 x 64"):
        tiny(noise(0), box_xyxy=(100, 100, 150, 150))


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        Predictor(STUB_CONFIG, {"params": {"kernel": jnp.array([1.0, jnp.nan])}}, name="broken")


def test_model_of_another_atlas_is_refused():
    hand = load_hand()
    card = {"atlas": hand.atlas.fingerprint}
    Predictor(STUB_CONFIG, {}, metadata=card)
    moved = dataclasses.replace(hand.atlas, uv=hand.atlas.uv[:, ::-1])
    with pytest.raises(ValueError, match="model other: its UV maps are laid out on another atlas"):
        Predictor(STUB_CONFIG, {}, name="other", metadata={"atlas": moved.fingerprint})


def test_public_names_resolve():
    for name in i2uv_jax.__all__:
        assert getattr(i2uv_jax, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        i2uv_jax.nonsense  # noqa: B018

"""Owners' layouts, in miniature: every number arrives in our frame, order and unit."""

import json

import jax
import numpy as np
import pytest

from i2uv_jax.data.layouts import archive as archive_module
from i2uv_jax.data.layouts.archive import Archive
from i2uv_jax.data.layouts.freihand import read_freihand
from i2uv_jax.data.layouts.hand_photo import camera_values
from i2uv_jax.data.layouts.hic import list_fits, read_fit
from i2uv_jax.data.layouts.ho3d import frame_names, read_evaluation_truth, read_frame
from i2uv_jax.data.layouts.uv_maps import list_uv_maps, read_uv_maps
from i2uv_jax.hand.mano import load_mano, pose_mano
from tests.archives import write_freihand, write_hic, write_ho3d
from tests.mano_files import old_pickle, write_mano


@pytest.fixture(scope="module")
def mano_path(tmp_path_factory):
    return write_mano(tmp_path_factory.mktemp("mano") / "MANO_RIGHT.pkl")


def test_freihand_pictures_and_numbers_belong_together(tmp_path, mano_path):
    truths = write_freihand(tmp_path, mano_path)
    for split, count in (("training", 8), ("evaluation", 2)):
        read = read_freihand(tmp_path, split)
        assert (len(read), read.num_photos) == (2, count)
        photos = [read.photo(number % 2, number // 2) for number in range(count)]
        for photo in photos:
            truth = truths[photo.name]
            np.testing.assert_allclose(photo.vertices, truth.vertices, atol=1e-6)
            np.testing.assert_allclose(photo.keypoints, truth.keypoints, atol=1e-6)
            assert (photo.focal_px, photo.principal_px) == (480, (112, 112))
            assert str(photo.image_path).endswith(f"{split}/rgb/{photo.name[-8:]}.jpg")
            assert (photo.mask_path is not None) == (split == "training")
    # Version 3 of entry 1 is the last picture of four times two; its mask is entry 1's.
    last = read_freihand(tmp_path, "training").photo(1, version=3)
    assert last.image_path.name == "00000007.jpg" and last.mask_path.name == "00000001.jpg"


def test_freihand_evaluation_without_its_truth_still_has_pictures_and_cameras(tmp_path, mano_path):
    write_freihand(tmp_path, mano_path)
    for name in ("xyz", "verts"):
        (tmp_path / f"evaluation_{name}.json").unlink()
    photo = read_freihand(tmp_path, "evaluation").photo(0)
    assert photo.keypoints is None and photo.vertices is None and photo.image_path.exists()


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_ho3d_comes_from_opengl_and_mano_s_order(tmp_path, mano_path, version):
    truths = write_ho3d(tmp_path, mano_path, version)
    names = frame_names(tmp_path, version, "train")
    frames = [read_frame(tmp_path, version, "train", name) for name in names]
    assert frames.pop() is None  # the one without annotations
    mano = load_mano(mano_path)
    for frame in frames:
        photo, truth = frame.photo, truths[frame.photo.name]
        assert photo.image_path.suffix == (".png" if version == "v2" else ".jpg")
        np.testing.assert_allclose(photo.keypoints, truth.keypoints, atol=1e-6)
        assert (photo.keypoints[:, 2] > 0).all()
        np.testing.assert_allclose(photo.principal_px, (320.8, 241.6))
        assert photo.focal_px == pytest.approx(614.4)
    vertices, _ = jax.jit(pose_mano)(mano, frames[0].pose, frames[0].betas)
    np.testing.assert_allclose(
        frames[0].to_camera(vertices), truths["train/ABF10/0000"].vertices, atol=1e-5
    )


def test_ho3d_evaluation_tells_wrist_and_box_and_the_truth_if_released(tmp_path, mano_path):
    truths = write_ho3d(tmp_path, mano_path, "v3")
    frame = read_frame(tmp_path, "v3", "evaluation", "SM1/0001")
    truth = truths["evaluation/SM1/0001"]
    np.testing.assert_allclose(frame.photo.wrist, truth.keypoints[0], atol=1e-6)
    assert frame.photo.box_xyxy == (200, 100, 420, 330) and frame.photo.keypoints is None
    with pytest.raises(ValueError, match=r"evaluation_xyz\.json: no such file.*github\.com/shrey"):
        read_evaluation_truth(tmp_path, "v3")
    order = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]
    frames = [truths[f"evaluation/SM1/000{i}"] for i in range(2)]
    for name, values in (
        ("xyz", [t.keypoints[order] * [1, -1, -1] for t in frames]),
        ("verts", [t.vertices * [1, -1, -1] for t in frames]),
    ):
        text = json.dumps([v.tolist() for v in values])
        (tmp_path / f"evaluation_{name}.json").write_text(text)
    keypoints, vertices = read_evaluation_truth(tmp_path, "v3")
    np.testing.assert_allclose(keypoints[1], truth.keypoints, atol=1e-6)
    np.testing.assert_allclose(vertices[1], truth.vertices, atol=1e-6)


def test_hic_fits_belong_to_their_pictures(tmp_path, mano_path):
    truths = write_hic(tmp_path, mano_path)
    photos = [read_fit(fit) for fit in list_fits(tmp_path)]
    assert {photo.name for photo in photos} == set(truths) and len(photos) == 2
    for photo in photos:
        np.testing.assert_allclose(photo.vertices, truths[photo.name].vertices, atol=1e-6)
        assert photo.is_left == photo.name.endswith("left")
        assert photo.principal_px == (320, 240)


def test_uv_maps_of_a_folder(tmp_path):
    fine = np.random.default_rng(0).random((8, 8, 3))
    np.savez(tmp_path / "b.npz", uv_map=fine, coarse_uv_map=fine + 1)
    np.savez(tmp_path / "a.npz", uv_map=fine)
    alone, pair = (read_uv_maps(path, "ours") for path in list_uv_maps(tmp_path))
    np.testing.assert_allclose(pair.coarse_uv_map - pair.uv_map, 1, atol=1e-6)
    np.testing.assert_array_equal(alone.coarse_uv_map, alone.uv_map)
    np.savez(tmp_path / "a.npz", uv_map=np.array([{}], object))
    with pytest.raises(ValueError, match=r"a\.npz: no readable UV maps \(Object arrays"):
        read_uv_maps(tmp_path / "a.npz", "ours")
    np.savez(tmp_path / "a.npz", uv_map=fine[:4])
    with pytest.raises(ValueError, match=r"a\.npz: uv_map: expected .*got \(4, 8, 3\)"):
        read_uv_maps(tmp_path / "a.npz", "ours")
    np.savez(tmp_path / "a.npz", uv_map=fine, atlas="ours")
    np.testing.assert_allclose(read_uv_maps(tmp_path / "a.npz", "ours").uv_map, fine, atol=1e-6)
    with pytest.raises(ValueError, match=r"a\.npz: .* another chart \(ours\) .* \(theirs\)"):
        read_uv_maps(tmp_path / "a.npz", "theirs")


def test_what_is_missing_names_page_and_terms(tmp_path, mano_path):
    with pytest.raises(ValueError, match=r"nowhere.*lmb\.informatik.*research only"):
        read_freihand(tmp_path / "nowhere", "training")
    with pytest.raises(ValueError, match=r"train\.txt.*shreyashampali/ho3d.*academic research"):
        frame_names(tmp_path, "v2", "train")
    with pytest.raises(ValueError, match=r"files\.is\.tue\.mpg\.de.*research only"):
        list_fits(tmp_path)
    write_freihand(tmp_path, mano_path)
    (tmp_path / "training" / "rgb" / "00000001.jpg").unlink()
    with pytest.raises(ValueError, match=r"00000001\.jpg: no such file"):
        read_freihand(tmp_path, "training").photo(1)
    (tmp_path / "training_scale.json").write_text("[0.03]")
    with pytest.raises(ValueError, match=r"training_scale\.json: expected 2 entries .* got 1"):
        read_freihand(tmp_path, "training")


def test_a_hostile_annotation_is_refused(tmp_path, mano_path):
    write_ho3d(tmp_path, mano_path, "v2")
    path = tmp_path / "train" / "ABF10" / "meta" / "0000.pkl"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match=r"0000\.pkl: refused: it asks for os\.system"):
        read_frame(tmp_path, "v2", "train", "ABF10/0000")
    path.write_bytes(old_pickle({"handJoints3D": np.zeros((20, 3)), "camMat": np.eye(3)}))
    with pytest.raises(ValueError, match=r"0000\.pkl: handJoints3D: expected 21 points, got 20"):
        read_frame(tmp_path, "v2", "train", "ABF10/0000")
    (tmp_path / "train.txt").write_text("../../etc/passwd\n")
    with pytest.raises(ValueError, match=r"train\.txt: expected SEQUENCE/FRAME"):
        frame_names(tmp_path, "v2", "train")


@pytest.mark.parametrize("box", [[200, 100, 200, 330], [420, 100, 200, 330], [0, 0, np.nan, 9]])
def test_a_box_that_is_none_is_named(tmp_path, mano_path, box):
    write_ho3d(tmp_path, mano_path, "v3")
    path = tmp_path / "evaluation" / "SM1" / "meta" / "0000.pkl"
    joint = np.array([0.0, 0.0, -0.6])
    meta = {"handJoints3D": joint, "camMat": np.diag([600.0, 600, 1]), "handBoundingBox": box}
    path.write_bytes(old_pickle(meta))
    with pytest.raises(ValueError, match=r"0000\.pkl: handBoundingBox: .*left < right.*, got "):
        read_frame(tmp_path, "v3", "evaluation", "SM1/0000")


def test_a_list_of_frames_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "train.txt").write_text("\ufeffABF10/0000\n", encoding="utf-8")
    assert frame_names(tmp_path, "v3", "train") == ["ABF10/0000"]


def test_a_camera_without_square_pixels_is_refused():
    with pytest.raises(ValueError, match=r"here: .*square pixels, got focal lengths 500 and 520"):
        camera_values(np.diag([500.0, 520, 1]), first_pixel=0, where="here")


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
def test_json_lists_are_read_whatever_the_chunks(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(archive_module, "_CHUNK_CHARS", chunk)
    own = Archive("A set", "https://example.org", "free")
    values = np.random.default_rng(0).normal(size=(5, 2, 3))
    path = tmp_path / "numbers.json"
    short = json.dumps(values.tolist())
    for text in (short, json.dumps(values.tolist(), indent=1) + "\n", "\ufeff" + short):
        path.write_text(text, encoding="utf-8")
        np.testing.assert_allclose(own.numbers(path, (2, 3)), values, rtol=1e-6)
    path.write_text("[12, 3.5]")
    np.testing.assert_array_equal(own.numbers(path, ()), [12, 3.5])
    path.write_text("[]")
    assert own.numbers(path, (2,)).shape == (0, 2)
    for text, message in (
        ("[[1, 2], [3", "ends in the middle"),
        ("{}", "expected a list"),
        ("[[1, 2], [3]]", r"entry 1: expected numbers of shape \(2,\)"),
        ('[["a", 2]]', "entry 0: expected numbers"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            own.numbers(path, (2,))

"""From the owners' archives to what the network sees, and in which order."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from i2uv_jax.config import DataConfig, EvaluationConfig, RenderConfig
from i2uv_jax.data import files
from i2uv_jax.data.builders.freihand import FreiHandPhotos
from i2uv_jax.data.builders.hand_photos import PhotoSetConfig
from i2uv_jax.data.builders.hic import HicPhotos
from i2uv_jax.data.builders.ho3d import Ho3dV2, Ho3dV3
from i2uv_jax.data.builders.synthetic_hands import (
    BuildSettings,
    SyntheticHands,
    SyntheticHandsConfig,
)
from i2uv_jax.data.file_order import (
    CropSettings,
    Part,
    Share,
    evaluation_batches,
    read_ahead,
    training_batches,
)
from i2uv_jax.data.files import FileSource, to_devices
from i2uv_jax.data.stored import decode_sample
from i2uv_jax.data.stored_set import open_set
from i2uv_jax.data.streams import source_keys
from i2uv_jax.geometry.camera import project, to_crop_space
from i2uv_jax.geometry.uv_map import build_tables, vertices_from_uv_map
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.training.sharding import batch_sharding, make_mesh
from tests import archives
from tests.mano_files import write_mano, write_template
from tests.training.sheet import SHEET_CONFIG

SIZE = 64


@pytest.fixture(scope="module")
def mano_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mano")
    return PhotoSetConfig(
        mano_path=write_mano(folder / "MANO_RIGHT.pkl"),
        template_path=write_template(folder / "template.obj"),
    )


def write_ho3d(version):
    return lambda folder, mano: archives.write_ho3d(folder, mano, version, 6)


def write_hic(folder, mano):
    return archives.write_hic(folder, mano, 6)


KINDS = {
    "freihand": (FreiHandPhotos, archives.write_freihand),
    "ho3d_v2": (Ho3dV2, write_ho3d("v2")),
    "ho3d_v3": (Ho3dV3, write_ho3d("v3")),
    "hic": (HicPhotos, write_hic),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory, mano_files):
    """Each set's folder and the truth of its samples by name; built once."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    sets = {}
    for kind, (builder_type, write) in KINDS.items():
        folder = tmp_path_factory.mktemp(kind)
        truths = write(folder / "archives", mano_files.mano_path)
        builder = builder_type(data_dir=folder / "sets", config=mano_files)
        builder.build(folder / "archives")
        sets[kind] = open_set(builder.data_path), truths
    return sets


def config_of(*sets, **changes):
    data = DataConfig(sets=tuple((str(s.folder), 1.0) for s in sets), workers=0)
    return replace(
        SHEET_CONFIG,
        model=replace(SHEET_CONFIG.model, image_size=SIZE),
        data=replace(data, **changes),
        train=replace(SHEET_CONFIG.train, batch_size=2),
        evaluation=EvaluationConfig(num_images=2),
    )


def source_of(*sets, **changes):
    config = config_of(*sets, **changes)
    return FileSource(config, source_keys(config), batch_sharding(make_mesh(1)))


def whitest(image):
    """Crop coordinates of a white blob, whatever colour is around it."""
    whiteness = np.asarray(image).min(-1)
    whiteness = np.clip(whiteness - 0.7 * whiteness.max(), 0, None)
    centres = (np.arange(len(image)) + 0.5) / len(image)
    return np.array([whiteness.sum(0) @ centres, whiteness.sum(1) @ centres]) / whiteness.sum()


def check_batch(batch, atlas):
    """Picture, mesh, camera and UV map of each sample tell of the same hand at the same place."""
    marked = np.asarray(project(batch.camera, batch.vertices))[:, archives.MARKED_VERTEX]
    for image, place in zip(batch.image, marked, strict=True):
        if ((place > 0.06) & (place < 0.94)).all():
            np.testing.assert_allclose(whitest(image), place, atol=0.5 / SIZE)
    tables = build_tables(atlas, batch.uv_map.shape[1])
    points = to_crop_space(batch.camera, batch.vertices, batch.keypoints[:, 0, 2])
    sampled = vertices_from_uv_map(tables, batch.uv_map)
    assert np.abs(np.asarray(sampled - points)).max() < 0.02
    assert ((np.asarray(batch.image) >= 0) & (np.asarray(batch.image) <= 1)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_values_reach_the_network_as_the_owners_wrote_them(built, kind):
    stored, truths = built[kind]
    source = source_of(stored)
    part = Part(stored, "train", 0, stored.splits["train"])
    assert stored.splits["train"] == (8 if kind == "freihand" else 6)
    names = [sample["name"].decode() for sample in stored.samples("train")]
    one = evaluation_batches(
        part, CropSettings(1.0, SIZE), num_batches=len(names), batch_size=1, share=Share()
    )
    for name, host in zip(names, one, strict=True):
        truth = truths[name]
        mirror = np.array([-1, 1, 1]) if name.endswith("left") else 1
        # Quantised to 16 bits of a hand's box.
        np.testing.assert_allclose(host["vertices"][0], truth.vertices * mirror, atol=4e-6)
        if truth.keypoints is not None:
            np.testing.assert_allclose(host["keypoints"][0], truth.keypoints, atol=1e-6)
        # The corner shows the picture's colour, within JPEG's losses.
        np.testing.assert_allclose(host["image"][0, 2, 2], truth.colour, atol=5)
        batch = source._as_it_is(to_devices(host, source._sharding))
        check_batch(batch, stored.hand.atlas)
        # The hand's box and its margin: 1.25 sides.
        place = np.asarray(project(batch.camera, batch.vertices))[0]
        assert np.ptp(place, axis=0).max() == pytest.approx(0.8, abs=1e-3)
        inside = np.asarray(batch.hand_mask)[0]
        assert inside[SIZE // 2, SIZE // 2] == 1 and inside[0, 0] == 0
        # The mesh is a bent sheet: its silhouette is not much less than its convex hull.
        assert inside.mean() == pytest.approx(0.9 * ConvexHull(place).volume, rel=0.12)


def test_varied_batches_stay_exact(built):
    stored, _ = built["freihand"]
    source = source_of(stored)
    batches = [source.training_batch(step) for step in range(3)]
    for batch in batches:
        assert batch.image.shape == (2, SIZE, SIZE, 3)
        check_batch(batch, stored.hand.atlas)
    sides = [np.ptp(np.asarray(project(b.camera, b.vertices)), axis=1).max(-1) for b in batches]
    assert np.std(sides) > 0.01
    # Without variation and turn, each is as in the evaluation.
    plain = source_of(stored, turn_degrees=0.0, variation=0.0).training_batch(0)
    place = np.asarray(project(plain.camera, plain.vertices))
    np.testing.assert_allclose(np.ptp(place, axis=1).max(-1), 0.8, atol=1e-3)


def assert_same(first, second):
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_rendered_sets_come_through_as_they_were_drawn(tmp_path, fast_renderer):
    settings = BuildSettings(
        render=RenderConfig(image_size=48, uv_map_size=2), seed=5, count=12, num_shards=1,
        batch_size=4, image_format="png",
    )  # fmt: skip
    builder = SyntheticHands(data_dir=tmp_path, config=SyntheticHandsConfig(settings=settings))
    builder.download_and_prepare()
    stored = open_set(builder.data_path)
    samples = stored.samples("train")
    (batch,) = source_of(stored).evaluation_batches()
    # The last two of twelve are held out. At 64 pixels: the drawn 48, enlarged.
    tables = build_tables(load_hand().atlas, 16)
    for index, sample in enumerate((samples[10], samples[11])):
        drawn = decode_sample(sample, tables)
        ours = jax.tree.map(lambda leaf, i=index: np.asarray(leaf[i]), batch)
        for name in ("vertices", "keypoints", "uv_map"):
            np.testing.assert_allclose(
                getattr(ours, name), getattr(drawn, name), rtol=1e-4, atol=1e-5, err_msg=name
            )
        np.testing.assert_allclose(ours.camera.principal, drawn.camera.principal, atol=1e-5)
        np.testing.assert_allclose(
            ours.image.mean(axis=(0, 1)), drawn.image.mean(axis=(0, 1)), atol=0.01
        )
        assert ours.hand_mask.mean() == pytest.approx(drawn.hand_mask.mean(), abs=0.02)


def test_a_resumed_order_is_the_uninterrupted_one(built):
    sets = [built[kind][0] for kind in ("freihand", "hic")]
    through = source_of(*sets)
    batches = [through.training_batch(step) for step in range(6)]
    resumed = source_of(*sets)
    for step in (3, 4, 5, 1):
        assert_same(resumed.training_batch(step), batches[step])
    assert through.state(4) == {**resumed.state(0), "next_index": 4}
    assert through.state(0) != source_of(sets[0]).state(0)


def test_the_border_between_training_and_evaluation_belongs_to_the_state(built, monkeypatch):
    # A resumed run would else be measured on pictures that it was trained on.
    monkeypatch.setattr(files, "_HELD_OUT_SHARE", 0.5)
    stored, _ = built["hic"]  # has no split for evaluation
    config = config_of(stored)
    sharding = batch_sharding(make_mesh(1))

    def state(num_images):
        changed = replace(config, evaluation=EvaluationConfig(num_images=num_images))
        return FileSource(changed, source_keys(changed), sharding).state(0)

    assert state(1) == state(1) != state(2)
    assert state(2)["trained_on"] == [4]


def order(batches, count):
    """Which samples come, by a number that tells them apart."""
    return [batches[i]["vertices"][:, 7].sum(axis=1).tolist() for i in range(count)]


ALONE = Share()


def batches_of(stored, share=ALONE, batch_size=2, sets=None):
    parts = sets or [Part(stored, "train", 0, stored.splits["train"])]
    crop = CropSettings(1.0, 16)
    return training_batches(parts, crop, seed=5, batch_size=batch_size, share=share)


def test_two_processes_read_disjoint_shards_that_cover_all(built):
    stored, _ = built["hic"]
    alone = order(batches_of(stored, batch_size=6), 3)
    first, second = (order(batches_of(stored, Share(i, 2), batch_size=3), 3) for i in range(2))
    for whole, left, right in zip(alone, first, second, strict=True):
        assert not set(left) & set(right)
        assert sorted(left + right) == sorted(whole) and len(set(whole)) == 6
    # Every epoch has an order of its own.
    assert alone[0] != alone[1] != alone[2]


def test_worker_processes_change_nothing_and_need_no_accelerator(built, monkeypatch):
    # Inherited by the workers: whoever asks JAX for a device there fails.
    monkeypatch.setenv("JAX_PLATFORMS", "nowhere")
    batches = batches_of(built["freihand"][0])
    expected = order(batches, 5)[1:]
    iterator = read_ahead(batches, first=1, num_workers=2)
    got = [next(iterator)["vertices"][:, 7].sum(axis=1).tolist() for _ in expected]
    iterator.close()
    assert got == expected


def test_worker_processes_outlive_the_signals_that_stop_a_run(built):
    batches = batches_of(built["freihand"][0])
    iterator = read_ahead(batches, first=0, num_workers=1)
    next(iterator)
    (worker,) = multiprocessing.active_children()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid, number)
    got = [next(iterator)["vertices"][:, 7].sum(axis=1).tolist() for _ in range(5)]
    iterator.close()
    assert got == order(batches, 6)[1:]


def test_worker_processes_end_with_a_killed_run():
    lines = (
        "import multiprocessing, time",
        "from i2uv_jax.data.file_order import _start_worker",
        "def work():",
        "    _start_worker(0, 1)",
        "    print('ready', flush=True)",
        "    time.sleep(600)",
        "multiprocessing.get_context('fork').Process(target=work).start()",
        "time.sleep(600)",
    )
    run = subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE)
    assert run.stdout.readline() == b"ready\n"
    run.kill()
    # The worker holds the pipe, too: it ends once both are gone.
    run.communicate(timeout=30)


def test_sets_are_mixed_by_weight(built):
    sets = [built[kind][0] for kind in ("freihand", "ho3d_v3")]
    parts = [
        Part(stored, "train", 0, stored.splits["train"], weight)
        for stored, weight in zip(sets, (3.0, 1.0), strict=True)
    ]
    batches = batches_of(None, sets=parts, batch_size=8)
    for index in range(3):
        depths = batches[index]["vertices"][..., 2].mean(axis=1)
        # HO-3D's hands stand at 0.6 m, FreiHAND's at 0.7 m.
        assert (depths < 0.65).sum() == 2, depths


def test_what_is_evaluated_is_not_trained_on(built):
    own, truths = built["freihand"]
    (batch,) = source_of(own, turn_degrees=0.0).evaluation_batches()
    # FreiHAND has a split of its own for that.
    expected = sorted(truths[f"evaluation/0000000{i}"].keypoints[0, 0] for i in range(2))
    np.testing.assert_allclose(sorted(np.asarray(batch.keypoints)[:, 0, 0]), expected, atol=1e-6)
    # Of the six of HIC one is held out.
    source = source_of(built["hic"][0])
    (batch,) = source.evaluation_batches()
    held_out = np.asarray(batch.vertices)[0, 7, 0]
    trained = np.concatenate([source.training_batch(step).vertices[:, 7] for step in range(5)])
    sizes = np.linalg.norm(trained[:, :2], axis=1)  # a turn keeps the distance from the axis
    assert len(np.unique(np.round(trained[:, 2], 5))) == 5
    assert np.abs(trained[:, 2] - np.asarray(batch.vertices)[0, 7, 2]).min() > 1e-5
    assert sizes.min() > 0 and np.isfinite(held_out)


def test_sets_of_different_hands_or_too_few_samples_are_refused(built, tmp_path, mano_files):
    archives.write_hic(tmp_path / "archives", mano_files.mano_path, 2)
    small = HicPhotos(data_dir=tmp_path, config=mano_files)
    small.build(tmp_path / "archives")
    with pytest.raises(ValueError, match=r"too few samples \(2\) to keep some for evaluation"):
        source_of(open_set(small.data_path))
    moved = replace(mano_files, template_path=tmp_path / "moved.obj")
    text = mano_files.template_path.read_text().replace("vt 0.05", "vt 0.04")
    moved.template_path.write_text(text)
    with pytest.raises(ValueError, match=r"cannot be continued \(it has another UV template"):
        HicPhotos(data_dir=tmp_path, config=moved).build(tmp_path / "archives")
    archives.write_hic(tmp_path / "more", mano_files.mano_path, 3)
    with pytest.raises(ValueError, match=r"its archives held .* 2.* photos, these .* 3"):
        HicPhotos(data_dir=tmp_path, config=mano_files).build(tmp_path / "more")
    HicPhotos(data_dir=tmp_path, config=mano_files).build(tmp_path / "archives")
    assert open_set(small.data_path).splits == {"train": 2}
    other = HicPhotos(data_dir=tmp_path / "other", config=moved)
    other.build(tmp_path / "archives")
    with pytest.raises(ValueError, match=r"data\.sets: .* hands of different meshes or UV charts"):
        source_of(built["hic"][0], open_set(other.data_path))
    with pytest.raises(ValueError, match=r"nothing: no stored set .*i2uv data build"):
        open_set(tmp_path / "nothing")


def test_missing_archives_name_page_and_terms_and_leave_no_set(tmp_path, mano_files):
    builder = FreiHandPhotos(data_dir=tmp_path / "sets", config=mano_files)
    with pytest.raises(ValueError, match=r"nowhere: no such .*lmb\.informatik.*research only"):
        builder.build(tmp_path / "nowhere")
    archives.write_freihand(tmp_path / "archives", mano_files.mano_path)
    (tmp_path / "archives" / "training" / "rgb" / "00000006.jpg").unlink()
    with pytest.raises(ValueError, match=r"00000006\.jpg: no such file"):
        builder.build(tmp_path / "archives")
    assert not list((tmp_path / "sets").rglob("dataset_info.json"))


def test_a_picture_that_is_cut_off_is_named_as_the_set_is_built(tmp_path, mano_files):
    archives.write_hic(tmp_path / "archives", mano_files.mano_path)
    path = tmp_path / "archives" / "01" / "1" / "rgb" / "001.png"
    path.write_bytes(path.read_bytes()[:-400])
    builder = HicPhotos(data_dir=tmp_path / "sets", config=mano_files)
    with pytest.raises(ValueError, match=r"rgb/001\.png: cannot be read with its mask \("):
        builder.build(tmp_path / "archives")
    assert not list((tmp_path / "sets").rglob("dataset_info.json"))


def test_freihand_without_shipped_vertices_takes_mano_s(tmp_path, mano_files, built):
    truths = archives.write_freihand(
        tmp_path / "archives", mano_files.mano_path, with_vertices=False
    )
    builder = FreiHandPhotos(data_dir=tmp_path / "sets", config=mano_files)
    builder.build(tmp_path / "archives")
    stored = open_set(builder.data_path)
    assert dict(stored.splits) == {"train": 8}
    for sample in stored.samples("train"):
        truth = truths[sample["name"].decode()]
        vertices = sample["vertices_low"] + sample["vertices_step"] * sample["vertices"]
        np.testing.assert_allclose(vertices, truth.vertices, atol=1e-5)

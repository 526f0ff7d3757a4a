"""A card holds the numbers of the model's file and of its evaluations, and says what is unknown."""

import json

import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig
from i2uv_jax.evaluate.generated import GENERATED
from i2uv_jax.evaluate.model_card import (
    DescribedModel,
    energy_kwh,
    model_card,
    pictures_seen,
    read_evaluation,
)
from i2uv_jax.models.complexity import PartComplexity

FINGERPRINT = "0123456789abcdef"
CARD = {
    "name": "made_up",
    "steps": 1000,
    "batch_size": 64,
    "training_time": {"seconds": 7200, "device": "NVIDIA H200", "devices": 2},
    "recipe": {
        "optim.algorithm": "muon",
        "train.seed": 5,
        "loss.stage_terms": [["uv_l1", 2.0], ["uv_mask", 0.1]],
        "render.closeup_share": 0.7,
    },
    "history": [
        {"name": "first", "steps": 10, "batch_size": 8,
         "training_time": {"seconds": 3600, "device": "cpu", "cores": 4}},
    ],
}  # fmt: skip
GROUP = {"hands": 3, "keypoint_aligned_mm": 8.125, "vertex_aligned_mm": 9.0,
         "f_aligned_5": 0.25, "f_aligned_15": None}  # fmt: skip
SYNTHETIC = {
    "model_file": FINGERPRINT,
    "pictures_of": "hard.py, seed 9001",
    "benchmark": GENERATED,
    "pictures": 7,
    "found": 6,
    "scores": {"all": {"keypoint_aligned_mm": 12.34, "keypoint_aligned_auc": 0.765,
                       "vertex_mm": None, "f_aligned_5": 0.4, "f_aligned_15": 0.9}},
    "groups": {"skin tone": {"Monk 1 to 3": GROUP}, "age": {"older": GROUP}},
    "surfaces": {"depth map": {"to_truth_mean_mm": 1.5, "from_truth_mean_mm": 2.5,
                               "complete": 0.55}},
}  # fmt: skip
PHOTOS = {"pictures": 4, "failed": ["a.jpg"], "error_over_box": 0.1234, "auc_of_pck": None}
SCENES = {"detector": "palm", "scenes": 9, "hands": 11, "average_precision": 0.875, "recall": 0.75}


def described(card=CARD, **changes):
    config = HandNetConfig(AffineNetConfig("resnet18", 0.375), sr=None, image_size=64, looks=2)
    values = {"limits": "- Wrong about gloves.", "licence": "Apache-2.0", **changes}
    # Two looks, the second one's map super-resolved: 2 x 1.9 + 0.2 GFLOP.
    parts = (
        PartComplexity("affine_net/encoder", 1_234_000, 1_900_000_000),
        PartComplexity("sr_net", 567, 200_000_000),
    )
    return DescribedModel(
        "made_up", config, card, parts, num_bytes=2_500_000, fingerprint=FINGERPRINT, **values
    )


@pytest.fixture
def written(tmp_path):
    """Writes metrics.json into a folder and reads it back."""

    def write(metrics, name="evaluation"):
        (tmp_path / name).mkdir()
        text = metrics if isinstance(metrics, str) else json.dumps(metrics)
        (tmp_path / name / "metrics.json").write_text(text)
        return read_evaluation(tmp_path / name, FINGERPRINT)

    return write


def test_pictures_and_energy_are_summed_over_all_runs():
    assert pictures_seen(CARD) == (64_000 + 80, True)
    # 2 h x 2 x 700 W, and 1 h x 4 cores x 10 W.
    assert energy_kwh(CARD) == (pytest.approx(2.8 + 0.04), True)


def test_runs_that_tell_nothing_leave_a_lower_bound():
    card = {**CARD, "history": [{"name": "gone"}]}
    assert pictures_seen(card) == (64_000, False)
    assert energy_kwh(card) == (pytest.approx(2.8), False)
    assert (
        energy_kwh({"training_time": {"seconds": 1, "device": "TPU v4", "devices": 1}})[1] is False
    )


def test_a_joined_model_was_trained_as_long_as_its_parts():
    parts = {"affine_net": CARD, "sr_net": {"steps": 5, "batch_size": 2}}
    assert pictures_seen(parts) == (64_080 + 10, True)


def test_the_card_of_a_model_that_tells_everything(written):
    evaluations = [written(SYNTHETIC, "hard"), written(PHOTOS, "photos"), written(SCENES, "scenes")]
    text = model_card(described(), evaluations)
    for line in (
        "# made_up",
        "| parameters | 1,234,567 |",
        "| GFLOP a picture | 4.000 |",
        "| licence | Apache-2.0 |",
        "64,080 pictures seen (steps x batch, all runs). Generated ones alone: the renderer's, "
        "seed 5. Values that differ from the defaults in the last run:",
        "| `render.closeup_share` | 0.7 |",
        "| `optim.algorithm` | muon |",
        "| `loss.stage_terms` | uv_l1 2.0, uv_mask 0.1 |",
        "| first | 10 | 8 | 1.00 h, cpu, 4 cores |",
        "| made_up | 1,000 | 64 | 2.00 h, NVIDIA H200, 2 devices |",
        "## Hands of generated pictures: hard.py, seed 9001",
        "| keypoints, aligned | 12.34 | 0.765 |",
        "| F, aligned | 0.400 | 0.900 |",
        "| by skin tone, aligned | hands | keypoints mm | vertices mm | F@5 | F@15 |",
        "| Monk 1 to 3 | 3 | 8.12 | 9.00 | 0.250 | - |",
        "| older | 3 | 8.12 | 9.00 | 0.250 | - |",
        "| depth map | 1.50 | 2.50 | 0.550 |",
        "4 photos, 1 without a prediction.",
        "| mean error over box | 0.123 |",
        "## Finding hands in generated scenes: palm",
        "| average precision | 0.875 |",
        "- Wrong about gloves.",
    ):
        assert line in text.splitlines(), line
    assert "2.84 kWh: hours x devices x rated watts" in text
    assert "vertices, as they are" not in text and "PCK" not in text


def test_who_told_keypoints_is_said(written):
    card = model_card(described(), [written(SYNTHETIC | {"detector": "palm"})])
    assert "generated pictures: hard.py, seed 9001; keypoints told by palm\n" in card


def test_the_card_of_a_model_that_tells_nothing():
    lines = model_card(described({}, limits=None, licence=None), []).splitlines()
    seen = "At least 0 pictures seen (steps x batch, all runs)."
    assert f"{seen} Settings of the generator: unknown." in lines
    assert "| unknown | unknown | unknown | unknown |" in lines
    assert "Unknown: the file tells no hours on a device of known power." in lines
    assert "| licence | unknown |" in lines
    assert "Nobody has written them down." in lines


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("{", r"metrics.json: not valid JSON"),
        ("[1]", r"metrics.json: not what an `i2uv eval` writes"),
        ({"pictures": 3}, r"metrics.json: not what an `i2uv eval` writes"),
        ({**SYNTHETIC, "model_file": "f00"}, r"metrics.json: is of another model file \(f00, not"),
    ],
)
def test_results_that_are_none_are_one_line(written, metrics, message):
    with pytest.raises(ValueError, match=message) as raised:
        written(metrics)
    assert "\n" not in str(raised.value)


def test_results_that_are_not_there_or_not_whole_are_one_line(written, tmp_path):
    with pytest.raises(ValueError, match=r"none/metrics.json: No such file or directory$"):
        read_evaluation(tmp_path / "none", FINGERPRINT)
    halved = {name: value for name, value in SYNTHETIC.items() if name != "groups"}
    with pytest.raises(ValueError, match=r"metrics.json: not as it was written \(KeyError: 'gr"):
        model_card(described(), [written(halved)])

"""Palms: the network against MediaPipe's own file, anchors and boxes by hand."""

import jax
import numpy as np

from i2uv_jax.config import PalmNetConfig
from i2uv_jax.detection.boxes import drop_contained
from i2uv_jax.detection.palms import anchor_centres, find_palms
from i2uv_jax.models.model_files import MODEL_SUFFIX, PALM_NET, WEIGHTS_DIRECTORY
from i2uv_jax.models.palm_net import build_palm_net
from i2uv_jax.models.weights import load_model_file

NUM_ANCHORS = 24 * 24 * 2 + 12 * 12 * 6


def test_the_network_says_what_mediapipe_s_file_says(request):
    """The golden answers are of `palm_detection_full.tflite` (wheel 0.10.14) in LiteRT 2."""
    golden = np.load(request.config.rootpath / "tests" / "golden" / "palm_net.npz")
    y, x = np.mgrid[:192, :192].astype(np.float32) / 192
    waves = [np.sin(7 * x + 3 * y), np.cos(11 * y - 2 * x), np.sin(23 * x * y)]
    picture = np.stack([0.5 + 0.5 * wave for wave in waves], axis=-1)[None]
    path = WEIGHTS_DIRECTORY / (PALM_NET + MODEL_SUFFIX)
    config, variables, card = load_model_file(path, PalmNetConfig)
    assert config == PalmNetConfig()
    assert card["licence"].startswith("Apache-2.0")
    network = build_palm_net(config)
    output = jax.jit(lambda v, p: network.apply(v, p, train=False))(variables, picture)
    assert output.logits.shape == (1, NUM_ANCHORS)
    at = golden["anchors"]
    np.testing.assert_allclose(output.logits[0, at], golden["logits"], atol=2e-3)
    np.testing.assert_allclose(output.values[0, at], golden["values"], atol=2e-2)  # pixels


def test_anchors_stand_in_the_middles_of_their_cells():
    centres = anchor_centres(192)
    assert centres.shape == (NUM_ANCHORS, 2)
    np.testing.assert_allclose(centres[:2] * 192, [[4, 4], [4, 4]])
    np.testing.assert_allclose(centres[2] * 192, [12, 4])  # x runs first
    np.testing.assert_allclose(centres[1152:1158] * 192, np.full((6, 2), 8))
    np.testing.assert_allclose(centres[-1] * 192, [184, 184])


def answers(anchors):
    """Logits and values that say nothing but at the given anchors: (logit, 18 pixels)."""
    logits, values = np.full(NUM_ANCHORS, -20.0), np.zeros((NUM_ANCHORS, 18))
    for anchor, (logit, told) in anchors.items():
        logits[anchor], values[anchor] = logit, told
    return logits, values


def test_a_palm_by_hand():
    # Anchor 0 stands at (4, 4) pixels of 192; the box is 20 wide about a middle 8 right of it.
    told = [8, 0, 20, 20, *range(1, 15)]
    palms = find_palms(*answers({0: (0.0, told)}), 192, min_score=0.4)
    np.testing.assert_allclose(palms.score, [0.5])
    np.testing.assert_allclose(palms.box * 192, [[2, -6, 22, 14]])
    np.testing.assert_allclose(palms.points[0, 0] * 192, [5, 6])
    np.testing.assert_allclose(palms.points[0, 6] * 192, [17, 18])
    assert len(find_palms(*answers({0: (0.0, told)}), 192, min_score=0.6).score) == 0


def test_anchors_that_see_one_palm_are_averaged_by_score():
    told = [[0, 0, 40, 40, *[0] * 14], [4, 0, 40, 40, *[0] * 14], [0, 100, 40, 40, *[0] * 14]]
    even = np.log(0.9 / 0.1)
    palms = find_palms(
        *answers({0: (even, told[0]), 1: (np.log(0.6 / 0.4), told[1]), 2: (even, told[2])}),
        192,
        min_score=0.5,
    )
    np.testing.assert_allclose(palms.score, [0.9, 0.9])
    np.testing.assert_allclose(palms.box[0] * 192, [-16 + 1.6, -16, 24 + 1.6, 24])


def test_a_box_within_a_likelier_one_goes():
    boxes = np.array([[0, 0, 10, 10], [2, 2, 6, 6], [8, 0, 18, 10]], float)
    assert drop_contained(boxes, np.array([0.9, 0.8, 0.7]), 0.9).tolist() == [0, 2]
    # The likelier of the two stays, however small.
    assert drop_contained(boxes, np.array([0.5, 0.8, 0.7]), 0.9).tolist() == [1, 2, 0]
    # Unless the larger one is taken for the same hand.
    scores = np.array([0.5, 0.8, 0.7])
    assert drop_contained(boxes, scores, 0.9, either_way=True).tolist() == [1, 2]
    assert drop_contained(np.zeros((0, 4)), np.zeros(0), 0.9).tolist() == []

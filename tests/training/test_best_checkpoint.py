"""The checkpoint that scored best outlives newer ones, and becomes a model of its own."""

import json

import chex
import pytest

from i2uv_jax.config_io import with_overrides
from i2uv_jax.training import loop
from i2uv_jax.training.best_checkpoint import EvaluatedSteps
from tests.training.two_convolutions import TWO_STAGES, use_two_convolutions

ERRORS = {1: 9.0, 2: 5.0, 3: 7.0, 4: 8.0, 5: 6.0}


@pytest.fixture
def run(tmp_path, sheet_config, sheet_source, monkeypatch):
    """A function that trains up to a step, with evaluations that say what `ERRORS` says."""
    use_two_convolutions(monkeypatch.setattr)
    seen, exported = {}, {}

    def evaluate(task, evaluation_step, variables, source):
        step = len(seen) + 1
        seen[step] = variables
        return {"aligned_vertex_mm": ERRORS[step], "aligned_keypoint_mm": 1.0}

    def export(path, *, state, scores, **_):
        exported[path.name] = int(state.step), scores["aligned_vertex_mm"], state.best_variables

    monkeypatch.setattr(loop, "evaluate", evaluate)
    monkeypatch.setattr(loop, "export_model", export)

    def train(num_steps, **options):
        overrides = [
            TWO_STAGES, f"train.num_steps={num_steps}", "train.evaluate_every=1",
            "train.save_every=1", "train.keep_checkpoints=1",
        ]  # fmt: skip
        config = with_overrides(sheet_config, overrides)
        loop.train(config, tmp_path / "run", source=sheet_source(config), **options)
        return tmp_path / "run", seen, exported

    return train


def checkpoints(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_best_is_kept_beside_the_newest_and_exported_even_after_a_resumption(run):
    folder, *_ = run(4)
    assert checkpoints(folder) == ["2", "4"]
    folder, seen, exported = run(5, resume=True)
    assert checkpoints(folder) == ["2", "5"]
    assert {name: found[:2] for name, found in exported.items()} == {
        "model.safetensors": (5, 6.0),
        "best.safetensors": (2, 5.0),
    }
    chex.assert_trees_all_equal(exported["best.safetensors"][2], seen[2])
    assert set(json.loads((folder / "evaluated.json").read_text())) == set("12345")


def test_no_second_model_where_the_last_is_the_best(run):
    folder, *_ = run(1)
    (folder / "best.safetensors").write_bytes(b"of a step that was best then")
    *_, exported = run(2, resume=True)
    assert set(exported) == {"model.safetensors"}
    assert not (folder / "best.safetensors").exists()


def test_only_evaluated_steps_count(tmp_path):
    steps = EvaluatedSteps(tmp_path / "evaluated.json", lambda scores: scores["mm"])
    assert steps.best([1, 2]) is None
    for step, error in ((2, 3.0), (4, 1.0), (6, 2.0)):
        steps.note(step, {"mm": error})
    again = EvaluatedSteps(tmp_path / "evaluated.json", lambda scores: scores["mm"])
    assert again.best([1, 2, 4, 6, 7]) == 4
    assert again.best([1, 2, 6, 7]) == 6
    again.note(1, {"mm": float("nan")})
    assert again.best([1, 2, 6, 7]) == 6 and again.best([1]) is None
    (tmp_path / "evaluated.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"evaluated\.json: no scores by step"):
        EvaluatedSteps(tmp_path / "evaluated.json", lambda scores: scores["mm"])

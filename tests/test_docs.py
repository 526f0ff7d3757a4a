"""Every command and example of the documents works as it stands there."""

import json
import os
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from i2uv_jax.cli.main import main
from i2uv_jax.config import plain_looks
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.imaging.video import open_video_writer
from i2uv_jax.registration import fitting
from i2uv_jax.render import scene
from tests.archives import write_freihand
from tests.mano_files import write_mano, write_template
from tests.registration.stand_in import StandIn
from tests.training.two_convolutions import TWO_STAGES, use_two_convolutions

ROOT = Path(__file__).parents[1]

DOCUMENTS = {
    "README.md": {
        "demo",
        "predict",
        "track",
        "info",
        "train",
        "join",
        "eval",
        "data",
        "bench",
        "export",
    },
    "docs/benchmarks.md": {"bench"},
    "docs/export.md": {"export", "bench"},
    "docs/data.md": {"data", "bench"},
    "docs/datasets.md": {"data"},
    "docs/evaluation.md": {"eval", "info"},
    "docs/training.md": {"train"},
    "docs/scaling.md": {"bench"},
    "docs/base.md": {"bench"},
    "docs/detection.md": {"predict", "eval"},
    "docs/video.md": {"track"},
    "docs/rigs.md": {"predict"},
}
"""Documents with commands, and the verbs that each shows."""

PLAIN = [f"--render.{key}=0" for key in (
    "skin.detail", "skin.relief", "skin.variation", "light.environment", "light.shadows",
    "light.occlusion", "light.subsurface", "light.gloss", "light.exposure", "forearm.sleeve_share",
    "forearm.ring_share", "forearm.band_share", "sensor.strength", "background.clutter",
    "background.people_share",
)]  # fmt: skip
"""A renderer that compiles quickly."""

SHORTENED = {
    "train": ["--train.num_steps=12", "--train.batch_size=4", "--train.num_devices=1",
              "--evaluation.num_images=4", "--model.affine.coarse_to_fine=false",
              f"--{TWO_STAGES}"],
    "data": ["--count=3", "--size=32", "--batch=2", "--render.forearm.share=1", *PLAIN],
    "eval synthetic": ["--count=3", "--surfaces=1", "--size=32", "--batch=2"],
    "eval detector": ["--count=2", "--render.forearm.share=1", *PLAIN],
    "bench infer": ["--runs=1", "--no-parts", "--batch=1"],
    "bench predict": ["--count=1", "--starts=0", "--photos=1", "--width=80"],
    "bench eval": ["--count=4"],
    "bench export": ["--compare=2"],
    "bench train": ["--collectives=2", *PLAIN],
    "bench": ["--no-parts", "--runs=2", "--size=32", "--batch=2"],
    "export": ["--compare=2"],
}  # fmt: skip
"""What makes a verb's command quick without changing what it does."""

RUNTIMES = {"onnx": "onnxruntime", "litert": "ai_edge_litert"}


def code_blocks(path):
    """(language, text) of every fenced block."""
    return re.findall(r"```(\w*)\n(.*?)```", path.read_text(), flags=re.DOTALL)


def commands_of(document):
    """What follows `i2uv` in the commands of a document."""
    blocks = "".join(text for language, text in code_blocks(ROOT / document) if not language)
    return re.findall(r"uv run i2uv (.*)", blocks)


COMMANDS = list(dict.fromkeys(command for name in DOCUMENTS for command in commands_of(name)))
"""Each once, whichever documents show it."""

SLOW = ("bench train", "bench export", "eval detector", "eval synthetic", "export --fine")
"""How commands begin that compile for half a minute, whatever they are given."""

RENDERING = {"demo --out out", "data sheet --out out/sheet.png"}
"""Commands that run with the renderer itself, the second one through the generator."""


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(pixels).save(folder / "photo.png")
    Image.fromarray(255 - pixels).save(folder / "another.png")
    (folder / "annotations.json").write_text('[{"file": "photo.png"}]')
    return folder / "photo.png"


@pytest.fixture
def video(tmp_path):
    pytest.importorskip("av")
    with open_video_writer(tmp_path / "clip.mp4", 25) as writer:
        for number in range(2):
            writer.write(np.full((48, 64, 3), 99, np.uint8), number / 25)
    return tmp_path / "clip.mp4"


@pytest.fixture
def scans(tmp_path):
    """A folder with the mesh of the packaged hand."""
    hand = load_hand()
    (tmp_path / "scans").mkdir()
    trimesh.Trimesh(hand.template, hand.faces).export(tmp_path / "scans" / "hand.ply")
    return tmp_path / "scans"


@pytest.fixture
def evaluation(tmp_path):
    """A folder with results of `i2uv eval detector`."""
    (tmp_path / "detector").mkdir()
    scores = {"detector": "palm", "scenes": 1, "hands": 2, "average_precision": 1.0, "recall": 1.0}
    (tmp_path / "detector" / "metrics.json").write_text(json.dumps(scores))
    return tmp_path / "detector"


@pytest.fixture
def archives(tmp_path):
    """What `i2uv data build --set freihand` reads, in miniature."""
    mano = write_mano(tmp_path / "MANO_RIGHT.pkl")
    write_freihand(tmp_path / "archives", mano)
    template = write_template(tmp_path / "template.obj")
    pred = tmp_path / "pred.json"
    truth = [
        (tmp_path / f"archives/evaluation_{name}.json").read_text() for name in ("xyz", "verts")
    ]
    pred.write_text(f"[{truth[0]}, {truth[1]}]")
    return {"ARCHIVES": tmp_path / "archives", "MANO": mano, "TEMPLATE": template, "PRED": pred}


@pytest.fixture
def plain_demo(monkeypatch):
    """Lets `i2uv demo` render a hand of plain looks."""
    sample_batch = scene.sample_batch
    monkeypatch.setattr(
        scene,
        "sample_batch",
        lambda key, hand, config, count: sample_batch(key, hand, plain_looks(config), count),
    )


def key_of(words):
    """The key in `SHORTENED` of a command: its verb, or its first two words."""
    two = " ".join(words[:2])
    return two if two in SHORTENED else words[0]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_show_these_verbs(document):
    verbs = {shlex.split(command)[0] for command in commands_of(document)}
    assert verbs == DOCUMENTS[document]
    assert set(COMMANDS) >= RENDERING


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=pytest.mark.slow) if command.startswith(SLOW) else command
        for command in COMMANDS
    ],
)
def test_every_i2uv_command_succeeds(request, tmp_path, photo, monkeypatch, command):
    monkeypatch.chdir(ROOT)
    words = shlex.split(command)
    if command not in RENDERING:
        request.getfixturevalue("fast_renderer")
    if words[0] == "demo":
        request.getfixturevalue("plain_demo")
    if words[0] == "train":
        # `tests/integration/test_training.py` runs this command with its own network.
        use_two_convolutions(monkeypatch.setattr)
    if words[:2] == ["bench", "train"]:
        # It says in the environment how many devices it wants: here there are two.
        monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"])
        monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    if words[0] == "export":
        extra = words[words.index("--format") + 1]
        if extra in RUNTIMES:
            pytest.importorskip(RUNTIMES[extra], reason=f"needs the extra {extra}")
    own = {"PHOTO": photo, "DIR": photo.parent, "FILE": photo.parent / "annotations.json"}
    if "VIDEO" in words:
        own["VIDEO"] = request.getfixturevalue("video")
    if "SCANS" in words:
        # `tests/registration` fits real scans.
        monkeypatch.setattr(fitting, "HandFitter", StandIn)
        monkeypatch.setattr(StandIn, "fitted", [])
        own["SCANS"] = request.getfixturevalue("scans")
    if "EVALUATION" in words:
        own["EVALUATION"] = request.getfixturevalue("evaluation")
    if "ARCHIVES" in words:
        own |= request.getfixturevalue("archives")
    is_quick = bool({"register", "--set", "--memory"} & {*words})
    shortened = [] if is_quick else SHORTENED.get(key_of(words), [])
    words = [str(own.get(word, word)) for word in words]
    for option in {"--out", "--card"} & {*words}:
        place = words.index(option) + 1
        words[place] = str(tmp_path / words[place])
    assert main([*words, *shortened]) == 0, command


@pytest.mark.slow
def test_the_demo_as_it_stands_draws_its_hand_and_finds_it(tmp_path):
    assert main(["demo", "--out", str(tmp_path)]) == 0


def test_the_readme_s_python_example_runs(request, photo):
    (example,) = [
        text for language, text in code_blocks(request.config.rootpath / "README.md") if language
    ]
    names = {"photo": np.asarray(Image.open(photo)), "box": (10, 10, 80, 70)}
    exec(example, names)
    assert names["hand"].vertices_mm.shape[-1] == 3
    for document in ("detection.md", "video.md", "rigs.md"):
        blocks = code_blocks(request.config.rootpath / "docs" / document)
        (further,) = [text for language, text in blocks if language]
        exec(further, names)
    assert isinstance(names["hands"], list)


def test_documents_name_only_extras_and_files_that_exist(request):
    root = request.config.rootpath
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    documents = ("README.md", "BUILD.md", "docs/data.md", "docs/datasets.md", "docs/evaluation.md",
                 "docs/benchmarks.md", "docs/export.md", "docs/detection.md",
                 "docs/training.md", "docs/scaling.md", "docs/base.md", "docs/video.md",
                 "docs/rigs.md", "launch/README.md")  # fmt: skip
    text = "".join((root / name).read_text() for name in documents)
    named = re.findall(r"--extra (\w+)", text) + re.findall(r"\.\[(\w+)\]", text)
    assert set(named) == set(extras)
    for module in re.findall(r"python -m ([\w.]+)", text):
        if module != "pip":
            assert (root / (module.replace(".", "/") + ".py")).exists(), module
    for path in re.findall(r"`((?:i2uv_jax|configs|examples|launch|tests)/[\w./]+\.\w+)`", text):
        assert (root / path).exists(), path

"""The challenges' files of predictions: [keypoints of all samples, vertices of all samples].

FreiHAND and HO-3D ask for a `pred.json`, zipped, with lists of points in metres: 21 keypoints in
the owners' order and the mesh's vertices, in the frame of the owners' camera, one entry for every
picture of the evaluation. Where a hand was not found the entry holds zeros, as in the owners' own
template of a participant.
"""

import io
import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from i2uv_jax.evaluate.answers import Answer, no_answer
from i2uv_jax.evaluate.sample import NUM_MANO_VERTICES, Benchmark, read_points
from i2uv_jax.geometry.keypoints import NUM_KEYPOINTS

PRED_JSON = "pred.json"

_DECIMALS = 6
"""Of metres: micrometres."""


def challenge_zip(benchmark: Benchmark, answers: Sequence[Answer]) -> bytes:
    """The zip file to submit."""
    signs = np.array(benchmark.mirror, np.float32)
    counts = {len(a.vertices) for a in answers if a.vertices is not None} or {NUM_MANO_VERTICES}
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file,
        file.open(PRED_JSON, "w") as text,
    ):
        text.write(b"[[")
        for index, answer in enumerate(answers):
            found = answer.problem is None
            points = answer.keypoints if found else np.zeros((NUM_KEYPOINTS, 3), np.float32)
            _write(text, index, benchmark.to_challenge(points))
        text.write(b"], [")
        for index, answer in enumerate(answers):
            vertices = np.zeros((max(counts), 3), np.float32)
            if answer.problem is None:
                vertices = np.zeros((0, 3)) if answer.vertices is None else answer.vertices
            _write(text, index, vertices * signs)
        text.write(b"]]")
    return buffer.getvalue()


def read_challenge(path: Path, benchmark: Benchmark) -> list[Answer]:
    """The answers of a pred.json, zipped or not, one for each sample of the benchmark.

    An entry that is missing, short or not finite is an answer with that problem, and so is a mesh
    with another number of vertices than most have; one of zeros alone is a hand that was not found.
    Vertices may be missing altogether.

    Raises:
      ValueError: the file cannot be read, is not two lists, or holds more entries than there are
        samples; one line.
    """
    content = _load(path)
    count = len(benchmark.samples)
    is_pair = isinstance(content, list) and len(content) == 2
    if not is_pair or not all(isinstance(part, list) for part in content):
        raise ValueError(f"{path}: expected two lists: keypoints and vertices of all pictures")
    keypoints, vertices = content
    if max(len(keypoints), len(vertices)) > count:
        raise ValueError(
            f"{path}: holds {len(keypoints)} and {len(vertices)} entries for {count} pictures"
        )
    has_mesh = any(vertices)
    answers = [
        _read_answer(
            benchmark,
            keypoints[index] if index < len(keypoints) else None,
            vertices[index] if index < len(vertices) else None,
            has_mesh=has_mesh,
        )
        for index in range(count)
    ]
    return _of_one_topology(answers)


def _of_one_topology(answers: list[Answer]) -> list[Answer]:
    """Those whose meshes have another number of vertices than most become answers without hand."""
    counts = Counter(len(answer.vertices) for answer in answers if answer.vertices is not None)
    if len(counts) < 2:
        return answers
    ((usual, _),) = counts.most_common(1)
    return [
        answer
        if answer.vertices is None or len(answer.vertices) == usual
        else no_answer(f"predicted vertices: {len(answer.vertices)}, where most have {usual}")
        for answer in answers
    ]


def _read_answer(
    benchmark: Benchmark, keypoints: object, vertices: object, *, has_mesh: bool
) -> Answer:
    if keypoints is None or (has_mesh and vertices is None):
        return no_answer("prediction: no entry")
    points, problem = read_points(keypoints, (NUM_KEYPOINTS, 3), "predicted keypoints")
    if problem is not None:
        return no_answer(problem)
    if not points.any():
        return no_answer("no hand found")
    mesh = None
    if has_mesh:
        mesh, problem = read_points(vertices, (None, 3), "predicted vertices")
        if problem is not None:
            return no_answer(problem)
        mesh = mesh * np.array(benchmark.mirror, np.float32)
    return Answer(benchmark.from_challenge(points), mesh)


def _load(path: Path) -> object:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                names = [name for name in file.namelist() if name.endswith(".json")]
                if len(names) != 1:
                    raise ValueError(f"expected one {PRED_JSON}, found {len(names)} .json files")
                return json.loads(file.read(names[0]))
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise ValueError(f"{path}: not a file of predictions ({error})") from error


def _write(text, index: int, points: np.ndarray) -> None:
    rows = np.round(points.astype(np.float64), _DECIMALS).tolist()
    text.write((", " if index else "").encode() + json.dumps(rows).encode())

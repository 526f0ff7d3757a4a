"""`i2uv bench data`, with a stand-in for the renderer whose parts cost known times."""

import json

import pytest

from i2uv_jax.cli.main import main
from i2uv_jax.config import RenderConfig
from i2uv_jax.data import benchmark
from i2uv_jax.data.benchmark import REST, Speed, ladder
from i2uv_jax.render.plain import is_plain

MILLISECONDS = {
    "sensor": 1.0,
    "background": 2.0,
    "occluders": 4.0,
    "skin, light, clothes": 8.0,
    "rasterising and plain shading": 16.0,
    "UV maps": 32.0,
    REST: 64.0,
}


@pytest.fixture
def known_costs(monkeypatch):
    """Every part costs its milliseconds a picture, in all configs that have it."""

    def measure_speed(config, hand, batch_size, *, num_runs):
        costs = {
            "sensor": config.sensor.strength > 0,
            "background": config.background.clutter > 0,
            "occluders": config.occlusion.front_share > 0,
            "skin, light, clothes": not is_plain(config),
            "rasterising and plain shading": config.image_size > 16,
            "UV maps": config.uv_map_size > 2,
            REST: True,
        }
        seconds = batch_size * sum(MILLISECONDS[part] for part, has in costs.items() if has) / 1000
        return Speed(batch_size, 3.5, (seconds, 2 * seconds, 0.5 * seconds), 5_000_000)

    monkeypatch.setattr(benchmark, "measure_speed", measure_speed)


def test_parts_sum_to_the_whole(known_costs, capsys):
    assert main(["bench", "data", "--batch", "4", "--size", "64", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["milliseconds_per_image"] == pytest.approx(MILLISECONDS)
    rate = 1000 / sum(MILLISECONDS.values())
    assert described["images_per_second"] == pytest.approx(
        {"median": rate, "slowest": rate / 2, "fastest": rate * 2}, abs=0.01
    )
    assert (described["batch"], described["image_size"], described["runs"]) == (4, 64, 3)
    assert described["compile_seconds"] == 3.5
    assert described["peak_host_megabytes"] > 50 and described["working_megabytes"] == 5.0


def test_table(known_costs, capsys):
    assert main(["bench", "data"]) == 0
    captured = capsys.readouterr()
    assert "measuring: sensor ..." in captured.err
    lines = captured.out.splitlines()
    assert any(line.split() == ["sensor", "1.00", "1%"] for line in lines)
    assert lines[-1].split() == ["all", "127.00", "100%"]
    assert main(["bench", "data", "--no-parts"]) == 0
    assert "share" not in capsys.readouterr().out


def test_sizes_come_from_a_training_config(known_costs, capsys, request):
    config = str(request.config.rootpath / "configs" / "tiny.py")
    assert main(["bench", "data", "--config", config, "--no-parts", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["batch"], described["image_size"], described["uv_map_size"]) == (8, 64, 32)


def test_ladder_leaves_out_what_is_not_there():
    rungs = ladder(RenderConfig())
    assert [name for name, _ in rungs] == [name for name in MILLISECONDS if name != REST]
    configs = dict(rungs)
    assert is_plain(configs["skin, light, clothes"])
    assert not is_plain(configs["occluders"])
    plain = configs["skin, light, clothes"]
    assert [name for name, _ in ladder(plain)] == ["rasterising and plain shading", "UV maps"]


def test_a_real_measurement(fast_renderer, capsys):
    words = ["bench", "data", "--batch", "2", "--size", "32", "--runs", "2", "--no-parts", "--json"]
    assert main(words) == 0
    described = json.loads(capsys.readouterr().out)
    rate = described["images_per_second"]
    assert 0 < rate["slowest"] <= rate["median"] <= rate["fastest"]
    assert described["compile_seconds"] > 0


def test_bad_arguments_are_one_line(capsys):
    assert main(["bench", "data", "--render.suprsampling=2"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("i2uv bench: error: ") and "render.supersampling" in line

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sparsr.export.ir.layers import MaxPool
from sparsr.export.parity import certificate as parity
from sparsr.export.parity.certificate import Difference, Probe, Stage
from sparsr.runtime.errors import CheckFailedError, SparsrError
from tests.export.graphs import chain, random_image, small_network, torch_run

GRAPH = small_network()
IMAGES = [
    Probe("random 9x7", random_image(GRAPH, 7, 9), small=True),
    Probe("random 33x40", random_image(GRAPH, 40, 33), small=False),
]


def truth(image):
    return torch_run(GRAPH, image)


def stage(change, slow=False):
    """A stage that computes the truth and then `change` of it."""
    return Stage("changed", lambda: lambda image: change(truth(image)), slow)


def certify(*stages):
    lines = []
    trial = parity.Trial(IMAGES, [truth(probe.image) for probe in IMAGES], GRAPH.value_range)
    return parity.certify(trial, stages, lines.append), lines


def judged(change_of_torch, change_of_stage):
    """A stage beside an author's code that both differ from the truth; where the truth is known in float64."""
    images = [Probe("known", IMAGES[0].image, True, exact=truth(IMAGES[0].image).astype(np.float64))]
    trial = parity.Trial(images, [change_of_torch(truth(images[0].image))], GRAPH.value_range)
    return parity.certify(trial, [stage(change_of_stage)], lambda line: None)


def test_no_hop_is_blamed_for_what_the_authors_code_rounds():
    (found,) = judged(lambda result: result + np.float32(0.04), lambda result: result)
    assert found.max_abs > 1e-4 and found.max_abs_float64 < 1e-7
    (entry,) = parity.certificate([found])
    assert (entry.max_abs, entry.max_abs_float64) == (pytest.approx(1.6e-4), pytest.approx(0, abs=1e-7))
    with pytest.raises(CheckFailedError):
        judged(lambda result: result, lambda result: result + np.float32(0.04))
    with pytest.raises(CheckFailedError):
        judged(lambda result: result + np.float32(0.04), lambda result: result - np.float32(0.04))


def test_small_images_and_a_wide_one_are_evaluated_in_float64():
    images = parity.with_exact(parity.probes(GRAPH), GRAPH)
    (wide,) = [image for image in images if image.wide]
    assert wide.image.shape[2:] == parity.WIDE
    assert all((image.exact is not None) == (image.small or image.wide) for image in images)
    assert wide.exact.dtype == np.float64
    assert 0 < np.abs(wide.exact - truth(wide.image)).max() < 1e-3


def add_somewhere(amount):
    def change(result):
        result = result.copy()
        result.flat[result.size // 2] += amount
        return result

    return change


def test_equal_stages_pass_with_perfect_figures():
    differences, _ = certify(stage(lambda result: result))
    assert len(differences) == len(IMAGES)
    (entry,) = parity.certificate(differences)
    assert (entry.max_abs, entry.identical_8bit, entry.max_8bit) == (0.0, 1.0, 0)
    assert (entry.hop, entry.image) == ("torch -> changed", "random 9x7, random 33x40")
    assert entry.values == 4 * 3 * (7 * 9 + 33 * 40)


def test_the_certificate_never_looks_better_than_it_is():
    one_of_ten_million = [entry(1, 10_000_000, max_abs=1.26e-7)]
    (found,) = parity.certificate(one_of_ten_million)
    assert found.identical_8bit < 1 and found.max_abs == 1.3e-7


def test_differences_are_fractions_of_the_value_range():
    differences, _ = certify(stage(lambda result: result + np.float32(255e-7)))
    assert all(5e-8 < d.max_abs < 2e-7 for d in differences)


@pytest.mark.parametrize(
    "change",
    [
        add_somewhere(0.03),  # 1.2e-4 of the range in a single value
        add_somewhere(-0.03),
        add_somewhere(np.nan),
        add_somewhere(np.inf),
        lambda result: result * np.float32(1.001),
        lambda result: result[:, ::-1],
        lambda result: np.roll(result, 1, axis=3),
        lambda result: result[:, :, :-1],
        lambda result: result[0],
    ],
    ids=["one value up", "one value down", "nan", "inf", "scaled", "bgr", "shifted", "cropped", "no batch"],
)
def test_a_wrong_result_fails(change):
    with pytest.raises(CheckFailedError, match="torch -> changed") as caught:
        certify(stage(lambda result: result), stage(change))
    assert caught.value.exit_code == 1


def test_many_tiny_differences_fail_by_their_8bit_values():
    """Far inside the float bar, but one value in two hundred rounds the other way."""
    with pytest.raises(CheckFailedError, match="8-bit"):
        certify(stage(lambda result: result + np.float32(0.005)))


def entry(differing, values, levels=1, max_abs=1e-7, hop="torch -> x"):
    return Difference(hop, "random", max_abs, levels, differing, values, "")


def test_the_8bit_share_is_taken_over_all_images_of_a_hop():
    parity.check([entry(20, 10_000), entry(180, 190_000)])
    with pytest.raises(CheckFailedError):
        parity.check([entry(20, 10_000), entry(181, 190_000)])


def test_hops_with_few_values_are_not_judged_by_luck():
    parity.check([entry(10, 2_000)])
    with pytest.raises(CheckFailedError):
        parity.check([entry(11, 2_000)])


def test_each_bar_alone_fails():
    parity.check([entry(0, 1_000_000, 0, 1e-4), entry(1_000, 1_000_000, 1, 1e-4, "torch -> y")])
    for bad in (entry(1, 1_000_000, levels=2), entry(0, 1_000_000, 0, 1.1e-4), entry(1_001, 1_000_000)):
        with pytest.raises(CheckFailedError):
            parity.check([bad])


def test_the_hop_that_broke_is_named_first():
    good, bad, worse = entry(0, 100, 0), entry(99, 100, 9, 0.1, "torch -> a"), entry(99, 100, 9, 0.5, "torch -> b")
    with pytest.raises(CheckFailedError, match="torch -> a"):
        parity.check([good, bad, worse])


def test_a_stage_that_crashes_fails_the_check():
    def crash(_):
        raise RuntimeError("no kernel")

    with pytest.raises(CheckFailedError, match=r"torch -> crash: .*no kernel"):
        certify(Stage("crash", lambda: crash))


def test_halves_round_up_and_values_are_clipped():
    values = np.array([-3, 0.49, 0.5, 1.5, 2.5, 254.5, 300], np.float32)
    np.testing.assert_array_equal(parity.to_8bit(values, 255), [0, 0, 1, 2, 3, 255, 255])
    np.testing.assert_array_equal(parity.to_8bit(values / 255, 1.0)[[0, -1]], [0, 255])


def test_slow_stages_see_small_images_only():
    differences, _ = certify(stage(lambda result: result, slow=True))
    assert {d.image for d in differences} == {probe.name for probe in IMAGES if probe.small}
    assert 0 < len(differences) < len(IMAGES)


def test_probes_hold_the_smallest_image_odd_sizes_and_all_levels():
    graph = chain("pool", MaxPool(7, 3), minimum_size=7, value_range=255.0)
    images = parity.probes(graph)
    sizes = [probe.image.shape[2:] for probe in images]
    assert (7, 7) in sizes and any(h % 2 and w % 2 and h != w for h, w in sizes)
    assert min(min(size) for size in sizes) == 7
    for probe in images:
        assert probe.image.dtype == np.float32 and probe.image.flags.c_contiguous
        assert probe.image.min() >= 0 and probe.image.max() <= 255
    ramp = next(probe.image for probe in images if "ramp" in probe.name)
    assert ramp.min() == 0 and ramp.max() == 255
    again = parity.probes(graph)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(images, again, strict=True))


def test_probes_are_in_the_graphs_range():
    assert max(probe.image.max() for probe in parity.probes(small_network(value_range=1.0))) <= 1


def test_pictures_are_cropped_for_slow_stages(tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "_REFERENCE_MACS", 1e6)
    pixels = np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "cat.png")
    found = [probe for probe in parity.probes(GRAPH, [tmp_path / "cat.png"]) if "cat" in probe.name]
    assert [probe.small for probe in found] == [True, False]
    small = found[0].image.shape[2]
    assert small == found[0].image.shape[3] < 40
    top, left = (80 - small) // 2, (90 - small) // 2
    centre = pixels[top : top + small, left : left + small]
    np.testing.assert_array_equal(found[0].image[0].transpose(1, 2, 0), centre)
    assert found[1].name == "cat.png 90x80"
    np.testing.assert_array_equal(found[1].image[0].transpose(1, 2, 0), pixels)


def test_a_picture_smaller_than_every_crop_is_tried_once(tmp_path):
    Image.new("RGB", (6, 5)).save(tmp_path / "tiny.png")
    found = [probe.name for probe in parity.probes(GRAPH, [tmp_path / "tiny.png"]) if "tiny" in probe.name]
    assert found == ["tiny.png 6x5"]


def test_pictures_too_small_for_the_network_are_refused(tmp_path):
    Image.new("RGB", (20, 6)).save(tmp_path / "strip.png")
    with pytest.raises(SparsrError, match=r"strip\.png is too small") as caught:
        parity.probes(chain("pool", MaxPool(7, 3), minimum_size=7), [tmp_path / "strip.png"])
    assert caught.value.exit_code == 2


def test_the_table_shows_the_worst_figures_and_the_values_behind_them():
    differences, lines = certify(
        stage(lambda result: result), Stage("other", lambda: lambda image: truth(image) + 1e-5)
    )
    lines += parity.table(differences)
    assert [line for line in lines if line.startswith("torch -> changed")]
    assert lines[-1].startswith("largest: torch -> other")
    worst = max(differences, key=lambda difference: difference.max_abs)
    assert worst.worst in lines[-1] and worst.worst.count("/") >= 1


def test_an_optional_engine_that_is_wrong_costs_itself_alone():
    image = np.full((1, 3, 4, 4), 100.0, np.float32)
    trial = parity.Trial([Probe("flat", image, True)], [image], 255.0)
    stages = [
        Stage("onnx (ort)", lambda: lambda x: x, engine="ort"),
        Stage("onnx (opencv)", lambda: lambda x: x + 9, optional=True, engine="opencv"),
    ]
    lines = []
    assert [found.hop for found in parity.certify(trial, stages, lines.append)] == ["torch -> onnx (ort)"]
    assert list(trial.wrong) == ["opencv"] and "parity failed" in trial.wrong["opencv"]
    assert any("not for opencv" in line for line in lines)

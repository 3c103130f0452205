"""Reading bundles: what is written is read back, and nothing that is wrong or hostile gets through."""

import contextlib
import hashlib
import json

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsr import Bundle, Upscaler
from sparsr.runtime.engines.onnx_external import refuse_external_data
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.model.adaptive_bundle import AdaptiveBundle
from sparsr.runtime.model.bundle import MAX_CARD_BYTES
from sparsr.runtime.model.card import BundleCard, ParityEntry
from sparsr.runtime.model.describe import aligned


def edit(folder, **changes):
    """Overwrite top-level fields of a card."""
    path = folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_file(folder, **changes):
    """Overwrite fields of the card's entry of the ONNX file."""
    files = json.loads((folder / "card.json").read_text())["files"]
    edit(folder, files=[files[0] | changes, *files[1:]])


def replace_model(folder, content):
    """Put other bytes in the place of model.onnx and make the card agree."""
    (folder / "model.onnx").write_bytes(content)
    edit_file(folder, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    ("kind", "schema", "words", "hint"),
    [
        (Bundle, "sparsr-adaptive/1", "is an adaptive bundle, of several networks", "name one of the bundles in it"),
        (AdaptiveBundle, "sparsr-bundle/1", "holds a single network", "sparsr export adaptive"),
    ],
)
def test_a_bundle_of_the_other_kind_is_called_so_and_not_damaged(tmp_path, kind, schema, words, hint):
    (tmp_path / "card.json").write_text(json.dumps({"schema": schema}))
    with pytest.raises(SparsrError, match=words) as caught:
        kind.open(tmp_path)
    assert hint in caught.value.hint


def test_reads_back_what_the_exporter_wrote(bundle):
    card = bundle.card
    assert isinstance(card, BundleCard)
    assert (card.scale, card.value_range, card.receptive_radius) == (2, 255.0, 7)
    assert [file.format for file in card.files] == ["onnx", "tflite", "tflite-sparse", "native"]
    assert json.loads((bundle.path / "card.json").read_text()) == json.loads(json.dumps(card.to_json()))
    assert bundle.model("onnx") == (bundle.path / "model.onnx").read_bytes()


def test_parity_entries_become_dataclasses(bundle_copy):
    entry = {"hop": "torch -> graph", "image": "random", "max_abs": 1e-6, "identical_8bit": 1, "max_8bit": 0}
    edit(bundle_copy, parity=[entry])
    assert Bundle.open(bundle_copy).card.parity == (ParityEntry("torch -> graph", "random", 1e-6, 1.0, 0),)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "sparsr-bundle/99"}, "sparsr-bundle/99"),
        ({"surprise": 1}, "unknown field surprise"),
        ({"scale": "2"}, "scale should be int"),
        ({"scale": True}, "scale should be int"),
        ({"scale": 10**30}, "scale is 1e\\+30"),
        ({"scale": 0}, "scale is 0"),
        ({"value_range": -1}, "value_range"),
        ({"minimum_size": 10**9}, "minimum_size"),
        ({"receptive_radius": 10**9}, "receptive_radius"),
        ({"receptive_radius": 1.5}, "receptive_radius should be int"),
        ({"peak_activation_bytes_per_pixel": 0}, "peak_activation"),
        ({"value_range": 10**400}, "value_range should be float"),
        ({"widths": [1, 2]}, "widths"),
        ({"widths": {"conv": "8"}}, "widths.conv should be int"),
        ({"files": []}, "names no model file"),
        ({"files": {}}, "files should be"),
        ({"files": [7]}, "files\\[0\\]"),
        ({"training": "secret"}, "training"),
        ({"name": None}, "name should be str"),
    ],
)
def test_refuses_wrong_cards(bundle_copy, changes, words):
    edit(bundle_copy, **changes)
    with pytest.raises(SparsrError, match=words):
        Bundle.open(bundle_copy)


@pytest.mark.parametrize(
    "name", ["../model.onnx", "/etc/passwd", "a/b", "..\\model.onnx", "..", "", "card.json", "C:x", "a\0b"]
)
def test_refuses_names_that_leave_the_folder(bundle_copy, name):
    edit_file(bundle_copy, name=name)
    with pytest.raises(SparsrError, match="leave the bundle"):
        Bundle.open(bundle_copy)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe\0", b"[" * 100_000, b'{"scale": NaN}'])
def test_refuses_damaged_cards(bundle_copy, text):
    (bundle_copy / "card.json").write_bytes(text)
    with pytest.raises(SparsrError, match="card"):
        Bundle.open(bundle_copy)


@settings(deadline=None)
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), st.lists, max_leaves=5)
)
def test_any_value_in_any_field_is_read_or_refused(bundle, value):
    from sparsr.runtime.model.bundle import _check_values
    from sparsr.runtime.model.records import read_record

    data = json.loads((bundle.path / "card.json").read_text())
    for name in data:
        with contextlib.suppress(ValueError):
            _check_values(read_record(BundleCard, data | {name: value}))


def test_refuses_huge_cards(bundle_copy):
    (bundle_copy / "card.json").write_bytes(b" " * (MAX_CARD_BYTES + 1))
    with pytest.raises(SparsrError, match="larger than"):
        Bundle.open(bundle_copy)


def test_refuses_missing_fields(bundle_copy):
    card = json.loads((bundle_copy / "card.json").read_text())
    del card["scale"]
    (bundle_copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(SparsrError, match="scale is missing"):
        Bundle.open(bundle_copy)


def test_refuses_links_out_of_the_folder(bundle_copy, tmp_path):
    (bundle_copy / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (bundle_copy / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(SparsrError, match="is a link"):
        Bundle.open(bundle_copy)


def test_refuses_missing_truncated_and_changed_files(bundle_copy):
    model = bundle_copy / "model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(SparsrError, match="sha256"):
        Bundle.open(bundle_copy).model("onnx")
    model.write_bytes(content[:-1])
    with pytest.raises(SparsrError, match="bytes, its card says"):
        Bundle.open(bundle_copy)
    model.unlink()
    with pytest.raises(SparsrError, match="is missing"):
        Bundle.open(bundle_copy)


def test_says_which_formats_there_are(bundle_copy):
    edit(bundle_copy, files=json.loads((bundle_copy / "card.json").read_text())["files"][:1])
    with pytest.raises(SparsrError, match="no tflite file \\(it has: onnx\\)"):
        Upscaler(bundle_copy, "litert")


@pytest.mark.parametrize("name", ["missing", "file.txt", "."])
def test_says_what_is_not_a_bundle(tmp_path, name):
    (tmp_path / "file.txt").write_text("text")
    with pytest.raises(SparsrError, match=r"does not exist|is a file|has no card\.json") as caught:
        Bundle.open(tmp_path / name)
    made = f"of a network: sparsr export {tmp_path / name} --out BUNDLE"
    assert caught.value.hint.endswith(made) == (name == "file.txt")


def with_external_data(content, place):
    """The model with one tensor's values said to be in another file."""
    model = onnx.load_from_string(content)
    weight = model.graph.initializer[0]
    if place == "constant":
        constant = onnx.helper.make_node("Constant", [], [weight.name], value=weight)
        model.graph.node.insert(0, constant)
        del model.graph.initializer[0]
        weight = model.graph.node[0].attribute[0].t
    onnx.external_data_helper.set_external_data(weight, "/etc/passwd", 0, 100)
    weight.ClearField("raw_data")
    weight.ClearField("float_data")
    return model.SerializeToString()


@pytest.mark.parametrize("place", ["initializer", "constant"])
def test_refuses_external_data(bundle_copy, place):
    replace_model(bundle_copy, with_external_data((bundle_copy / "model.onnx").read_bytes(), place))
    with pytest.raises(SparsrError, match="reads other files"):
        Upscaler(bundle_copy, "ort")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_walked_or_refused(content):
    with contextlib.suppress(SparsrError):
        refuse_external_data(content)


@pytest.mark.parametrize("content", [b"\x00", b"not a model at all", b"\x08"])
def test_refuses_what_is_no_model(bundle_copy, content):
    replace_model(bundle_copy, content)
    with pytest.raises(SparsrError):
        Upscaler(bundle_copy, "ort")


def test_what_is_said_of_a_bundle_stands_in_two_columns():
    long, short = aligned([("tflite-sparse file", "one"), ("task", "two")]).splitlines()
    assert (long, short) == ("tflite-sparse file: one", "task:               two")

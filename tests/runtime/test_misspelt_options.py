"""What cannot be parsed: a sentence, what was probably meant, and where the right words stand."""

import pytest

from sparsr.__main__ import build_parser
from sparsr.runtime.errors import SparsrError
from sparsr.runtime.memory import format_bytes, parse_bytes


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["upscal", "photo.jpg"], "invalid choice: 'upscal'", "did you mean upscale? `sparsr --help`"),
        (["upscale", "photo.jpg", "--modle", "x"], "--modle x", "did you mean --model? `sparsr upscale --help`"),
        (["upscale", "photo.jpg", "--scale=3"], "invalid choice: 3", "hint: `sparsr upscale --help`"),
        (["upscale", "photo.jpg", "--precision", "fp1"], "invalid choice: 'fp1'", "did you mean fp16?"),
        (["completion", "fish"], "(choose from 'bash', 'zsh', 'tcsh')", "`sparsr completion --help`"),
        (
            ["upscale", "a.jpg", "b.jpg", "c.jpg"],
            "unrecognized arguments: c.jpg",
            "put them into a folder and name that;",
        ),
        (["upscale", ""], "argument IN: the path is empty", "`sparsr upscale --help`"),
        (["upscale"], "arguments are required: IN", "`sparsr upscale --help` lists what it takes"),
        ([], "arguments are required: COMMAND", "`sparsr --help` lists what it takes"),
    ],
)
def test_a_misspelt_command_line_is_one_sentence_and_a_hint(words, message, hint, capsys):
    with pytest.raises(SystemExit) as end:
        build_parser().parse_args(words)
    assert end.value.code == 2
    error, found = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ") and message in error
    assert found.startswith("hint: ") and hint in found


@pytest.mark.parametrize("output", ["large.png", "-"])
def test_the_output_may_stand_behind_options(output):
    words = ["photo.jpg", "--scale", "4", output, "--json"]
    options = build_parser().parse_args(["upscale", *words])
    assert (str(options.input), options.scale, str(options.output), options.json) == ("photo.jpg", 4, output, True)
    with pytest.raises(SystemExit):
        build_parser().parse_args(["upscale", *words, "another.png"])


def test_what_is_no_sparsity_is_refused_with_an_example():
    with pytest.raises(SparsrError, match="'4:32x4x9' is not a sparsity N:M") as caught:
        build_parser().parse_args(["costs", "--shapes", "8x8", "--sparsity", "4:32x4x9"])
    assert "4:32x4" in caught.value.hint


def test_amounts_of_memory_name_the_unit_that_was_understood():
    assert [format_bytes(parse_bytes(text)) for text in ("10", "10B", "3K", "1M", "1.5G")] == [
        "10B",
        "10B",
        "3K",
        "1M",
        "1536M",
    ]

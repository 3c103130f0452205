"""What cannot be parsed: a sentence, what was probably meant, and where the right words stand."""

import pytest

from sparsr.__main__ import build_parser


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["upscal", "photo.jpg"], "invalid choice: 'upscal'", "did you mean upscale? `sparsr --help`"),
        (["upscale", "photo.jpg", "--modle", "x"], "--modle x", "did you mean --model? `sparsr upscale --help`"),
        (["upscale", "photo.jpg", "--scale=3"], "unrecognized arguments: --scale=3", "hint: `sparsr upscale --help`"),
        (["upscale", "photo.jpg", "--precision", "fp1"], "invalid choice: 'fp1'", "did you mean fp16?"),
        (
            ["costs", "--shapes", "8x8", "--sparsity", "4:32x4x9"],
            "invalid sparsity value: '4:32x4x9'",
            "`sparsr costs --help`",
        ),
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

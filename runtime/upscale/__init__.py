"""From pictures to larger pictures: tiling, adaptive inference, files."""

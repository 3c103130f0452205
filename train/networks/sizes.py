"""Maps brought to another size: continued to multiples, and cut again."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class PadToMultiple(nn.Module):
    """Repeats the last row and column of a map until its height and width are multiples."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, H, W], H the next multiple of `rows`, W of `columns`."""
        return F.pad(x, (0, -x.shape[3] % self.columns, 0, -x.shape[2] % self.rows), mode="replicate")


class PadToEven(PadToMultiple):
    """Repeats the last row or column of a map whose height or width is odd."""

    def __init__(self) -> None:
        super().__init__(2, 2)


class CropLike(nn.Module):
    """The top left part of a map, as large as another one; `most` rows and columns are cut off at most."""

    def __init__(self, most: int = 1) -> None:
        super().__init__()
        self.most = most

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        """[n, c, H, W] and [n, k, h, w], h <= H and w <= W -> [n, c, h, w]."""
        return x[:, :, : like.shape[2], : like.shape[3]]

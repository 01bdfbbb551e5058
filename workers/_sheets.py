"""Writing the sheets of a storyboard, one at a time."""

from pathlib import Path

from PIL import Image

from workers._encodings import Encoding
from workers._sprites import Grid
from workers._writing import write_file


class SheetWriter:
    """Puts pictures on sheets one after the other; holds one sheet in memory."""

    def __init__(self, folder: Path, grid: Grid, *, quality: int) -> None:
        self.size = 0
        self._folder = folder
        self._grid = grid
        self._encoding = Encoding(grid.format, quality)
        self._added = 0
        self._sheet: Image.Image | None = None

    def add(self, picture: Image.Image) -> str | None:
        """Add a picture of the grid's size; return the name of the sheet that it completes, if it does.

        Raises NoSpaceError.
        """
        grid = self._grid
        if self._sheet is None:
            self._sheet = self._blank(min(grid.count - self._added, grid.per_sheet))
        self._sheet.paste(picture, grid.corner(self._added))
        self._added += 1
        if self._added < grid.count and self._added % grid.per_sheet:
            return None
        name = grid.sheets[(self._added - 1) // grid.per_sheet]
        data = self._encoding.encode(self._sheet)
        write_file(self._folder / name, data)
        self.size += len(data)
        self._sheet = None
        return name

    def _blank(self, pictures: int) -> Image.Image:
        columns = min(pictures, self._grid.columns)
        rows = -(-pictures // self._grid.columns)
        return Image.new("RGB", (columns * self._grid.width, rows * self._grid.height))

"""Columns out of whatever holds a table: frames, dicts, datasets, files and folders of images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from causalplug.errors import DataError

__all__ = ["columns_of"]


def columns_of(frame: Any) -> dict[str, Any]:
    """The columns of a table by name: arrays, lists or tensors of one length, images not yet decoded where they are
    files.

    Raises:
        DataError: the object or file is of no kind that is known.
    """
    if isinstance(frame, str | Path):
        return _from_path(Path(frame))
    if isinstance(frame, Mapping):
        return {str(name): values for name, values in frame.items()}
    if hasattr(frame, "column_names") and hasattr(frame, "with_format"):  # datasets.Dataset
        return {name: _dataset_column(frame, name) for name in frame.column_names}
    if hasattr(frame, "columns") and hasattr(frame, "loc"):  # pandas.DataFrame
        return {str(name): _frame_column(frame[name]) for name in frame.columns}
    if hasattr(frame, "__getitem__") and hasattr(frame, "__len__") and len(frame) and isinstance(frame[0], Mapping):
        rows = [frame[i] for i in range(len(frame))]  # a torch Dataset of dicts
        return {str(name): [row[name] for row in rows] for name in rows[0]}
    raise DataError(
        f"{type(frame).__name__} cannot be read as a table. Give a pandas DataFrame, a dict of arrays, a "
        "datasets.Dataset, "
        "a Dataset whose items are dicts, or the path of a CSV, a Parquet file or an image folder."
    )


def _frame_column(column: Any) -> Any:
    """A frame's column as an array; rows that are images become a list."""
    if (
        column.dtype == object
        and len(column)
        and not isinstance(column.iloc[0], str | int | float | bool | None.__class__)
    ):
        return _stack(list(column))
    return column.to_numpy()


def _stack(items: list[Any]) -> Any:
    """Equal arrays as one array; anything else stays a list."""
    shapes = {item.shape for item in items if isinstance(item, np.ndarray)}
    return np.stack(items) if len(shapes) == 1 and all(isinstance(item, np.ndarray) for item in items) else items


def _dataset_column(dataset: Any, name: str) -> Any:
    """A column of a ``datasets.Dataset``; class labels come as their names, images as PIL images."""
    values = list(dataset[name])
    feature = dataset.features.get(name)
    if hasattr(feature, "int2str"):
        return [feature.int2str(value) for value in values]
    return values


def _from_path(path: Path) -> dict[str, Any]:
    import pandas as pd

    if not path.exists():
        raise DataError(f"{path} cannot be read: no such file or folder. Check the path.")
    if path.is_dir():
        return _from_folder(path)
    name = path.name.removesuffix(".gz").lower()
    if name.endswith(".csv"):
        return columns_of(pd.read_csv(path))
    if name.endswith((".tsv", ".txt")):
        return columns_of(pd.read_csv(path, sep="\t"))
    if name.endswith((".parquet", ".pq")):
        return columns_of(pd.read_parquet(path))
    raise DataError(f"{path} cannot be read: known are .csv, .tsv, .parquet and folders of images with a metadata.csv.")


def _from_folder(path: Path) -> dict[str, Any]:
    """A folder with ``metadata.csv``: column ``file_name`` (or ``<variable>_file_name``) names the images."""
    import pandas as pd
    from PIL import Image as PILImage

    metadata = path / "metadata.csv"
    if not metadata.exists():
        raise DataError(
            f"{path} cannot be read: it has no metadata.csv with a column file_name. Write one row per image."
        )
    table = pd.read_csv(metadata)
    columns: dict[str, Any] = {}
    for name in table.columns:
        if name != "file_name" and not name.endswith("_file_name"):
            columns[name] = _frame_column(table[name])
            continue
        images = []
        for file_name in table[name]:
            file = path / str(file_name)
            if not file.resolve().is_relative_to(path.resolve()) or not file.exists():
                raise DataError(
                    f"{metadata} names {file_name!r}, which is not an image of the folder. Correct the row."
                )
            with PILImage.open(file) as image:
                images.append(image.copy())
        columns[name.removesuffix("_file_name") if name != "file_name" else "image"] = images
    return columns

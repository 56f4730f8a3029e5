"""Datasets of the library ``datasets``, in memory, on the disk or streamed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from causalplug.data.images import is_picture
from causalplug.data.items import CHUNK, from_items
from causalplug.data.table import ClassCodes, Columns, Table, stacked_items
from causalplug.errors import DataError, MissingDependencyError
from causalplug.selection import any_of_kind
from causalplug.variables import Variable

__all__ = ["from_datasets", "from_hub", "is_datasets"]


def is_datasets(frame: object) -> bool:
    """Whether an object is of the library ``datasets``."""
    return type(frame).__module__.split(".")[0] == "datasets"


def from_datasets(
    dataset: Any, split: str | None, origin: Mapping[str, str] | None = None
) -> Table:
    """A ``datasets.Dataset``, ``IterableDataset`` or one split of a dict of them; images stay
    encoded."""
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError(
            "A dataset cannot be read: the library datasets is missing. Run: pip install "
            "'causalplug[datasets]'"
        ) from error
    if isinstance(dataset, Mapping):
        if split not in dataset and (split is not None or len(dataset) != 1):
            raise DataError(
                f"split={split!r} cannot be used: the dataset has the splits {', '.join(dataset)}. "
                "Name one of them."
            )
        if split is not None:
            dataset = dataset[split]
        else:
            dataset = next(iter(dataset.values()))
    if (
        dataset.features is None
    ):  # a stream that was mapped by a function: its columns are those of its first row
        table = from_items(lambda: iter(dataset), None, None)
        if table is None:
            raise DataError("The stream cannot be read: its rows are no dicts.")
        return replace(table, origin=origin)
    features = dataset.features
    for name, feature in features.items():
        if isinstance(feature, datasets.Image):
            dataset = dataset.cast_column(name, datasets.Image(decode=False))
    plain = dataset.with_format(None)
    rows = None
    if isinstance(dataset, datasets.Dataset):
        rows = len(dataset)
    if rows == 0:
        raise DataError("The dataset cannot be used: it has no rows.")

    def read(
        variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
    ) -> Iterator[Columns]:
        wanted = [name for name in features if columns is None or name in columns]
        narrow = plain.select_columns(wanted)
        for batch in narrow.iter(batch_size=CHUNK if rows is None or any_pictures else 65_536):
            yield {name: _feature_column(batch[name], features[name]) for name in wanted}

    any_pictures = any_of_kind(features.values(), datasets.Image)
    return Table(tuple(features), read, rows, origin=origin)


def _feature_column(values: Any, feature: Any) -> object:
    if hasattr(feature, "int2str"):
        return ClassCodes(values, feature.names)
    items = list(values)
    if items and isinstance(items[0], list):
        kind = getattr(feature, "dtype", None) if hasattr(feature, "shape") else None  # Array3D
        return stacked_items([np.asarray(item, kind) for item in items])
    if items and is_picture(items[0]):
        return items
    return stacked_items(items)


def from_hub(repo_id: str, *, split: str | None, revision: str | None, streaming: bool) -> Table:
    """A dataset repository, pinned to the commit that its revision is now; data files only, no
    code of theirs."""
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError(
            f"The dataset {repo_id} cannot be read: datasets is not installed. Run: pip install "
            "'causalplug[datasets]'"
        ) from error
    from causalplug.hub.client import hub_api, hub_errors

    action = (
        f"read {repo_id!r} (there is no such file or folder, so it was taken for a dataset on the "
        "Hub)"
    )
    with hub_errors(action, repo_id, revision):
        commit = hub_api().dataset_info(repo_id, revision=revision).sha
        loaded = datasets.load_dataset(repo_id, revision=commit, split=split, streaming=streaming)
    return from_datasets(loaded, split, {"repo_id": repo_id, "revision": str(commit)})

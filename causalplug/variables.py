"""What the values of a variable are, how users write them and how networks read them.

Three kinds: :class:`Discrete`, :class:`Continuous` and :class:`Image`. Users hand in and get back category names,
floats and
images; inside the model a discrete value is an integer code, a continuous value a float and an image a float tensor.
"""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from causalplug.errors import DataError, VariableError

if TYPE_CHECKING:
    import torch

__all__ = ["Continuous", "Discrete", "Image", "Variable", "variable_from_dict"]

_MOST_CATEGORIES = 1_000_000


@dataclass(frozen=True)
class Variable:
    """Common face of the three kinds; not used by itself."""

    kind: ClassVar[str] = ""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value inside the model: ``()`` for a code or a float, ``(channels, height, width)`` for an
        image.
        """
        return ()

    @property
    def feature_size(self) -> int:
        """Number of features of one value as the input of a network."""
        raise NotImplementedError

    def encode(self, values: Any, name: str = "values", *, row: int | None = None) -> torch.Tensor:
        """Check users' ``values`` (n of them, or one) and turn them into a tensor ``(n, *event_shape)``.

        Args:
            values: as users write them.
            name: of the column, for messages.
            row: number of the first value in its table, so that messages can say where a wrong one is.

        Raises:
            DataError: missing values, a wrong shape or a value outside the declaration; nothing is repaired.
        """
        raise NotImplementedError

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        """Turn a tensor ``(n, *event_shape)`` back into users' values, an array of length n."""
        raise NotImplementedError

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        """Float features ``(n, feature_size)`` of encoded values, as a network reads them."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The declaration as JSON values."""
        raise NotImplementedError


def _as_array(values: Any, name: str) -> np.ndarray:
    """``values`` as a one-or-more dimensional array; tensors and pandas columns included."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    elif hasattr(values, "to_numpy"):
        values = values.to_numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name!r} cannot be read as an array: {error}. Give every row the same shape.") from None
    return array[None] if array.ndim == 0 else array


def _shared(array: np.ndarray) -> torch.Tensor:
    """A tensor over the memory of an array, also of one that may only be read: nothing here writes into pixels."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array))


def _missing(array: np.ndarray) -> np.ndarray:
    """Mask of the missing entries (NaN or None)."""
    if array.dtype.kind == "f":
        return np.isnan(array)
    if array.dtype.kind == "O":
        return np.array(
            [item is None or (isinstance(item, float) and math.isnan(item)) for item in array.ravel()]
        ).reshape(array.shape)
    return np.zeros(array.shape, bool)


def _first(wrong: np.ndarray, array: np.ndarray, row: int | None) -> str:
    """Where in its table the first wrong value is, for the end of a message; nothing where no table is known."""
    if row is None:
        return ""
    where = int(wrong.argmax())
    value = array[where]
    return f" The first is {value.item() if isinstance(value, np.generic) else value!r} in row {row + where}."


def _refuse_missing(array: np.ndarray, name: str) -> None:
    count = int(_missing(array).sum())
    if count:
        raise DataError(
            f"{name!r} has {count} missing value{'s' * (count > 1)} (NaN or None): the model has no notion of a "
            "missing value. "
            "Drop those rows, or declare a source that does not record this column."
        )


@dataclass(frozen=True, init=False)
class Discrete(Variable):
    """A variable with finitely many values.

    Args:
        categories: their number (values 0 to k - 1) or their names in order.

    Raises:
        VariableError: fewer than one category, or a name given twice.

    Example:
        >>> colour = Discrete(["red", "green", "blue"])
        >>> colour.encode(["blue", "red"]).tolist()
        [2, 0]
    """

    kind: ClassVar[str] = "discrete"
    categories: tuple[Hashable, ...]

    def __init__(self, categories: int | Sequence[Hashable]):
        if isinstance(categories, str | bytes) or not isinstance(categories, int | np.integer | Sequence):
            raise VariableError(
                f"Discrete({categories!r}) cannot be declared: it takes the number of categories or a list of "
                "their names, "
                "for example Discrete(2) or Discrete(['no', 'yes'])."
            )
        if isinstance(categories, int | np.integer):
            if categories > _MOST_CATEGORIES:
                raise VariableError(
                    f"Discrete({categories}) cannot be declared: it has more than {_MOST_CATEGORIES:,} categories. "
                    "Declare the variable as Continuous, or group its values."
                )
            categories = range(int(categories))
        values = tuple(item.item() if isinstance(item, np.generic) else item for item in categories)
        if len(values) < 1:
            raise VariableError("Discrete() cannot be declared without categories: give their number or their names.")
        twice = sorted({str(v) for v in values if values.count(v) > 1})
        if twice:
            raise VariableError(
                f"Discrete categories must differ: {', '.join(twice)} given more than once. Remove the copies."
            )
        object.__setattr__(self, "categories", values)

    @property
    def size(self) -> int:
        """Number of categories."""
        return len(self.categories)

    @property
    def feature_size(self) -> int:
        return self.size

    def code(self, value: Hashable, name: str = "value") -> int:
        """The integer code of one category."""
        return int(self.encode([value], name)[0])

    def encode(self, values: Any, name: str = "values", *, row: int | None = None) -> torch.Tensor:
        import torch

        array = _as_array(values, name)
        _refuse_missing(array, name)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise DataError(f"{name!r} must be one category per row; got an array of shape {array.shape}.")
        plain = self.categories == tuple(range(self.size))
        if plain and array.dtype.kind in "iub":
            codes = array.astype(np.int64)
            outside = (codes < 0) | (codes >= self.size)
            unknown = np.unique(codes[outside])
        else:
            uniques, inverse = (
                np.unique(array, return_inverse=True) if array.dtype.kind != "O" else _unique_objects(array)
            )
            lookup = {value: code for code, value in enumerate(self.categories)}
            found = [lookup.get(u.item() if isinstance(u, np.generic) else u, -1) for u in uniques]
            codes = np.asarray(found, np.int64)[inverse]
            outside = codes < 0
            unknown = np.asarray([u for u, code in zip(uniques, found, strict=True) if code < 0], dtype=object)
        if len(unknown):
            raise DataError(self._unknown(unknown, name) + _first(outside, array, row))
        return torch.from_numpy(np.ascontiguousarray(codes))

    def _unknown(self, unknown: np.ndarray, name: str) -> str:
        shown = ", ".join(repr(u.item() if isinstance(u, np.generic) else u) for u in unknown[:5])
        near = difflib.get_close_matches(str(unknown[0]), [str(c) for c in self.categories], n=1)
        known = ", ".join(map(repr, self.categories[:8])) + (", …" if self.size > 8 else "")
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return (
            f"{name!r} has values outside its categories: {shown}; declared are {known}.{hint} "
            "Correct the values or declare the category."
        )

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        codes = codes.argmax(-1) if codes.is_floating_point() else codes
        index = codes.detach().cpu().numpy()
        if self.categories == tuple(range(self.size)):
            return index
        names = np.empty(self.size, dtype=object)
        names[:] = self.categories
        if all(isinstance(c, str) for c in self.categories):
            return names[index]
        return (
            np.array(list(self.categories))[index]
            if not any(isinstance(c, str) for c in self.categories)
            else names[index]
        )

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        """One-hot rows; float rows (a relaxed one-hot) pass unchanged."""
        import torch

        if codes.is_floating_point():
            return codes
        return torch.nn.functional.one_hot(codes, self.size).to(torch.get_default_dtype())

    def to_dict(self) -> dict[str, Any]:
        plain = self.categories == tuple(range(self.size))
        return {"kind": self.kind, "categories": self.size if plain else list(self.categories)}


def _unique_objects(array: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """``np.unique`` for objects that do not sort."""
    order: dict[Any, int] = {}
    inverse = np.fromiter((order.setdefault(item, len(order)) for item in array), np.int64, len(array))
    return list(order), inverse


@dataclass(frozen=True)
class Continuous(Variable):
    """A real-valued variable.

    Args:
        low, high: values outside this interval are refused; mechanisms do not have to stay inside it.

    Raises:
        VariableError: the interval is empty.
    """

    kind: ClassVar[str] = "continuous"
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise VariableError(
                f"Continuous(low={self.low}, high={self.high}) is empty: low must be smaller than high."
            )

    @property
    def feature_size(self) -> int:
        return 1

    def encode(self, values: Any, name: str = "values", *, row: int | None = None) -> torch.Tensor:
        import torch

        array = _as_array(values, name)
        _refuse_missing(array, name)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        try:
            array = array.astype(np.float32)
        except (TypeError, ValueError):
            raise DataError(
                f"{name!r} must be numbers; got {array.dtype} values. Declare it Discrete, or convert it."
            ) from None
        if array.ndim != 1:
            raise DataError(f"{name!r} must be one number per row; got an array of shape {array.shape}.")
        outside = ~np.isfinite(array) | (array < self.low) | (array > self.high)
        if outside.any():
            raise DataError(
                f"{name!r} has {int(outside.sum())} values outside [{self.low}, {self.high}], the first "
                f"{array[outside][0]}. "
                f"Correct them or widen the declared interval.{_first(outside, array, row)}"
            )
        return torch.from_numpy(np.ascontiguousarray(array))

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        return codes.detach().cpu().float().numpy()

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        return codes.unsqueeze(-1)

    def to_dict(self) -> dict[str, Any]:
        bounds = {"low": self.low, "high": self.high}
        return {"kind": self.kind} | {key: value for key, value in bounds.items() if math.isfinite(value)}


@dataclass(frozen=True)
class Image(Variable):
    """An image variable, channels first.

    Args:
        channels, height, width: shape of one image.
        low, high: range of the float values. Images of type uint8 are mapped from 0..255 onto it.

    Raises:
        VariableError: a size below 1 or an empty range.
    """

    kind: ClassVar[str] = "image"
    channels: int
    height: int
    width: int
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if min(self.channels, self.height, self.width) < 1:
            raise VariableError(
                f"Image{self.event_shape} cannot be declared: channels, height and width must be at least 1."
            )
        if not self.low < self.high:
            raise VariableError(f"Image range [{self.low}, {self.high}] is empty: low must be smaller than high.")

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.channels, self.height, self.width)

    @property
    def feature_size(self) -> int:
        return self.channels * self.height * self.width

    def encode(self, values: Any, name: str = "values", *, row: int | None = None) -> torch.Tensor:
        """Images ``(n, channels, height, width)`` or one image: uint8, floats in [low, high], or PIL images.

        The result has the same type: uint8 stays uint8 to save memory, :meth:`scale` turns it into floats.

        Raises:
            DataError: missing values, another shape or type, or values outside the range; nothing is repaired.
        """
        if not isinstance(values, np.ndarray) and not hasattr(values, "detach"):
            values = self._from_objects(values, name)
        array = _as_array(values, name)
        if array.dtype.kind == "O":
            array = np.stack([np.asarray(self._from_objects(item, name)) for item in array])
        if array.shape == self.event_shape:
            array = array[None]
        if array.ndim != 4 or array.shape[1:] != self.event_shape:
            raise DataError(
                f"{name!r} holds images of shape {array.shape[1:]}, but the variable declares {self.event_shape} "
                "(channels, height, width). Resize or transpose them, or change the declaration."
            )
        if array.dtype == np.uint8:
            return _shared(array)
        if array.dtype.kind != "f":
            raise DataError(
                f"{name!r} holds images of type {array.dtype}: use uint8 or floats in [{self.low}, {self.high}]."
            )
        _refuse_missing(array, name)
        low, high = float(array.min(initial=self.low)), float(array.max(initial=self.high))
        slack = 1e-3 * (self.high - self.low)
        if low < self.low - slack or high > self.high + slack:
            outside = ((array < self.low - slack) | (array > self.high + slack)).reshape(len(array), -1).any(1)
            where = "" if row is None else f" The first is in row {row + int(outside.argmax())}."
            raise DataError(
                f"{name!r} holds image values in [{low:.4g}, {high:.4g}], outside the declared range "
                f"[{self.low:g}, {self.high:g}]. Rescale them, or declare Image(..., low=, high=).{where}"
            )
        return _shared(array.astype(np.float32, copy=False))

    def _from_objects(self, values: Any, name: str) -> Any:
        """PIL images (one or several) as an array, channels first."""
        items = [values] if hasattr(values, "convert") else list(values)
        if not items or not hasattr(items[0], "convert"):
            return values
        arrays = [self.from_pil(item, name) for item in items]
        shapes = {a.shape for a in arrays}
        if len(shapes) > 1:
            raise DataError(
                f"{name!r} holds images of several sizes: {sorted(shapes)}. Resize them to {self.event_shape}."
            )
        return np.stack(arrays)

    def from_pil(self, picture: Any, name: str = "values") -> np.ndarray:
        """One PIL image as uint8 ``(channels, height, width)``; its colours are converted, its size is not changed.

        Raises:
            DataError: the variable has a number of channels that pictures do not have.
        """
        mode = {1: "L", 3: "RGB", 4: "RGBA"}.get(self.channels)
        if mode is None:
            raise DataError(
                f"{name!r}: PIL images have 1, 3 or 4 channels, the variable declares {self.channels}. Use arrays."
            )
        array = np.asarray(picture.convert(mode))
        return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)

    def scale(self, codes: torch.Tensor) -> torch.Tensor:
        """Floats in [low, high] from uint8 or float images."""
        if codes.is_floating_point():
            return codes
        return codes.float() * ((self.high - self.low) / 255) + self.low

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        return self.scale(codes).detach().cpu().float().numpy()

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        return self.scale(codes).flatten(1)

    def to_pil(self, images: Any) -> list[Any]:
        """PIL images from ``(n, channels, height, width)`` floats in [low, high] or uint8."""
        from PIL import Image as PILImage

        array = _as_array(images, "images")
        array = array[None] if array.ndim == 3 else array
        if array.dtype != np.uint8:
            array = np.clip((array - self.low) / (self.high - self.low) * 255 + 0.5, 0, 255).astype(np.uint8)
        return [PILImage.fromarray(a[0] if self.channels == 1 else a.transpose(1, 2, 0)) for a in array]

    def to_dict(self) -> dict[str, Any]:
        shape = {"channels": self.channels, "height": self.height, "width": self.width}
        return {"kind": self.kind, **shape, "low": self.low, "high": self.high}


_KINDS: dict[str, type[Variable]] = {cls.kind: cls for cls in (Discrete, Continuous, Image)}


def variable_from_dict(declaration: Mapping[str, Any], name: str = "variable") -> Variable:
    """The variable that :meth:`Variable.to_dict` describes.

    Raises:
        VariableError: an unknown kind or unknown, missing or wrong fields.
    """
    fields = dict(declaration)
    kind = fields.pop("kind", None)
    if kind not in _KINDS:
        raise VariableError(f"{name!r} has kind {kind!r}; known kinds are {', '.join(_KINDS)}.")
    try:
        return _KINDS[kind](**fields)
    except TypeError as error:
        raise VariableError(f"{name!r} of kind {kind} cannot be declared from {sorted(fields)}: {error}.") from None

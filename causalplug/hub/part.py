"""What mechanisms and encoders have in common: how one of them is described, saved and built
again."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from causalplug.files.precision import cast, precision_of_file
from causalplug.files.storage import Content
from causalplug.files.weights import load_tensors, safetensors_writer
from causalplug.hub.building import building
from causalplug.hub.code_file import read_code
from causalplug.hub.contract import check_attribute, check_overrides, declare
from causalplug.hub.formats import ENCODER_FORMAT, MECHANISM_FORMAT
from causalplug.hub.part_facts import part_facts
from causalplug.hub.shareable import Shareable
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from typing_extensions import Self

    from causalplug.hub.snapshot import Snapshot

__all__ = ["WEIGHTS", "Part", "part_files"]

WEIGHTS = "model.safetensors"


class Part(Shareable, nn.Module):
    """A mechanism or an encoder, as a repository holds it.

    Attributes:
        kind: The name that it is registered under.
        license, source: Licence and origin of pretrained weights.
        weights_license: Licence of all weights of its kind, for a class that serves one family
            alone.
        needs: Packages that it imports when it is used, beyond those that causalplug needs itself.
        part_of: Name of the module of another model that it was taken with (``"C+N"``), or None.
        frozen: Its parameters are never updated.
        copied_with_model: Its weights are files of another library: a model that holds it copies
            its repository into its own, where it has none.
    """

    kind: ClassVar[str] = ""
    weights_license: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    license: str | None = None
    source: str | None = None
    part_of: str | None = None
    frozen: bool = False
    copied_with_model: bool = False

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        check_overrides(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        check_attribute(self, name, value)
        super().__setattr__(name, value)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """As in torch; a reserved name is refused."""
        check_attribute(self, name, tensor)
        super().register_buffer(name, tensor, persistent)

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """As in torch; a reserved name is refused."""
        check_attribute(self, name, param)
        super().register_parameter(name, param)

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """As in torch; a reserved name is refused."""
        check_attribute(self, name, module)
        super().add_module(name, module)

    # -- its repository

    def licensed_parts(self) -> list[object]:
        """The pretrained parts inside it, each with ``origin`` and ``license``: itself."""
        return [self]

    def repository_files(
        self, folder: Path, *, anywhere: bool, options: Named
    ) -> tuple[dict[str, Content], Json]:
        return part_files(self, options.get("code"))

    def card_facts(self, *, title: str, options: Named) -> Json:
        return part_facts(self, title=title, more=options)

    # -- hooks of saving and loading

    def config(self) -> Json:
        """JSON values from which :meth:`from_config` rebuilds it without its weights."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: Named) -> Self:
        """The one that :meth:`config` describes, with fresh weights."""
        return cls(**config)

    def saved_tensors(self) -> dict[str, Tensor]:
        """The tensors of its weights file, under the names that they have there; by default its
        whole state."""
        return dict(self.state_dict())

    def load_saved(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Take the tensors that :meth:`saved_tensors` gave.

        Args:
            tensors: By name, as the file has them.
            where: The file, for messages.

        Raises:
            MechanismError: Tensors are missing, unexpected or of another shape.
        """
        with torch.no_grad():
            load_tensors(self, tensors, where)

    def saved_files(self) -> dict[str, Content]:
        """Further files of its repository, path to content; none by default."""
        return {}

    @classmethod
    def from_snapshot(cls, config: Named, snapshot: Snapshot) -> Self:
        """The one that a repository describes, before its weights are read.

        By default :meth:`from_config`, with no more memory than the weights file allows. Override
        it where further files of the repository are needed.
        """
        size, header = 0, {}
        with snapshot.open() as opened:
            if opened.has_weights:
                size, header = opened.weights().size, opened.weights().header
        with building(f"{snapshot}/config.json", size=size, tensors=len(header)):
            part = cls.from_config(config)
        if (precision := precision_of_file(header, part)) is not None:
            cast(part, precision)
        return part


_TEXT = (str, type(None))
declare(
    Part,
    {
        "kind": str,
        "license": _TEXT,
        "source": _TEXT,
        "part_of": _TEXT,
        "frozen": (bool, property),
        "copied_with_model": (bool, property),
    },
)


def part_files(
    part: Part, code: str | PathLike[str] | None = None
) -> tuple[dict[str, Content], Json]:
    """The files of a mechanism (a generator without its binding to a variable) or an encoder, and
    its configuration.

    Args:
        part: What is described.
        code: A Python file that registers its kind, for those who have not installed it. It runs
            only for those who say that they trust it. None: the file that the part was loaded with,
            if there was one.

    Raises:
        MechanismError: It cannot be described by JSON values.
        RepositoryError: There is no such file, it is too large, or it is not called ``.py``.
    """
    config: dict[str, object] = {
        "format": ENCODER_FORMAT if part.card_kind == "encoder" else MECHANISM_FORMAT,
        "kind": part.kind,
    }
    config |= {"config": part.config(), "license": part.license, "source": part.source}
    tensors = part.saved_tensors()
    files: dict[str, Content] = dict(part.saved_files())
    if tensors:
        files[WEIGHTS] = safetensors_writer(tensors)
    if code is None:
        brought = part.brought_code
    else:
        brought = (Path(code).name, read_code(Path(code)))
    if brought is not None:
        config["code"], files[brought[0]] = brought
    return files, config

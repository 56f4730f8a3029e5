"""Every adapter that this installation knows: the shipped ones, registered ones and those of
third-party packages."""

from __future__ import annotations

import importlib.util
import inspect
from dataclasses import asdict, dataclass
from typing import Any

from causalplug.encoders.encoders import ENCODERS
from causalplug.mechanisms.base import MECHANISMS
from causalplug.registry import Registry
from causalplug.values import Json

__all__ = ["AdapterInfo", "list_adapters"]


@dataclass(frozen=True)
class AdapterInfo:
    """One adapter.

    Attributes:
        kind: The name that a repository's ``config.json`` gives.
        role: ``"generator"`` or ``"encoder"``.
        summary: The first line of its documentation.
        module: Where it is defined.
        package: The distribution that brings it, ``"causalplug"`` for shipped ones, None for one
            that was registered by hand.
        license: License of the weights, where the adapter is for one family alone; else each
            repository states its own.
        needs: Packages that it imports when it is used, beyond those that causalplug needs itself.
        missing: Those of them that are not installed.
        error: Why it cannot be used at all, None where it can: its module cannot be imported.
    """

    kind: str
    role: str
    summary: str = ""
    module: str = ""
    package: str | None = None
    license: str | None = None
    needs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    error: str | None = None

    @property
    def usable(self) -> bool:
        """Whether it can be used as things are."""
        return self.error is None and not self.missing

    def __str__(self) -> str:
        state = self.error or (f"pip install {' '.join(self.missing)}" if self.missing else "ready")
        return f"{self.kind} ({self.role}): {self.summary} [{state}]"

    def to_dict(self) -> Json:
        """JSON values."""
        return asdict(self) | {
            "needs": list(self.needs),
            "missing": list(self.missing),
            "usable": self.usable,
        }


def list_adapters() -> list[AdapterInfo]:
    """Every adapter by kind, generators before encoders; one that cannot be imported is listed with
    the reason.

    Third-party packages appear by their entry points in the groups ``causalplug.mechanisms`` and
    ``causalplug.encoders``; their modules are imported to read what they need.
    """
    generators = [
        info for kind in MECHANISMS.kinds() if (info := _describe(MECHANISMS, kind, "generator"))
    ]
    return [
        *generators,
        *(info for kind in ENCODERS.kinds() if (info := _describe(ENCODERS, kind, "encoder"))),
    ]


def _describe(registry: Registry[Any], kind: str, role: str) -> AdapterInfo | None:
    """What is known of one kind; None for a mechanism that is trained, which is no adapter."""
    package = registry.package(kind)
    try:
        found = registry.resolve(kind)
    except (
        Exception
    ) as error:  # whatever somebody else's module raises must not hide the other adapters
        why = (str(error) or type(error).__name__).splitlines()[0]
        return AdapterInfo(kind, role, module=registry.module(kind), package=package, error=why)
    if role == "generator" and not found.frozen:
        return None
    return AdapterInfo(
        kind,
        role,
        summary=(inspect.getdoc(found) or "").partition("\n")[0],
        module=found.__module__,
        package=package,
        license=found.weights_license,
        needs=found.needs,
        missing=tuple(name for name in found.needs if importlib.util.find_spec(name) is None),
    )

"""``from_pretrained``: whatever a repository holds, by the format that its ``config.json``
names."""

from __future__ import annotations

__all__ = ["from_pretrained"]

from os import PathLike
from typing import Any

from causalplug.hub.loading import Access, load_as


def from_pretrained(
    source: str | PathLike[str],
    *,
    revision: str | None = None,
    subfolder: str = "",
    cache_dir: str | PathLike[str] | None = None,
    token: bool | str | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    device: Any = None,
    dtype: Any = None,
    module: str | None = None,
    label_map: Any = None,
    transform: str | list[str] | None = None,
    trust_remote_code: bool = False,
    use: str | None = None,
) -> Any:
    """Load a model, a mechanism, an encoder or one module of a model from a folder or a Hub
    repository.

    A folder, a cached snapshot and a Hub id behave alike. A branch is resolved to a commit, which
    ``origin`` of what is returned remembers; what is on the disk needs no network. The frozen parts
    of a model are fetched when they are first needed.

    Args:
        source: a folder, or a Hub id such as ``"user/mnist-cgan"``.
        revision: branch, tag or commit on the Hub; the main branch if None.
        subfolder: part of the repository.
        cache_dir, token, local_files_only, force_download: as in ``huggingface_hub``.
        device: where the weights go; the CPU if None.
        dtype: of the weights, such as ``torch.bfloat16``; as they were saved if None. Of a model it
            is that of the trained weights: its frozen parts keep the precision that they were
            plugged in with, since what a generator paints was compared with the data in that
            precision. Values stay float32. Load a generator with ``dtype`` to have it frozen so; a
            model saved with it remembers.
        module: of a model, the variables of a trained module, as ``"C+N"``. The module alone is
            returned, to be plugged into another model with the same edges: ``DCM(graph, variables,
            mechanisms={"C+N": module})``.
        label_map: of a frozen generator, how its labels follow from its variable's parents: a
            table, a function, a :class:`~causalplug.LabelMap`, or ``"estimate"`` to estimate it
            from the data before training.
        transform: of a frozen generator, names of changes of shape, such as ``"resize"``.
        trust_remote_code: of a mechanism or an encoder whose kind is not installed: run the Python
            file in this repository that registers it. It may do anything on this computer; on the
            Hub a full commit hash is needed as ``revision``. It never reaches what a model refers
            to: load such a generator itself first.
        use: what it is for: ``"research"``, ``"commercial"``, ``"redistribution"`` or
            ``"modification"``. A licence that forbids it, of what is loaded or of a frozen part in
            it, is warned about.

    Raises:
        RepositoryError: nothing is there, it is malformed, or it holds something else than the
            options are for.
        UnknownVariableError, PlanError: the model has no such module.
    """
    from causalplug.dcm import load_model
    from causalplug.encoders.encoders import load_encoder
    from causalplug.mechanisms.base import load_mechanism

    return load_as(
        source,
        {"model": load_model, "mechanism": load_mechanism, "encoder": load_encoder},
        Access(
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
            force_download=force_download,
        ),
        revision=revision,
        subfolder=subfolder,
        device=device,
        dtype=dtype,
        module=module,
        label_map=label_map,
        transform=transform,
        trust_remote_code=trust_remote_code,
        use=use,
    )

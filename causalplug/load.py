"""``from_pretrained``: whatever a repository holds, by the format that its ``config.json``
names."""

from __future__ import annotations

__all__ = ["from_pretrained"]

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from causalplug.arguments import (
    COUNT,
    FLAG,
    MAPPING,
    NAME,
    TEXT,
    Rule,
    instance,
    number,
    several,
    takes,
    whole,
)
from causalplug.errors import RepositoryError
from causalplug.hub.loading import FETCHING, Access, load_as
from causalplug.values import Named, Value
from causalplug.variables import Variable

if TYPE_CHECKING:
    from causalplug.mechanisms.frozen.label import Label
    from causalplug.variables import Image


def _known_device(value: Value) -> Value:
    """A device that is there.

    Raises:
        ValueError: It is not.
    """
    import torch

    try:
        torch.empty(0, device=value)
    except (RuntimeError, AssertionError) as error:
        raise ValueError from error
    return value


_DEVICE = Rule("a device that torch finds on this computer, such as 'cpu'", _known_device)
_NAME = NAME.or_none("none")
_SCHEDULER = NAME.or_else(instance('a mapping with its "class" and settings', Mapping))
_IMAGES = instance("a mapping from arguments to images, such as {'image': …}", Mapping)


@takes(
    RepositoryError,
    **FETCHING,
    device=_DEVICE.or_none("the CPU"),
    module=_NAME,
    variable=instance("the declaration of a variable", Variable).or_none("what it is by itself"),
    classes=several(whole(0)).or_none("0, 1, 2, …"),
    steps=COUNT.or_none(),
    guidance_scale=number(low=0).or_none(),
    negative_prompt=TEXT.or_none("none"),
    call=MAPPING.or_none("none"),
    variant=_NAME,
    scheduler=_SCHEDULER.or_none("the pipeline's own"),
    images=_IMAGES.or_none("none"),
    offload=FLAG,
    safety_checker=FLAG.or_none(),
    single_file=_NAME,
    size=COUNT.or_none(),
    trial=FLAG,
)
def from_pretrained(
    source: str | PathLike[str],
    *,
    revision: str | None = None,
    subfolder: str = "",
    cache_dir: str | PathLike[str] | None = None,
    token: bool | str | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    device: object = None,
    dtype: object = None,
    module: str | None = None,
    variable: Variable | None = None,
    prompts: str | Mapping[Any, str] | None = None,
    labels: Sequence[Label] | None = None,
    classes: Sequence[int] | None = None,
    images: Mapping[str, Image] | None = None,
    steps: int | None = None,
    guidance_scale: float | None = None,
    negative_prompt: str | None = None,
    call: Named | None = None,
    variant: str | None = None,
    scheduler: str | Mapping[str, object] | None = None,
    offload: bool = False,
    safety_checker: bool | None = None,
    lora: str | PathLike[str] | Mapping[str, Any] | Sequence[Any] | None = None,
    single_file: str | None = None,
    size: int | None = None,
    error: float | str | None = None,
    label_map: object = None,
    transform: str | list[str] | None = None,
    trial: bool = True,
    trust_remote_code: bool = False,
    use: str | None = None,
) -> Any:
    """Load what a folder or a Hub repository holds.

    It can load models, mechanisms and encoders of causalplug, one module of a model, diffusers
    pipelines (``model_index.json``), transformers models (``config.json`` with a ``model_type``)
    and generators in a Keras file (``.keras``, or a full model in ``.h5``).

    Folders, cached snapshots and Hub ids behave alike. A branch is resolved to a commit, which is
    kept in the ``origin`` of the returned object. Files on disk need no network. The frozen parts
    of a model are fetched when they are first needed.

    Args:
        source: A folder, a Hub id such as ``"user/mnist-cgan"``, or a file of Keras.
        revision: Branch, tag or commit on the Hub; the main branch if None.
        subfolder: Part of the repository.
        cache_dir, token, local_files_only, force_download: As in ``huggingface_hub``.
        device: Where the weights go; the CPU if None.
        dtype: Dtype of the weights, such as ``torch.bfloat16``; as they were saved if None. Of a
            model it is that of the trained weights: its frozen parts keep the precision that they
            were plugged in with, since what a generator paints was compared with the data in that
            precision. Values stay float32. Load a generator with ``dtype`` to have it frozen so; a
            model saved with it remembers.
        module: of a model, the variables of a trained module, as ``"C+N"``. The module alone is
            returned, to be plugged into another model with the same edges: ``DCM(graph, variables,
            mechanisms={"C+N": module})``.
        variable: Of a model of transformers, what it is in the causal model: ``cp.Discrete([…])``
            for a classifier of images or texts, whose classes are matched by name;
            ``cp.Continuous()`` for a regressor; ``cp.Vector(n)`` for an embedding or a regressor
            of several numbers; ``cp.Text()`` for a language model, which writes it, or for a
            backbone that becomes an encoder of these texts; ``cp.Image(…)`` for a backbone that
            becomes an encoder of these images. Of a generator of Keras, the image that it paints,
            where its range cannot be told from its last activation. Of a pipeline, the image that
            it paints; by default what a first image shows.
        prompts: Of a text-conditional pipeline or a language model, a mapping from labels to
            prompts, such as ``{"cat": "a photo of a cat"}``, or a template such as ``"a photo of a
            {animal}"``.
        labels: Of a pipeline, a generator of Keras or a language model, its labels; those of a
            mapping of prompts are its keys.
        classes: Of a class-conditional pipeline, the class of each joint label.
        images: Of a pipeline that reads pictures, the arguments of its call that read one and their
            declarations, such as ``{"image": cp.Image(3, 64, 64)}``; parents are read as these.
        steps, guidance_scale, negative_prompt, call: Of a pipeline; see
            :class:`causalplug.adapters.PipelineGenerator`. ``call`` also holds the options of a
            language model; see :class:`causalplug.adapters.TransformersText`.
        variant, scheduler, offload, safety_checker, lora, single_file: Of a pipeline, as well.
        size: Of an encoder, numbers of one projection; 16 by default.
        error: Of a regressor, the standard deviation of its error, or ``"estimate"`` to estimate it
            from the rows that the model is trained on.
        label_map: Label map of a frozen generator, how its labels follow from its variable's
            parents: a table, a function, a :class:`~causalplug.LabelMap`, or ``"estimate"`` to
            estimate it from the data before training.
        transform: Transform of a frozen generator, names of changes of shape, such as ``"resize"``.
        trial: Of a pipeline or a mechanism of transformers, whether it runs on a few rows first,
            which checks what it gives. False skips that: what it gives is then trusted, and rows of
            a pipeline are painted one by one.
        trust_remote_code: Trust remote code of a mechanism or an encoder whose kind is not
            installed: run the Python file in this repository that registers it. It may do anything
            on this computer; on the Hub a full commit hash is needed as ``revision``. It never
            reaches what a model refers to: load such a generator itself first.
        use: What it is for: ``"research"``, ``"commercial"``, ``"redistribution"`` or
            ``"modification"``. A licence that forbids it, of what is loaded or of a frozen part in
            it, is warned about.

    Raises:
        RepositoryError: Nothing is there, it is malformed, or it holds something else than the
            options are for.
        UnknownVariableError, PlanError: The model has no such module.
    """
    from causalplug.adapters.foreign import KERAS_LOADER, PIPELINE_LOADER, TRANSFORMERS_LOADER
    from causalplug.dcm import MODEL_LOADER
    from causalplug.encoders.encoders import ENCODER_LOADER
    from causalplug.mechanisms.base import MECHANISM_LOADER

    loaders = {
        "model": MODEL_LOADER,
        "mechanism": MECHANISM_LOADER,
        "encoder": ENCODER_LOADER,
        "pipeline": PIPELINE_LOADER,
        "transformers": TRANSFORMERS_LOADER,
        "keras": KERAS_LOADER,
    }
    options = {
        "device": device,
        "dtype": dtype,
        "module": module,
        "variable": variable,
        "prompts": prompts,
        "labels": labels,
        "classes": classes,
        "images": images,
        "steps": steps,
        "guidance_scale": guidance_scale,
        "negative_prompt": negative_prompt,
        "call": call,
        "variant": variant,
        "scheduler": scheduler,
        "offload": offload or None,
        "safety_checker": safety_checker,
        "lora": lora,
        "single_file": single_file,
        "size": size,
        "error": error,
        "label_map": label_map,
        "transform": transform,
        "trial": None if trial else False,
        "trust_remote_code": trust_remote_code or None,
    }
    return load_as(
        source,
        loaders,
        Access(cache_dir, token, local_files_only, force_download),
        options=options,
        revision=revision,
        subfolder=subfolder,
        use=use,
    )

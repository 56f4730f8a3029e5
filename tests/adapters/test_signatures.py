"""Signatures of the adapters: no open keywords; a misspelt argument is answered with the right
one."""

import inspect

import pytest

import causalplug as cp
from causalplug import adapters

CLASSES = [name for name in adapters.__all__ if inspect.isclass(getattr(adapters, name))]
LOADERS = ("__init__", "from_pretrained", "from_folder", "from_dataset", "from_keras")


@pytest.mark.parametrize("name", CLASSES)
def test_no_call_of_an_adapter_takes_open_keywords(name: str) -> None:
    cls = getattr(adapters, name)
    for loader in LOADERS:
        for one in inspect.signature(getattr(cls, loader, cls)).parameters.values():
            inherited = loader == "from_pretrained" and loader not in vars(cls)
            assert inherited or one.kind is not inspect.Parameter.VAR_KEYWORD, (loader, one)


@pytest.mark.parametrize(
    ("call", "wrong", "right"),
    [
        (adapters.ImageBank.from_folder, "licence", "license"),
        (adapters.ImageBank.from_dataset, "image_colum", "image_column"),
        (adapters.CXRACGAN.from_keras, "labelmap", "label_map"),
        (adapters.DiffusersGenerator.from_pretrained, "step", "steps"),
        (adapters.PipelineGenerator.from_pretrained, "guidance", "guidance_scale"),
        (adapters.ImagePipeline.from_pretrained, "negativ_prompt", "negative_prompt"),
        (adapters.TransformersClassifier.from_pretrained, "read", "reads"),
        (adapters.TransformersText.from_pretrained, "prompt", "prompts"),
        (adapters.TransformersEncoder.from_pretrained, "sizes", "size"),
        (cp.LabelMap.estimate, "sample", "samples"),
    ],
)
def test_a_misspelt_argument_is_answered_with_the_right_one(call, wrong, right) -> None:
    with pytest.raises(TypeError, match=f'did you mean "{right}"'):
        call("somewhere", **{wrong: 1})


def test_what_does_not_fit_is_refused_before_any_file_is_opened() -> None:
    with pytest.raises(cp.MechanismError, match="dtype='float' cannot be used"):
        adapters.PipelineGenerator.from_pretrained("nowhere", dtype="float")
    with pytest.raises(cp.MechanismError, match=r"steps=0 .* give a whole number of at least 1"):
        adapters.DiffusersGenerator.from_pretrained("nowhere", [], steps=0)
    with pytest.raises(cp.DataError, match="labels="):
        adapters.ImageBank.from_folder("nowhere", labels=[3])

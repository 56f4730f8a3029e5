"""What libraries would do in place of three pieces of our own: the moving average of the weights,
the metadata of a card, and the check of a configuration.

    OMP_NUM_THREADS=1 python benchmarks/libraries.py    # some seconds; needs diffusers, pydantic
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from typing_extensions import TypedDict

import causalplug as cp
from causalplug.files.validation import check_keys
from causalplug.training.learner import Average

UPDATES = 2000


def cpu_microseconds(work: Callable[[int], object]) -> float:
    """CPU time of one call, the mean of many."""
    work(1)
    start = time.process_time()
    for step in range(UPDATES):
        work(step + 1)
    return (time.process_time() - start) / UPDATES * 1e6


def import_seconds(statement: str) -> float:
    """CPU time of a process that imports, less that of one that imports nothing."""
    program = f"{statement}\nimport time; print(time.process_time())"
    spent = []
    for code in (program, "import time; print(time.process_time())"):
        found = [
            float(subprocess.run([sys.executable, "-c", code], capture_output=True).stdout)
            for _ in range(3)
        ]
        spent.append(min(found))
    return spent[0] - spent[1]


def averages() -> None:
    """One update of the average of a small mechanism."""
    from diffusers.training_utils import EMAModel
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    graph = cp.CausalGraph.parse("X -> Y")
    dcm = cp.DCM(graph, {"X": cp.Continuous(), "Y": cp.Continuous()})
    mechanism = dcm.mechanism("Y")
    parameters = list(mechanism.parameters())
    own = Average(parameters, 0.99)
    torch_model = AveragedModel(mechanism, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    theirs = EMAModel(parameters, decay=0.99, foreach=True)
    print(f"one update of the average of {len(parameters)} tensors, in microseconds of CPU")
    print(f"  ours                      {cpu_microseconds(own.update):6.1f}")
    torch_update = cpu_microseconds(lambda _: torch_model.update_parameters(mechanism))
    print(f"  torch AveragedModel       {torch_update:6.1f}")
    print(f"  diffusers EMAModel        {cpu_microseconds(lambda _: theirs.step(parameters)):6.1f}")


def metadata() -> None:
    """Figures on two sets of rows, as the metadata of a card holds them."""
    from huggingface_hub import EvalResult, ModelCardData

    results = []
    for rows, value in (("held-out rows", 0.02), ("rows of the training", 0.01)):
        results.append(
            EvalResult(
                task_type="causal-inference",
                dataset_type="custom",
                dataset_name=rows,
                metric_type="total-variation-distance",
                metric_value=value,
            )
        )
    data = ModelCardData(model_name="model", eval_results=results).to_dict()
    kept = [result["dataset"]["name"] for result in data["model-index"][0]["results"]]
    print(f"metadata of a card: figures on two sets of rows come out as figures on {kept}")
    seconds = import_seconds("from huggingface_hub import ModelCardData")
    print(f"  import huggingface_hub.ModelCardData {seconds:.2f} s of CPU")


class _File(TypedDict):
    size: int
    sha256: str


class _Config(TypedDict):
    kind: str
    files: dict[str, _File]


def checks() -> None:
    """The check of a configuration of a hundred files."""
    import pydantic

    fields = {"size": int, "sha256": str}
    files = {f"part-{number}.safetensors": {"size": 1, "sha256": "0"} for number in range(100)}
    config = {"kind": "dcm", "files": files}
    strict = pydantic.ConfigDict(strict=True, extra="forbid")
    _File.__pydantic_config__ = _Config.__pydantic_config__ = strict  # type: ignore[attr-defined]
    adapter = pydantic.TypeAdapter(_Config)
    schema = {"kind": str, "files": {str: fields}}
    ours = cpu_microseconds(lambda _: check_keys(config, schema, where="config.json"))
    theirs = cpu_microseconds(lambda _: adapter.validate_python(config))
    print("a check of a configuration of 100 files, in microseconds of CPU")
    print(f"  ours                      {ours:6.0f}")
    print(f"  pydantic                  {theirs:6.0f}")
    wrong = config | {"fils": {}}
    for name, check in (
        ("ours", lambda: check_keys(wrong, schema, where="config.json")),
        ("pydantic", lambda: adapter.validate_python(wrong)),
    ):
        try:
            check()
        except (cp.RepositoryError, pydantic.ValidationError) as error:
            print(f"  {name}: {' '.join(str(error).split())}")
    ours_seconds = import_seconds("import causalplug.files.validation")
    theirs_seconds = import_seconds("from pydantic import TypeAdapter")
    print(f"  imports: ours {ours_seconds:.2f} s, pydantic {theirs_seconds:.2f} s of CPU")


if __name__ == "__main__":
    averages()
    metadata()
    checks()

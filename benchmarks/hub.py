"""What loading a model costs beside reading its file of weights with the bare library and importing
torch.

    python benchmarks/hub.py [--rounds 5]

Every figure is the median of CPU seconds of fresh processes, which take turns. The bare process
imports torch and reads ``model.safetensors`` by ``safetensors.torch.load_file``; ours imports
causalplug and calls ``from_pretrained``, which also checks configuration, header and SHA-256 and
builds the networks. Both touch every weight once. The model has an image behind a frozen generator,
which lies in a repository of its own and is not needed for loading.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BOUND = 1.3
BARE = """
import sys, time
from safetensors.torch import load_file
tensors = load_file(sys.argv[1] + "/model.safetensors")
sum(float(tensor.sum()) for tensor in tensors.values())
print(time.process_time())
"""
OURS = """
import sys, time
import causalplug as cp
dcm = cp.from_pretrained(sys.argv[1])
sum(float(tensor.sum()) for tensor in dcm.trained_tensors().values())
print(time.process_time())
"""


def save_model(folder: Path, width: int) -> int:
    """Save a model with hidden layers of this width; returns the bytes of its weights."""
    import torch

    import causalplug as cp
    from causalplug.adapters.conditional_gan import ConditionalGAN
    from causalplug.mechanisms.frozen.label import Label

    image = cp.Image(1, 32, 32)
    layers = [
        {"type": "linear", "in_features": 6, "out_features": 1024, "name": "out"},
        {"type": "sigmoid"},
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = ConditionalGAN(image, [Label("digit", 2)], 4, layers).save_pretrained(
            folder / "generator"
        )
    graph = cp.CausalGraph.parse("D -> I -> A; D -> X; D <-> A; X <-> A")
    variables = {
        "D": cp.Discrete(2),
        "I": image,
        "A": cp.Discrete(["no", "yes"]),
        "X": cp.Continuous(),
    }
    dcm = cp.DCM(
        graph, variables, mechanisms={"I": cp.from_pretrained(generator)}, hidden=(width, width)
    )
    return (dcm.save_pretrained(folder / "model") / "model.safetensors").stat().st_size


def cpu_seconds(code: str, folder: Path) -> float:
    """CPU seconds of a fresh process that runs the code."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return float(done.stdout)


def main() -> None:
    """Print one line per size of the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="processes of each kind and size")
    rounds = parser.parse_args().rounds
    print(f"{'weights':>12}{'bare':>9}{'ours':>9}{'ratio':>8}   bound {BOUND}")
    for width in (64, 1024, 4096):
        with tempfile.TemporaryDirectory() as home:
            size = save_model(Path(home), width)
            for code in (BARE, OURS):
                cpu_seconds(code, Path(home) / "model")  # warm the file cache
            pairs = [
                [cpu_seconds(code, Path(home) / "model") for code in (BARE, OURS)]
                for _ in range(rounds)
            ]
            bare, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
            print(f"{size / 1e6:9.1f} MB{bare:8.2f}s{ours:8.2f}s{ours / bare:8.2f}")


if __name__ == "__main__":
    main()

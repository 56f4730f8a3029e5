"""Run the commands behind the figures of docs/results.md and of the recipes, print what they print.

    python -m recipes.figures [NAME …] [--mnist FOLDER] [--cxr FOLDER] [--sachs FILE] …

A figure whose data is not given is listed with what it needs. What every command prints is kept in
``NAME.txt`` of the output folder, with the date and the command.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

DATA = {
    "mnist": "folder with the four IDX files of MNIST",
    "cxr": "folder with cxr_real_64.npz, covidx9a_labels.csv.gz and acgan_generated_112.npz",
    "sachs": "the discretised cells of Sachs et al., a file",
    "networks": "folder with asia.bif and sachs.bif of bnlearn",
    "pretrained": "folder with mnist-lenet and mnist-cgan-mlp, see recipes/mnist_diamond",
    "morphomnist": "folder with Morpho-MNIST and its judges, see recipes/morphomnist",
}


@dataclass(frozen=True)
class Figure:
    """One command: a script of the recipes and its options, in which ``{mnist}`` and the like stand
    for the data that it needs."""

    name: str
    script: str
    options: str = ""

    @property
    def needs(self) -> list[str]:
        """Names of the data in the options."""
        return [name for name in DATA if f"{{{name}}}" in self.options]

    def command(self, given: dict[str, str]) -> list[str]:
        """The words of the command after the interpreter's."""
        return ["-m", f"recipes.{self.script}", *self.options.format(**given).split()]


FIGURES = (
    Figure("asia", "asia.run", "--network {networks}/asia.bif"),
    Figure("sachs", "sachs.run", "--data {sachs} --network {networks}/sachs.bif"),
    Figure("synthetic7", "synthetic7.run"),
    Figure("large_graph", "large_graph.run"),
    Figure("scalability", "large_graph.scalability"),
    Figure("idgen", "idgen.run"),
    Figure("figure3", "mnist_frontdoor.figure3", "--most-steps 4000 --every 200 --patience 6"),
    Figure("mnist_frontdoor", "mnist_frontdoor.run", "--data {mnist} --generator-steps 1500"),
    Figure(
        "compare",
        "mnist_frontdoor.compare",
        "--data {mnist} --rows 8000 --generator-steps 700 --steps 800 --joint-steps 400 "
        "--pixel-steps 270",
    ),
    Figure("mnist_counterfactual", "mnist_counterfactual.run", "--data {mnist}"),
    Figure("invariant_faces", "invariant_faces.run", "--data {mnist}"),
    Figure("diffusion_mediator", "diffusion_mediator.run"),
    Figure("report_finding", "report_finding.run"),
    Figure("mnist_diamond", "mnist_diamond.run", "--data {mnist} --pretrained {pretrained}"),
    Figure("thickness_frontdoor", "thickness_frontdoor.run", "--data {morphomnist}"),
    Figure(
        "morphomnist",
        "morphomnist.run",
        "--data {morphomnist} --lenet {pretrained}/mnist-lenet",
    ),
    Figure("morphomnist_confounded", "morphomnist.confounded"),
    Figure(
        "cxr",
        "cxr.run",
        "--data {cxr} --bank {cxr}/acgan_generated_112.npz --members 3 --rows 5000 "
        "--encoder-steps 100 --steps 250 --samples 4000",
    ),
    Figure(
        "cxr_protocol",
        "cxr.protocol",
        "--data {cxr} --bank {cxr}/acgan_generated_112.npz",
    ),
)


def main(arguments: list[str] | None = None) -> int:
    """Status of the process: 0 if every command that could run ended well."""
    names = [figure.name for figure in FIGURES]
    parser = options(names)
    chosen = parser.parse_args(arguments)
    given = {name: value for name, value in vars(chosen).items() if name in DATA and value}
    wanted = [figure for figure in FIGURES if figure.name in (chosen.names or names)]
    if chosen.list:
        show(wanted, given)
        return 0
    return sum(run(figure, given, chosen.output_dir) for figure in wanted)


def options(names: list[str]) -> argparse.ArgumentParser:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.figures", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "names", nargs="*", choices=[*names, []], metavar="NAME", help=f"of {', '.join(names)}"
    )
    for name, meaning in DATA.items():
        parser.add_argument(f"--{name}", help=meaning)
    parser.add_argument("--list", action="store_true", help="print the commands, run nothing")
    parser.add_argument("--output-dir", type=Path, default=Path("runs/figures"))
    return parser


def show(figures: list[Figure], given: dict[str, str]) -> None:
    """Print the commands, with a word in capitals for data that is not given."""
    places = {name: given.get(name, name.upper()) for name in DATA}
    for figure in figures:
        print(f"{figure.name}: python {' '.join(figure.command(places))}")


def run(figure: Figure, given: dict[str, str], folder: Path) -> int:
    """Run one command and print what it prints; 1 if it failed, 0 if it did not or could not."""
    missing = [name for name in figure.needs if name not in given]
    if missing:
        needed = "; ".join(f"--{name}: {DATA[name]}" for name in missing)
        print(f"== {figure.name}: not run, it needs {needed}\n", flush=True)
        return 0
    words = [*figure.command(given), "--output-dir", str(folder / figure.name)]
    folder.mkdir(parents=True, exist_ok=True)
    head = f"== {figure.name}, {date.today().isoformat()}: python {' '.join(words)}"
    done = subprocess.run(
        [sys.executable, *words],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    text = f"{head}\n{done.stdout}"
    if done.returncode:
        text += f"It ended with status {done.returncode}:\n{done.stderr[-2000:]}\n"
    (folder / f"{figure.name}.txt").write_text(text)
    print(text, flush=True)
    return int(bool(done.returncode))


if __name__ == "__main__":
    sys.exit(main())

"""Train the AC-GAN of chest X-rays at 112 x 112 in its published architecture, and write it as an
adapter repository. ``--help`` lists the options.

Architecture and settings are those of Carbone et al. 2023
(https://github.com/giocoal/CXR-ACGAN-chest-xray-generator-covid19-pneumonia): transposed
convolutions on a latent and an embedded label, a discriminator with two heads (real or not, and
which finding), Adam at 2e-4 and labels smoothed by .2.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional

import causalplug as cp
from causalplug.adapters.cxr_acgan import CXRACGAN, FINDINGS
from causalplug.errors import DataError
from recipes.common import Run, parser
from recipes.cxr.data import finding
from recipes.cxr.judge import read

FILE = "cxr_real_112.npz"
SIDE = 112
SMOOTHING = 0.2


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Train until the minutes or the steps are over; returns what it prints."""
    made = parser(__file__, __doc__)
    made.set_defaults(output_dir=Path("runs/cxr_acgan"))
    made.add_argument("--data", required=True, help=f"folder with {FILE}: images, C and N")
    made.add_argument("--minutes", type=float, default=15.0, help="minutes of training at most")
    made.add_argument("--steps", type=int, default=178_000, help="updates at most")
    made.add_argument("--batch-size", type=int, default=64, help="real images in a step")
    run = Run(__file__, made, arguments)
    chosen = run.options
    images, findings = load(chosen.data)
    run.lap("images")
    generator = CXRACGAN(license="other", source=f"trained by this recipe on {FILE}")
    steps = train(
        generator,
        images,
        findings,
        minutes=chosen.minutes,
        steps=chosen.steps,
        batch_size=chosen.batch_size,
        seed=chosen.seed,
    )
    run.lap("training")
    generator.save_pretrained(chosen.output_dir / "generator")
    painted = paint(generator, 100, chosen.seed)
    result = {
        "steps": steps,
        "images seen": steps * chosen.batch_size,
        "shown": read(images, findings, {name: grey(made) for name, made in painted.items()}),
    }
    draw(images, findings, painted, chosen.output_dir)
    run.lap("judging and pictures")
    shown = ", ".join(f"{name} {share:.2f}" for name, share in result["shown"].items())
    print(
        f"{steps} steps of {chosen.batch_size} images; a judge of real ones reads as asked: {shown}"
    )
    print(f"python -m recipes.cxr.run --data … --generator {chosen.output_dir / 'generator'}")
    return run.finish(result)


def load(folder: str) -> tuple[np.ndarray, np.ndarray]:
    """Images ``(m, 112, 112)`` uint8, and which finding each shows ``(m,)``.

    Raises:
        DataError: No such file, other arrays, or a finding without an image.
    """
    path = Path(folder).expanduser() / FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            images, codes = file["images"], finding(file["C"], file["N"]).astype(np.int64)
    except (KeyError, ValueError, OSError) as error:
        raise DataError(
            f"{path} cannot be read as X-rays: {error}. It needs arrays images (m, {SIDE}, {SIDE}) "
            "uint8, C and N; recipes/cxr/README.md says where such images come from."
        ) from error
    if images.shape[1:] != (SIDE, SIDE) or images.dtype != np.uint8 or len(codes) != len(images):
        raise DataError(
            f"{path} holds images {images.shape} of {images.dtype} with {len(codes)} labels: it "
            f"needs (m, {SIDE}, {SIDE}) of uint8 and a label for each."
        )
    for code, name in enumerate(FINDINGS):
        if code not in codes:
            raise DataError(f"{path} has no image of the finding {name!r}: add some.")
    return images, codes


class Discriminator(nn.Module):
    """The published discriminator: logits of "real" ``(n,)`` and of the findings ``(n, 3)``."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after, stride in ((32, 1), (64, 2), (128, 2), (256, 2), (512, 2)):
            padding = (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1)
            layers += [
                nn.ZeroPad2d(padding),
                nn.Conv2d(before, after, 3, stride=stride),
                nn.BatchNorm2d(after, eps=1e-3, momentum=0.1),
                nn.LeakyReLU(0.2),
                nn.Dropout(0.5),
            ]
            before = after
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.real = nn.Linear(49 * before, 1)
        self.finding = nn.Linear(49 * before, len(FINDINGS))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(images)
        return self.real(features)[:, 0], self.finding(features)


def train(
    generator: CXRACGAN,
    images: np.ndarray,
    findings: np.ndarray,
    *,
    minutes: float,
    steps: int,
    batch_size: int,
    seed: int,
) -> int:
    """Train the generator, on a GPU where there is one; returns the number of updates."""
    torch.manual_seed(seed)
    device = Accelerator().device
    generator.to(device)
    critic = Discriminator().to(device)
    learning(generator, True)
    learn = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    judge = torch.optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.999))
    draw = torch.Generator().manual_seed(seed)
    start, done = time.monotonic(), 0
    stream = batches(images, findings, batch_size, seed)
    while done < steps and time.monotonic() - start < 60 * minutes:
        real, codes = (part.to(device) for part in next(stream))
        wanted = torch.randint(len(FINDINGS), codes.shape, device=device)
        noise = {"latent": generator.latent.spec.draw(len(codes), draw).to(device)}
        made = generator.generate(wanted[:, None], noise)
        judge.zero_grad()
        loss = verdict(critic(real), 1 - SMOOTHING, codes)
        loss = loss + verdict(critic(made.detach()), SMOOTHING, wanted)
        loss.backward()
        judge.step()
        learn.zero_grad()
        verdict(critic(made), 1.0, wanted).backward()
        learn.step()
        done += 1
        if done % 50 == 1:
            print(f"step {done}: loss of the discriminator {loss.item():.3f}", flush=True)
    learning(generator, False)
    generator.cpu()
    return done


def learning(generator: CXRACGAN, on: bool) -> None:
    """Unfreeze the adapter, its normalisation included, or freeze it again."""
    generator.requires_grad_(on)
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(on)


def verdict(heads: tuple[Tensor, Tensor], real: float, codes: Tensor) -> Tensor:
    """Cross-entropy of both heads."""
    target = torch.full_like(heads[0], real)
    source = functional.binary_cross_entropy_with_logits(heads[0], target)
    return source + functional.cross_entropy(heads[1], codes)


def batches(
    images: np.ndarray, findings: np.ndarray, size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Real images in [-1, 1], three equal channels, every finding as often as the others."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(findings == code) for code in range(len(FINDINGS))]
    while True:
        codes = rng.integers(len(FINDINGS), size=size)
        index = np.array([rng.choice(members[code]) for code in codes])
        real = torch.from_numpy(images[index]).float()[:, None] / 127.5 - 1
        yield real.expand(-1, 3, -1, -1), torch.from_numpy(codes)


def paint(generator: CXRACGAN, n: int, seed: int) -> dict[str, np.ndarray]:
    """``n`` images of every finding, ``(n, 3, 112, 112)`` in [-1, 1]."""
    draw, painted = torch.Generator().manual_seed(seed), {}
    for code, name in enumerate(FINDINGS):
        noise = {"latent": generator.latent.spec.draw(n, draw)}
        with torch.no_grad():
            painted[name] = generator.paint(torch.full((n,), code), noise).numpy()
    return painted


def grey(images: np.ndarray) -> np.ndarray:
    """The mean of the channels, 0 to 255."""
    return 127.5 * (images.mean(1) + 1)


def draw(
    images: np.ndarray, findings: np.ndarray, painted: dict[str, np.ndarray], folder: Path
) -> None:
    """Write real and generated images of every finding side by side."""
    rows: dict[str, Any] = {}
    for code, name in enumerate(FINDINGS):
        rows[f"data, {name}"] = list(images[findings == code][:8])
        rows[f"generated, {name}"] = list(grey(painted[name][:8]).astype(np.uint8))
    cp.plots.plot_images(rows, width=6.0).savefig(folder / "images.png", dpi=200)


if __name__ == "__main__":
    main()

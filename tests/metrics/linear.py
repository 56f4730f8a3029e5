"""Image mechanisms made by hand, whose measures are known in closed form."""

import torch

import causalplug as cp
from causalplug.noise import NoiseSpec

SIZE = 4
VARIABLES = {
    "D": cp.Discrete(2),
    "T": cp.Continuous(),
    "I": cp.Image(1, SIZE, SIZE, low=-8.0, high=8.0),
}
GRAPH = cp.CausalGraph.parse("D -> I; T -> I")


@cp.register_mechanism("test-linear-image")
class Linear(cp.Mechanism):
    """``I = T + 2 D + noise`` at every pixel; a share ``lost`` of the noise is not recovered, and a
    share ``kept`` of the parents is taken for noise."""

    abduction = "approximate"
    explicit = False

    def __init__(self, lost=0.0, kept=0.0):
        super().__init__()
        self.variable, self.parents = VARIABLES["I"], ("D", "T")
        self.noise = {"pixels": NoiseSpec((1, SIZE, SIZE))}
        self.lost, self.kept = lost, kept

    def _level(self, parents):
        return (2.0 * parents["D"] + parents["T"]).view(-1, 1, 1, 1)

    def forward(self, parents, noise, confounder=None):
        return self._level(parents) + noise["pixels"]

    def abduct(self, value, parents, confounder=None, *, prior=None):
        level = self._level(parents)
        return {"pixels": (1 - self.lost) * (value - level)}

    def config(self):
        return {"lost": self.lost, "kept": self.kept}


@cp.register_mechanism("test-leaking-image")
class Leaking(Linear):
    """The same, with the share ``kept`` of what the old parents did left in the noise: a do has the
    remaining effect alone."""

    def forward(self, parents, noise, confounder=None):
        return (1 - self.kept) * self._level(parents) + noise["pixels"]

    def abduct(self, value, parents, confounder=None, *, prior=None):
        return {"pixels": value - (1 - self.kept) * self._level(parents)}


def rows(n=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    d = torch.arange(n) % 2
    t = torch.randn(n, generator=generator)
    noise = 0.1 * torch.randn(n, 1, SIZE, SIZE, generator=generator)
    return {"D": d.numpy(), "T": t.numpy(), "I": (2.0 * d + t).view(-1, 1, 1, 1) + noise}


def model(mechanism):
    return cp.DCM(GRAPH, VARIABLES, mechanisms={"I": mechanism})


class Level(torch.nn.Module):
    """The mean of the pixels, less twice the category: T, read off the image."""

    def forward(self, image, category):
        return image.flatten(1).mean(1) - 2.0 * category


class Category(torch.nn.Module):
    """Scores of D from the mean of the pixels and T."""

    def forward(self, image, level):
        d = image.flatten(1).mean(1) - level
        return torch.stack([1 - d, d - 1], 1)


def judges():
    image = cp.Condition("I", VARIABLES["I"])
    return {
        "T": cp.wrap(
            Level(), VARIABLES["T"], conditions=[image, cp.Condition("D", VARIABLES["D"])]
        ),
        "D": cp.wrap(
            Category(),
            VARIABLES["D"],
            conditions=[image, cp.Condition("T", VARIABLES["T"])],
            output="logits",
        ),
    }

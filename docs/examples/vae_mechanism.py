"""A variational autoencoder as the mechanism of an image: one file, trained by its bound."""

import torch
from torch import distributions, nn

import causalplug as cp
from causalplug.mechanisms.trainable import conditioner
from causalplug.noise import NoiseSpec
from causalplug.variables import variable_from_dict


def mlp(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 64), nn.SiLU(), nn.Linear(64, outputs))


@cp.register_mechanism("example-vae")
class VAE(cp.Mechanism):
    """Pixels by a decoder of parents and latent (Kingma & Welling 2014), with normal noise."""

    explicit = True  # log_prob is a lower bound of the log density: training maximises it

    def __init__(self, variable, parents, confounder_size=0, latent=4):
        super().__init__()
        self.variable, self.parents, pixels = variable, tuple(parents), variable.feature_size
        self.noise = {"z": NoiseSpec((latent,)), "pixels": NoiseSpec(variable.event_shape)}
        self.reads = conditioner.Conditioner(parents, confounder_size, 16)
        self.encoder, self.decoder = mlp(pixels + 16, 2 * latent), mlp(latent + 16, pixels)
        self.log_spread = nn.Parameter(torch.tensor(-1.0))
        draws = torch.quasirandom.SobolEngine(latent, scramble=True, seed=0).draw(8)
        self.register_buffer("draws", torch.special.ndtri(draws.clamp(0.01, 0.99)), False)

    def forward(self, parents, noise, confounder=None):
        read = self.reads(parents, confounder).expand(len(noise["z"]), -1)
        mean = self.decoder(torch.cat([noise["z"], read], -1)).view_as(noise["pixels"])
        made = mean + self.log_spread.exp() * noise["pixels"]
        return made.clamp(self.variable.low, self.variable.high)

    def log_prob(self, value, parents, confounder=None):
        read = self.reads(parents, confounder)  # (n, 16), or (s, n, 16) by draws of a confounder
        read = read.expand(*read.shape[:-2], len(value), -1)
        pixels = value.flatten(1).expand(*read.shape[:-1], -1)
        centre, log_scale = self.encoder(torch.cat([pixels, read], -1)).chunk(2, -1)
        draws = self.draws.view(8, *[1] * (centre.ndim - 1), -1)
        z = centre + log_scale.exp() * draws
        mean = self.decoder(torch.cat([z, read.expand(8, *read.shape)], -1))
        fit = distributions.Normal(mean, self.log_spread.exp()).log_prob(pixels).sum(-1).mean(0)
        gap = 0.5 * (centre.square() + (2 * log_scale).exp() - 1) - log_scale
        return fit - gap.sum(-1)

    def config(self):
        parents = conditioner.parents_to_config(self.reads.parents)
        size = self.reads.confounder_size
        return {"variable": self.variable.to_dict(), "parents": parents, "confounder_size": size}

    @classmethod
    def from_config(cls, config):
        parents = conditioner.parents_from_config(config["parents"])
        return cls(variable_from_dict(config["variable"]), parents, config["confounder_size"])

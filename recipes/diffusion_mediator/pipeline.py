"""Training a small class-conditional diffusers pipeline on labelled images, by flow matching in
pixel space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from causalplug.errors import DataError, MissingDependencyError

__all__ = ["train_pipeline"]


def train_pipeline(
    images: np.ndarray,
    labels: np.ndarray,
    folder: str | Path,
    *,
    channels: Sequence[int] = (16, 32),
    steps: int = 400,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    ema: float = 0.99,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """Train a U-Net to carry noise to images along straight lines, and write it as a pipeline of
    diffusers.

    With ``x_t = (1 - t) * image + t * noise`` the network learns the velocity ``noise - image``
    (rectified flow, Liu et al. 2022), which is what ``FlowMatchEulerDiscreteScheduler`` integrates:
    a few steps are enough. Every label is shown equally often, whatever its share of the images:
    what is learned is P(image | label) alone. What is written is a moving average of the weights,
    as safetensors; ``DiffusersGenerator.from_pretrained(folder, labels)`` reads it.

    Args:
        images: ``(n, channels, height, width)`` uint8; height and width are multiples of ``2 **
            (levels - 1)``.
        labels: ``(n,)`` integers from 0; every one up to the largest needs an image.
        folder: Where the pipeline goes.
        channels: Widths of the U-Net, one per level; each level halves the image.
        steps, batch_size, learning_rate: Steps, Batch size and learning rate of Adam; the rate
            falls to nought along a cosine.
        ema: Decay of the average of the weights.
        seed: Seed of weights, batches and noise.
        progress: Show a progress bar.

    Raises:
        DataError: Images or labels of another shape or type, or a label without an image.
        MissingDependencyError: diffusers is not installed.
    """
    try:
        from diffusers import DDPMPipeline, FlowMatchEulerDiscreteScheduler, UNet2DModel
    except ImportError:
        raise MissingDependencyError(
            "A diffusion pipeline cannot be trained: diffusers is not installed. Run: pip install "
            "'causalplug[diffusers]'"
        ) from None
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[:1] != labels.shape:
        raise DataError(
            f"A pipeline cannot be trained on images of shape {images.shape} and type "
            f"{images.dtype} with labels of shape {labels.shape}: it needs (n, channels, height, "
            "width) of uint8 and one label for each."
        )
    counts = torch.bincount(torch.from_numpy(labels))
    if bool((counts == 0).any()):
        empty = int((counts == 0).nonzero()[0])
        raise DataError(
            f"A pipeline cannot be trained: no image has the label {empty}. Number labels from 0."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = UNet2DModel(
            sample_size=images.shape[2:],
            in_channels=images.shape[1],
            out_channels=images.shape[1],
            layers_per_block=1,
            block_out_channels=tuple(channels),
            norm_num_groups=8,
            down_block_types=("DownBlock2D",) * len(channels),
            up_block_types=("UpBlock2D",) * len(channels),
            add_attention=False,
            num_class_embeds=len(counts),
        )
    scheduler = FlowMatchEulerDiscreteScheduler()
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(ema)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    draw = torch.Generator().manual_seed(seed)
    order = torch.from_numpy(np.argsort(labels, kind="stable"))
    starts = counts.cumsum(0) - counts
    pixels = torch.from_numpy(images).float() / 127.5 - 1
    for _ in tqdm(range(steps), desc="pipeline", disable=None if progress else True, leave=False):
        label = torch.randint(len(counts), (batch_size,), generator=draw)
        place = (torch.rand(batch_size, generator=draw, dtype=torch.float64) * counts[label]).long()
        image = pixels[order[starts[label] + place]]
        noise = torch.randn(image.shape, generator=draw)
        t = torch.rand(batch_size, generator=draw)
        mixed = torch.lerp(image, noise, t[:, None, None, None])
        found = network(mixed, t * scheduler.config.num_train_timesteps, class_labels=label).sample
        loss = torch.nn.functional.mse_loss(found, noise - image)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        average.update_parameters(network)
    pipeline = DDPMPipeline(
        average.module.eval(), scheduler
    )  # a pipeline with just these two parts
    pipeline.save_pretrained(folder, safe_serialization=True)
    return Path(folder)

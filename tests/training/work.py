"""Runs for the tests of faults and processes, each in a child of its own, and the faults themselves."""

import os
import signal
import warnings
from pathlib import Path

import numpy as np

WARM = {"objective": "warm", "steps": 16, "save_every": 3, "validate_every": 8}  # 112 updates of a module in all


def load():
    """Import what a run needs, before the forks."""
    import accelerate  # noqa: F401
    import safetensors.torch  # noqa: F401
    import torch

    import causalplug as cp
    from causalplug.training import learner, trainer  # noqa: F401

    torch.set_num_threads(1)
    assert cp.fit


def table(n=600):
    rng = np.random.default_rng(0)
    return {name: rng.integers(2, size=n) for name in "DIA"}


def model():
    import causalplug as cp

    return cp.DCM(cp.CausalGraph.parse("D -> I -> A; D <-> A"), {name: cp.Discrete(2) for name in "DIA"})


def image_model(folder):
    """A frozen generator behind I whose label map, bank and encoder have to be made before training."""
    import torch

    import causalplug as cp
    from causalplug.adapters.conditional_gan import ConditionalGAN
    from causalplug.mechanisms.label import Label

    image = cp.Image(1, 8, 8)
    layers = [{"type": "linear", "in_features": 6, "out_features": 64, "name": "out"}, {"type": "sigmoid"}]
    torch.manual_seed(0)
    gan = ConditionalGAN(image, [Label("D", 2)], 4, layers)
    repository = gan.save_pretrained(folder / "gan")
    variables = {"D": cp.Discrete(2), "I": image, "A": cp.Discrete(2)}
    label_map = cp.LabelMap.estimate(samples=20, steps=4)
    mechanisms = {"I": cp.from_pretrained(repository, label_map=label_map)}
    return cp.DCM(cp.CausalGraph.parse("D -> I -> A; D <-> A"), variables, mechanisms=mechanisms)


def image_table(n=200):
    rng = np.random.default_rng(0)
    return {"D": rng.integers(2, size=n), "A": rng.integers(2, size=n), "I": rng.random((n, 1, 8, 8), np.float32)}


def run(folder, *, resume=False, fault=None, images=False, do=None, **settings):
    """Train, save the weights beside the run, and return them."""
    import safetensors.torch

    import causalplug as cp

    if fault is not None:
        FAULTS[fault[0]](*fault[1:])
    dcm = image_model(folder) if images else model()
    rows = image_table() if images else table()
    if images:
        settings = {"encoder_steps": 4, "bank_rows": 600, "check_fit": False} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cp.fit(dcm, cp.DataSource(rows), output_dir=folder, resume_from_checkpoint=resume, progress=False,
               **WARM | settings)  # fmt: skip
    weights = {key: value.clone() for key, value in dcm.trained_tensors().items()}
    safetensors.torch.save_file(weights, folder / f"weights-{os.environ.get('RANK', '0')}.safetensors")
    return weights


# -- faults ------------------------------------------------------------------------------------------------------------


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def _after(place, name, times, *, then=die, before=False):
    """Let a function of a module or class work ``times`` times, and die in the next call, or right after it."""
    original, count = getattr(place, name), iter(range(1 << 30))

    def wrapped(*args, **options):
        last = next(count) == times
        if last and before:
            then()
        result = original(*args, **options)
        if last:
            then()
        return result

    setattr(place, name, wrapped)


def kill_in_step(number):
    """In the middle of an update: gradients are there, the optimizer has not stepped."""
    from causalplug.training.processes import Processes

    _after(Processes, "average_gradients", number)


def kill_in_label_map():
    from causalplug.mechanisms import label_estimation

    _after(label_estimation, "mixture_proportions", 1)


def kill_in_encoder():
    from causalplug.mechanisms.encoders import ConvEncoder

    _after(ConvEncoder, "features", 2)


def kill_in_bank(number):
    from causalplug.mechanisms.bank import SampleBank

    _after(SampleBank, "_keep", number)


def kill_in_write(number, part):
    """While checkpoint ``number`` is being written: with half of the weights on the disk, before or after the swap."""
    from causalplug.files import storage
    from causalplug.training import checkpoint

    if part == "swap":
        _after(storage, "_swap", number, before=True)
    elif part == "swapped":
        _after(storage, "_swap", number)
    else:
        original, count = checkpoint.safetensors_writer, iter(range(1 << 30))

        def half(tensors):
            write, now = original(tensors), next(count) == number

            def broken(path):
                write(path)
                if now:
                    os.truncate(path, path.stat().st_size // 2)
                    die()

            return broken

        checkpoint.safetensors_writer = half


def no_memory(number):
    """The CPU's allocator refuses: the address space is limited to what the process has, and a step asks for more."""
    import resource

    import torch

    from causalplug.training.learner import Learner

    def limit():
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))
        torch.zeros(1 << 30)

    _after(Learner, "_update", number, then=limit)


def nan_loss(number):
    """Rows of a mechanism become NaN, as a diverging run makes them."""
    from causalplug.training.learner import Learner

    original, count = Learner._update, iter(range(1 << 30))

    def update(self, optimizer, parameters, loss_of):
        if next(count) == number:
            parameters[0].data.fill_(float("nan"))
        return original(self, optimizer, parameters, loss_of)

    Learner._update = update


def interrupt(number):
    """Ctrl-C: the signal that a terminal sends."""
    from causalplug.training.learner import Learner

    _after(Learner, "_update", number, then=lambda: os.kill(os.getpid(), signal.SIGINT))


_ALL = (kill_in_step, kill_in_label_map, kill_in_encoder, kill_in_bank, kill_in_write, no_memory, nan_loss, interrupt)
FAULTS = {fault.__name__: fault for fault in _ALL}

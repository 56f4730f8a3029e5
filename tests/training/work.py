"""Runs for the tests of faults and processes, each in a child of its own, and the faults
themselves."""

import importlib
import os
import signal
import time
import warnings
from pathlib import Path

import numpy as np

WARM = {
    "objective": "warm",
    "steps": 16,
    "save_every": 3,
    "validate_every": 8,
}  # 112 updates of a module in all


def load():
    """Import what a run needs, before the forks."""
    for name in (
        "accelerate",
        "pandas",
        "safetensors.torch",
        "torch._dynamo",
        "torch.nn.parallel",
        "zuko",
        "PIL.Image",
    ):
        importlib.import_module(name)
    for name in (
        "adapters.conditional_gan",
        "load",
        "hub.parts",
        "mechanisms.frozen.bank",
        "mechanisms.trainable.continuous",
        "encoders.fit",
        "mechanisms.trainable.image",
        "training.fit",
    ):
        importlib.import_module(f"causalplug.{name}")
    importlib.import_module("torch").set_num_threads(1)


def table(n=600):
    rng = np.random.default_rng(0)
    return {name: rng.integers(2, size=n) for name in "DIA"}


def model():
    import causalplug as cp

    return cp.DCM(
        cp.CausalGraph.parse("D -> I -> A; D <-> A"), {name: cp.Discrete(2) for name in "DIA"}
    )


def image_model(folder):
    """A frozen generator behind I whose label map, bank and encoder have to be made before
    training."""
    import torch

    import causalplug as cp
    from causalplug.adapters.conditional_gan import ConditionalGAN
    from causalplug.mechanisms.frozen.label import Label

    image = cp.Image(1, 8, 8)
    layers = [
        {"type": "linear", "in_features": 6, "out_features": 64, "name": "out"},
        {"type": "sigmoid"},
    ]
    torch.manual_seed(0)
    gan = ConditionalGAN(image, [Label("D", 2)], 4, layers)
    repository = gan.save_pretrained(folder / "gan")
    variables = {"D": cp.Discrete(2), "I": image, "A": cp.Discrete(2)}
    label_map = cp.LabelMap.estimate(samples=20, steps=4)
    mechanisms = {"I": cp.from_pretrained(repository, label_map=label_map)}
    return cp.DCM(cp.CausalGraph.parse("D -> I -> A; D <-> A"), variables, mechanisms=mechanisms)


def image_table(n=200):
    rng = np.random.default_rng(0)
    return {
        "D": rng.integers(2, size=n),
        "A": rng.integers(2, size=n),
        "I": rng.random((n, 1, 8, 8), np.float32),
    }


def wide_model():
    """Three modules, two of which are independent."""
    import causalplug as cp

    graph = cp.CausalGraph.parse("A -> C; B -> C; C -> D; C <-> D")
    return cp.DCM(graph, {name: cp.Discrete(2) for name in "ABCD"})


def painted_model():
    """An image that its own module paints, so that critics read pixels."""
    import causalplug as cp

    variables = {"D": cp.Discrete(2), "I": cp.Image(1, 8, 8), "A": cp.Discrete(2)}
    return cp.DCM(cp.CausalGraph.parse("D -> I -> A"), variables)


def accelerator(precision, timeout):
    """One of the caller's own, on CPUs, that gives up on another process after ``timeout``
    seconds."""
    from datetime import timedelta

    from accelerate import Accelerator
    from accelerate.utils import InitProcessGroupKwargs

    handlers = [InitProcessGroupKwargs(timeout=timedelta(seconds=timeout))] if timeout else []
    return Accelerator(cpu=True, mixed_precision=precision, kwargs_handlers=handlers)


def run(
    folder,
    *,
    resume=False,
    fault=None,
    images=False,
    painted=False,
    wide=False,
    mapped=False,
    precision=None,
    timeout=None,
    **settings,
):
    """Train, save the weights beside the run, and return them."""
    import safetensors.torch

    import causalplug as cp

    if precision or timeout:
        settings["accelerator"] = accelerator(precision, timeout)

    if fault is not None:
        FAULTS[fault[0]](*fault[1:])
    dcm = (
        wide_model()
        if wide
        else painted_model()
        if painted
        else image_model(folder)
        if images
        else model()
    )
    rows = image_table() if images or painted else table()
    if wide:
        rows = {name: np.roll(rows["DIA"[k % 3]], k) for k, name in enumerate("ABCD")}
    if images or painted:
        settings = {"encoder_steps": 4, "bank_rows": 600, "check_fit": False} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if mapped:  # row by row, and the pixels in a file
            items = [
                {name: values[i] for name, values in rows.items()} for i in range(len(rows["D"]))
            ]
            source = cp.DataSource(items, max_memory=100)
        else:
            source = cp.DataSource(rows)
        cp.fit(dcm, source, output_dir=folder, resume_from_checkpoint=resume, progress=False,
               **WARM | settings)  # fmt: skip
    weights = {key: value.clone() for key, value in dcm.trained_tensors().items()}
    safetensors.torch.save_file(
        weights, folder / f"weights-{os.environ.get('RANK', '0')}.safetensors"
    )
    return weights


# -- faults


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def _after(place, name, times, *, then=die, before=False):
    """Let a function of a module or class work ``times`` times, and die in the next call, or
    right after it."""
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


def kill_in_step(number, rank=None):
    """In the middle of an update: gradients are there, the optimizer has not stepped. In all
    processes, or in one."""
    from causalplug.training.processes import Processes

    if rank is None or int(os.environ["RANK"]) == rank:
        _after(Processes, "average_gradients", number)


def fall_silent(number, rank, seconds):
    """One process does nothing for a while, as if its machine could not be reached, in the
    middle of a run."""
    from causalplug.training.processes import Processes

    if int(os.environ["RANK"]) == rank:
        _after(Processes, "average_gradients", number, then=lambda: time.sleep(seconds))


def kill_in_label_map():
    from causalplug.mechanisms.frozen import label_estimation

    _after(label_estimation, "mixture_proportions", 1)


def kill_in_encoder():
    from causalplug.encoders.encoders import ConvEncoder

    _after(ConvEncoder, "features", 2)


def kill_in_bank(number):
    from causalplug.mechanisms.frozen.bank import SampleBank

    _after(SampleBank, "_keep", number)


def kill_in_write(number, part):
    """While checkpoint ``number`` is being written: with half of the weights on the disk, before
    or after the swap."""
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
    """The CPU's allocator refuses: the address space is limited to what the process has, and a
    step asks for more."""
    import resource

    import torch

    from causalplug.training.learner import Learner

    def limit():
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))
        torch.zeros(1 << 30)

    _after(Learner, "_update", number, then=limit)


def nan_loss(number, rank=0):
    """Weights of a mechanism become NaN in one process, as a diverging run makes them."""
    if int(os.environ.get("RANK", "0")) != rank:
        return
    from causalplug.training.learner import Learner

    original, count = Learner._update, iter(range(1 << 30))

    def update(self, optimizer, parameters, loss_of):
        if next(count) == number:
            parameters[0].data.fill_(float("nan"))
        return original(self, optimizer, parameters, loss_of)

    Learner._update = update


def interrupt(number):
    """Ctrl-C: the signal that a terminal sends, to a process that may have been started in the
    background."""
    from causalplug.training.learner import Learner

    signal.signal(signal.SIGINT, signal.default_int_handler)
    _after(Learner, "_update", number, then=lambda: os.kill(os.getpid(), signal.SIGINT))


def signal_in_step(number, which):
    """The system asks the process to end."""
    from causalplug.training.learner import Learner

    signal.signal(which, signal.SIG_DFL)
    _after(Learner, "_update", number, then=lambda: os.kill(os.getpid(), which))


def rows_of_its_own():
    """Each process gets another table, as one may think that it should."""
    original, rank = globals()["table"], int(os.environ["RANK"])
    globals()["table"] = lambda n=600: original(n) | {"A": np.roll(original(n)["A"], rank)}


_ALL = (
    rows_of_its_own,
    kill_in_step,
    fall_silent,
    kill_in_label_map,
    kill_in_encoder,
    kill_in_bank,
    kill_in_write,
    no_memory,
    nan_loss,
    interrupt,
    signal_in_step,
)
FAULTS = {fault.__name__: fault for fault in _ALL}


# -- what processes compute


def continuous():
    """X -> Y, both continuous: everything has a density, and no noise is shared."""
    import causalplug as cp

    return cp.DCM(
        cp.CausalGraph.parse("X -> Y"), {"X": cp.Continuous(), "Y": cp.Continuous()}, seed=3
    )


def continuous_rows(n=400):
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    return {"X": x, "Y": 0.5 * x + rng.normal(size=n)}


def game(**settings):
    """A game of rows against rows on that model, and a learner that plays it."""
    import torch
    from accelerate import Accelerator

    import causalplug as cp
    from causalplug.training.adversarial import RowGame
    from causalplug.training.config import TrainingConfig
    from causalplug.training.learner import AdversarialLearner
    from causalplug.training.processes import Processes

    dcm = continuous()
    rows = cp.DataSource(continuous_rows(), name="rows").encode(dcm.variables)
    target = cp.plan(dcm.graph, [rows.source]).module("Y").targets[0]
    config = TrainingConfig(**settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = RowGame(dcm, target, rows, config, banks={})
    options = {"steps": 10, "processes": Processes(Accelerator(cpu=True))}
    return made, AdversarialLearner(dcm, ["Y"], config, [made], **options)


def gradients(folder, parts=1):
    """The gradients after one exchange, and the rows that this process drew for them, in
    ``parts`` batches."""
    import safetensors.torch
    import torch

    from causalplug.training import critics
    from causalplug.training.config import TrainingConfig
    from causalplug.training.learner import LikelihoodLearner

    rank = int(os.environ["RANK"])
    made, learner = game(batch_size=64, gradient_accumulation_steps=parts)
    generator = torch.Generator().manual_seed(10 + rank)
    drawn, original = [], torch.rand

    def rand(*args, **options):
        drawn.append(original(*args, **options))
        return drawn[-1]

    critics.torch.rand = rand
    made.prepare(generator)
    critics.torch.rand = original
    found = {"real": torch.cat([real[0] for real in made._real[:parts]])}
    found |= {"fake": torch.cat([fake[0] for fake in made._fake[:parts]])}
    found |= {"weight": torch.cat(drawn[-made.rounds :][:parts])}
    learner.critic_optimizer.step = learner.optimizer.step = lambda: None
    found["loss"] = learner._update(
        learner.critic_optimizer,
        learner.critic_parameters,
        lambda part, scaled: made.critic_backward(1, part, scaled),
    )
    found |= {f"critic.{k}": p.grad.clone() for k, p in enumerate(learner.critic_parameters)}

    generator = torch.Generator().manual_seed(20 + rank)
    learner._update(
        learner.optimizer,
        learner.parameters,
        lambda part, scaled: learner._differentiate(made.generator_loss(generator, 1.0), scaled),
    )
    found |= {f"generator.{k}": p.grad for k, p in enumerate(learner.parameters)}

    dcm = continuous()
    batch = {k: torch.tensor(v[rank::2], dtype=torch.float32) for k, v in continuous_rows().items()}

    class Loss:
        proposals = ()

        def loss(self, generator):
            return -sum(
                dcm.mechanism(n).log_prob(batch[n], {p: batch[p] for p in dcm.mechanism(n).parents})
                for n in "XY"
            ).mean()

    second = LikelihoodLearner(
        dcm, ["X", "Y"], TrainingConfig(), Loss(), steps=10, processes=learner.processes
    )
    second.optimizer.step = lambda: None
    second.step(1, generator)
    found |= {f"likelihood.{k}": p.grad for k, p in enumerate(second.parameters)}
    found |= {f"row.{name}": value for name, value in batch.items()}
    held = {key: value.detach().clone().contiguous() for key, value in found.items()}
    safetensors.torch.save_file(held, folder / f"gradients-{rank}.safetensors")


def half(folder, objective):
    """Train under bfloat16, and note in which type the first layer computed."""
    import json

    import torch
    from accelerate import Accelerator

    import causalplug as cp

    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    rng = np.random.default_rng(0)
    x = rng.random(4000) < 0.3
    y = rng.random(4000) < np.where(x, 0.8, 0.2)
    dcm = cp.DCM(
        cp.CausalGraph.parse("X -> Y; X <-> Y"), {"X": cp.Discrete(2), "Y": cp.Discrete(2)}
    )
    types = set()
    layer = next(m for m in dcm.mechanism("Y").modules() if isinstance(m, torch.nn.Linear))

    def note(module, inputs, output):
        if torch.is_grad_enabled():
            types.add(str(output.dtype))

    layer.register_forward_hook(note)
    source = cp.DataSource({"X": x.astype(int), "Y": y.astype(int)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cp.fit(dcm, source, objective=objective, steps=150, accelerator=accelerator, progress=False)
    found = dcm.sample(20_000, seed=0, variables=["X", "Y"])
    facts = {"types": sorted(types), "weights": sorted({str(p.dtype) for p in dcm.parameters()})}
    facts |= {"p": float((found["X"] & found["Y"]).mean()), "rows": float((x & y).mean())}
    (folder / "half.json").write_text(json.dumps(facts))


def bound_gan(folder):
    """A generator with random weights, bound to an image, and a projection of it."""
    import torch

    import causalplug as cp
    from causalplug.encoders.encoders import RandomProjection

    mechanism = image_model(folder).mechanism("I").asked(label_map={0: 1, 1: 0})
    image = cp.Image(1, 8, 8)
    torch.manual_seed(0)
    return mechanism.bind("I", image, {"D": cp.Discrete(2)}), RandomProjection(image, 3)


def fill_bank(folder, *, killed=None):
    """A bank of 2 x 60 samples, in batches of 7 that both processes draw in step; the process
    ``killed`` dies while it draws its third, and the other draws nothing before."""
    import json

    import torch
    from accelerate import PartialState

    from causalplug.mechanisms.frozen.bank import SampleBank

    state = PartialState(cpu=True)
    mechanism, encoder = bound_gan(folder / f"own-{state.process_index}")
    paint, painted = type(mechanism).generate, []
    other = 1 - state.process_index

    def in_step(self, labels, noise):
        painted.append(len(labels))
        (folder / f"draws-{state.process_index}-{len(painted)}").touch()
        if state.process_index == killed:
            if len(painted) == 3:
                die()
        elif state.num_processes == 2:
            awaited = folder / f"draws-{other}-{len(painted) if killed is None else 3}"
            deadline = time.monotonic() + 30
            while not awaited.exists() and time.monotonic() < deadline:
                time.sleep(0.001)
        return paint(self, labels, noise)

    type(mechanism).generate = in_step
    state.wait_for_everyone()
    bank = SampleBank(
        mechanism,
        encoder,
        rows_per_label=60,
        keep_images=True,
        batch_size=7,
        folder=folder / "banks",
    )
    place = folder / f"bank-{state.process_index}"
    torch.save({"images": bank.images, "projections": bank.projections}, f"{place}.pt")
    Path(f"{place}.json").write_text(json.dumps(sum(painted)))

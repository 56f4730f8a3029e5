"""Several processes, mixed precision, accumulation and trackers: what is computed stays what one
process computes."""

import json
import signal

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import nn

import causalplug as cp
from causalplug.errors import TrainingError
from causalplug.mechanisms.frozen.bank import SampleBank
from causalplug.training.config import TrainingConfig
from causalplug.training.processes import Processes
from tests.training import work

RUN = "tests.training.work:run"


def weights(folder, rank=0):
    return load_file(folder / f"weights-{rank}.safetensors")


def same(one, other):
    return set(one) == set(other) and all(torch.equal(one[key], other[key]) for key in one)


def wgan_gp(critic, real, fake, weight, penalty):
    """The critic's loss as Gulrajani et al. (2017) write it, by a second implementation: one row
    at a time."""
    total = (critic([fake]) - critic([real])).mean()
    slopes = []
    for a, b, w in zip(real, fake, weight, strict=True):
        point = (w * a + (1 - w) * b).clone().requires_grad_()
        (slope,) = torch.autograd.grad(critic([point[None]])[0], point, create_graph=True)
        slopes.append((slope.norm() - 1) ** 2)
    return total + penalty * torch.stack(slopes).mean()


@pytest.fixture(scope="module", params=[1, 2], ids=["whole batches", "accumulated"])
def gradients(request, forks, tmp_path_factory):
    """What each of two processes computes, see work.gradients; batches are drawn whole, or in
    two parts."""
    folder = tmp_path_factory.mktemp("gradients")
    for status, told in forks.together(
        "tests.training.work:gradients", folder, parts=request.param
    ):
        assert status == 0, told
    found = [load_file(folder / f"gradients-{rank}.safetensors") for rank in range(2)]
    assert all(len(g["real"]) == len(g["weight"]) == 64 * request.param for g in found)
    return found


def test_the_critics_gradient_of_two_processes_is_that_of_one_with_the_joined_batch(gradients):
    one, other = gradients
    found = {key: value for key, value in one.items() if key.startswith("critic.")}
    assert all(torch.equal(value, other[key]) for key, value in found.items())
    critic, config = work.game()[0].critic, TrainingConfig()
    real, fake, weight = (
        torch.cat([g[part] for g in gradients]) for part in ("real", "fake", "weight")
    )
    assert not torch.equal(one["real"], other["real"])
    loss = wgan_gp(critic, real, fake, weight, config.penalty)
    loss.backward()
    for k, parameter in enumerate(critic.parameters()):
        assert torch.allclose(found[f"critic.{k}"], parameter.grad, rtol=1e-4, atol=1e-6)
    assert torch.allclose(one["loss"], loss, rtol=1e-5)
    halves = [wgan_gp(critic, g["real"], g["fake"], g["weight"], config.penalty) for g in gradients]
    assert not torch.allclose(
        halves[0], halves[1], rtol=1e-3
    )  # the processes had something to average


def test_the_generators_gradient_of_two_processes_is_the_mean_over_all_their_batches(gradients):
    """The second optimizer's: what all parts of both processes drew is drawn again here, one
    after another."""
    one, other = gradients
    parts = len(one["real"]) // 64
    made, learner = work.game(batch_size=64)
    for rank in range(2):
        generator = torch.Generator().manual_seed(20 + rank)
        for _ in range(parts):
            (made.generator_loss(generator, 1.0) / (2 * parts)).backward()
    assert any(p.grad.abs().max() > 0 for p in learner.parameters)
    for k, parameter in enumerate(learner.parameters):
        assert torch.equal(one[f"generator.{k}"], other[f"generator.{k}"])
        assert torch.allclose(one[f"generator.{k}"], parameter.grad, rtol=1e-4, atol=1e-7)


def test_the_likelihoods_gradient_of_two_processes_is_that_of_one_with_the_joined_batch(gradients):
    one, other = gradients
    dcm = work.continuous()
    rows = {name: torch.cat([g[f"row.{name}"] for g in gradients]) for name in "XY"}
    loss = -sum(
        dcm.mechanism(n).log_prob(rows[n], {p: rows[p] for p in dcm.mechanism(n).parents})
        for n in "XY"
    ).mean()
    loss.backward()
    parameters = [p for n in "XY" for p in dcm.mechanism(n).parameters()]
    for k, parameter in enumerate(parameters):
        found = one[f"likelihood.{k}"]
        assert torch.equal(found, other[f"likelihood.{k}"])
        expected = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_two_processes_keep_the_same_weights_and_resume_to_the_same_bits(forks, tmp_path):
    for status, told in forks.together(RUN, tmp_path / "whole"):
        assert status == 0, told
    assert same(weights(tmp_path / "whole", 0), weights(tmp_path / "whole", 1))
    found = forks.together(RUN, tmp_path / "killed", fault=["kill_in_step", 80])
    assert all(status == -signal.SIGKILL for status, _ in found)
    for status, told in forks.together(RUN, tmp_path / "killed", resume=True):
        assert status == 0, told
    assert same(weights(tmp_path / "killed", 1), weights(tmp_path / "whole", 0))
    with pytest.raises(TrainingError, match=r"processes \(2 there, 1 here\)"):
        work.run(tmp_path / "whole", resume=True)


def test_modules_given_to_different_processes_become_what_one_process_makes_of_them(
    forks, tmp_path
):
    apart = {"processes": "modules", "wide": True}
    status, told = forks.run(RUN, tmp_path / "one", wide=True)
    assert status == 0, told
    for status, told in forks.together(RUN, tmp_path / "two", **apart):
        assert status == 0, told
    for rank in range(2):
        assert same(weights(tmp_path / "two", rank), weights(tmp_path / "one"))
    found = forks.together(RUN, tmp_path / "killed", fault=["kill_in_step", 60], **apart)
    assert all(status == -signal.SIGKILL for status, _ in found)
    assert len(list((tmp_path / "killed").glob("checkpoint-generation-0-process-*"))) == 2
    for status, told in forks.together(RUN, tmp_path / "killed", resume=True, **apart):
        assert status == 0, told
    assert same(weights(tmp_path / "killed", 1), weights(tmp_path / "one"))
    assert [p.name for p in (tmp_path / "killed").glob("checkpoint*")] == ["checkpoint"]
    alone, together = (
        json.loads((tmp_path / n / "report.json").read_text()) for n in ("one", "killed")
    )
    assert (alone["processes"], together["processes"]) == (1, 2)
    one, killed = alone["modules"], together["modules"]
    assert [m["variables"] for m in killed] == [m["variables"] for m in one]
    assert {frozenset(m["variables"]) for m in one} == {
        frozenset("A"),
        frozenset("B"),
        frozenset("CD"),
    }


def test_two_processes_share_encoders_label_maps_and_banks(forks, tmp_path):
    """The first process of each of two machines, as far as the processes can tell."""
    for status, told in forks.together(RUN, tmp_path / "run", images=True, machines=2):
        assert status == 0, told
    assert same(weights(tmp_path / "run", 0), weights(tmp_path / "run", 1))
    assert len(list((tmp_path / "run" / "banks").iterdir())) == 1


def filled(folder, rank):
    """How many samples a process drew of a bank, and the bank as it found it."""
    painted = json.loads((folder / f"bank-{rank}.json").read_text())
    return painted, torch.load(folder / f"bank-{rank}.pt", weights_only=True)


def test_a_bank_is_filled_by_all_processes_together(forks, tmp_path):
    """Every process draws a part, and all find what one process draws alone, bit for bit."""
    mechanism, encoder = work.bound_gan(tmp_path / "alone")
    alone = SampleBank(mechanism, encoder, rows_per_label=60, keep_images=True, batch_size=7)
    right = {"images": alone.images, "projections": alone.projections}
    fill = "tests.training.work:fill_bank"
    for status, told in forks.together(fill, tmp_path / "two"):
        assert status == 0, told
    shares = [filled(tmp_path / "two", rank) for rank in range(2)]
    assert sum(painted for painted, _ in shares) == 120
    assert all(50 <= painted <= 70 for painted, _ in shares)  # nine batches of 7 or fewer
    assert all(same(found, right) for _, found in shares)

    killed, whole = forks.together(fill, tmp_path / "killed", killed=0)
    assert (killed[0], whole[0]) == (-signal.SIGKILL, 0), whole[1]
    painted, found = filled(tmp_path / "killed", 1)
    assert painted == 120 - 14  # the first process had finished two batches
    assert same(found, right)
    status, told = forks.run(fill, tmp_path / "killed")
    assert status == 0, told
    painted, found = filled(tmp_path / "killed", 0)
    assert painted == 0
    assert same(found, right)


def test_a_loss_that_is_no_number_in_one_process_stops_both(forks, tmp_path):
    found = forks.together(RUN, tmp_path / "run", fault=["nan_loss", 80, 1])
    for status, told in found:
        assert status == 1
        assert "the loss is nan" in told


def test_processes_with_different_rows_are_refused(forks, tmp_path):
    for status, told in forks.together(RUN, tmp_path / "run", fault=["rows_of_its_own"]):
        assert status == 1
        assert "processes 0 and 1 were given other data: column 'A' of source" in told


def test_processes_of_two_machines_make_what_those_of_one_make(forks, tmp_path):
    """Two machines with two processes each, as far as the processes can tell, and one with four."""
    for machines in (1, 2):
        for status, told in forks.together(
            RUN, tmp_path / str(machines), count=4, machines=machines, steps=3
        ):
            assert status == 0, told
    for rank in range(4):
        assert same(weights(tmp_path / "2", rank), weights(tmp_path / "1", 0))


def test_processes_that_mpi_started_know_each_other(forks, tmp_path):
    """accelerate launch --cpu --mpirun_hostfile: the processes are told by MPI's names who they
    are."""
    for status, told in forks.together(RUN, tmp_path / "run", mpi=True, steps=3):
        assert status == 0, told
    assert same(weights(tmp_path / "run", 0), weights(tmp_path / "run", 1))
    assert same(weights(tmp_path / "run", 0), work_of_two(forks, tmp_path / "as torchrun", steps=3))


def work_of_two(forks, folder, **settings):
    """The weights that two processes of one machine come to."""
    for status, told in forks.together(RUN, folder, **settings):
        assert status == 0, told
    return weights(folder)


def test_a_machine_that_is_lost_in_the_middle_of_a_generation_stops_the_other(forks, tmp_path):
    """Each process is at a module of its own when one is killed; the other hears of it when they
    meet."""
    apart = {"processes": "modules", "wide": True, "machines": 2}
    first, second = forks.together(RUN, tmp_path / "run", fault=["kill_in_step", 60, 1], **apart)
    assert second[0] == -signal.SIGKILL
    assert first[0] == 1
    assert "Training stopped in process 0: another process has ended or does not answer" in first[1]
    assert f"The last checkpoint is in {tmp_path / 'run' / 'checkpoint'}" in first[1]
    for status, told in forks.together(RUN, tmp_path / "run", resume=True, **apart):
        assert status == 0, told
    status, told = forks.run(RUN, tmp_path / "one", wide=True)
    assert status == 0, told
    for rank in range(2):
        assert same(weights(tmp_path / "run", rank), weights(tmp_path / "one"))


def test_a_machine_that_does_not_answer_is_given_up_after_the_timeout(forks, tmp_path):
    first, second = forks.together(
        RUN, tmp_path / "run", machines=2, timeout=2, fault=["fall_silent", 80, 1, 5]
    )
    for rank, (status, told) in enumerate((first, second)):
        assert status == 1
        assert (
            f"Training stopped in process {rank}: another process has ended or does not answer"
            in told
        )
    assert "Timed out" in first[1] or "timeout" in first[1].lower()


# -- one process


def test_accumulated_batches_give_the_gradient_of_one_large_batch():
    """The critic's first gradient from two batches of 64 and from one of 128; no penalty, whose
    points are drawn."""
    found = []
    for batch, parts in ((128, 1), (64, 2)):
        game, learner = work.game(
            batch_size=batch, gradient_accumulation_steps=parts, penalty=0.0, critic_steps=1
        )
        learner.critic_optimizer.step = lambda: None
        learner.step(1, torch.Generator().manual_seed(0))
        found.append([p.grad for p in game.critic.parameters()])
    assert all(one.abs().max() > 0 for one in found[0][:-1])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_processes_that_do_not_know_each_other_are_refused(monkeypatch):
    """Accelerator() without cpu=True runs as one process on a machine without a GPU, whatever
    torchrun started."""
    accelerator = Accelerator()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match=r"2 processes were started.*Accelerator\(cpu=True\)"):
        cp.Trainer(work.model(), [cp.DataSource(work.table())], accelerator=accelerator)


def test_accelerates_number_of_accumulated_batches_is_taken():
    trainer = cp.Trainer(
        work.model(),
        [cp.DataSource(work.table())],
        accelerator=Accelerator(gradient_accumulation_steps=3),
    )
    assert trainer.config.gradient_accumulation_steps == 3


def test_a_mean_of_gradients_is_left_alone_in_one_process():
    layer = nn.Linear(2, 1)
    layer(torch.ones(1, 2)).sum().backward()
    before = layer.weight.grad.clone()
    assert Processes(Accelerator()).average_gradients([layer.weight], torch.tensor(2.0)) == 2.0
    assert torch.equal(layer.weight.grad, before)


@pytest.mark.parametrize("objective", ["likelihood", "adversarial"])
def test_half_precision_learns_what_full_precision_learns(forks, tmp_path, objective):
    status, told = forks.run("tests.training.work:half", tmp_path, objective=objective)
    assert status == 0, told
    found = json.loads((tmp_path / "half.json").read_text())
    assert found["types"] == ["torch.bfloat16"]  # the layers did compute in bfloat16 …
    assert found["weights"] == ["torch.float32"]  # … on weights that stay whole
    assert abs(found["p"] - found["rows"]) < 0.04


def scalars(folder):
    """Every value in the TensorBoard files of a folder: ``[(step, value)]`` by tag."""
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    found = {}
    for file in folder.rglob("events.out.tfevents.*"):
        reader = event_accumulator.EventAccumulator(str(file)).Reload()
        for tag in reader.Tags()["scalars"]:
            found.setdefault(tag, []).extend((e.step, e.value) for e in reader.Scalars(tag))
    return found


def test_tensorboard_gets_every_validation(tmp_path):
    pytest.importorskip("tensorboard")
    work.run(tmp_path, log_with="tensorboard", objective="likelihood")
    told = scalars(tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    for module in report["modules"]:
        found = told["+".join(module["variables"]) + "/likelihood/loss"]
        assert [step for step, _ in found] == [8, 16] == [c["step"] for c in module["curve"]]
        assert np.allclose([value for _, value in found], [c["loss"] for c in module["curve"]])
    assert "A+D/likelihood/nll" in told or "D+A/likelihood/nll" in told
    with pytest.raises(TrainingError, match="without output_dir"):
        cp.fit(work.model(), cp.DataSource(work.table()), log_with="tensorboard")


@pytest.mark.parametrize("apart", [{}, {"processes": "modules"}], ids=["batches", "modules"])
def test_tensorboard_gets_every_validation_of_two_processes_once(forks, tmp_path, apart):
    """The first process writes, also what the other found of modules that were given to it."""
    pytest.importorskip("tensorboard")
    for status, told in forks.together(
        RUN, tmp_path / "run", wide=True, log_with="tensorboard", **apart
    ):
        assert status == 0, told
    found = scalars(tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert len(report["modules"]) == 3
    for module in report["modules"]:
        middle = [c["step"] for c in module["curve"]].index(16) + 1
        for objective, curve in (
            ("likelihood", module["curve"][:middle]),
            ("adversarial", module["curve"][middle:]),
        ):
            written = found[f"{'+'.join(module['variables'])}/{objective}/loss"]
            assert [step for step, _ in written] == [8, 16]
            assert np.allclose([value for _, value in written], [c["loss"] for c in curve])

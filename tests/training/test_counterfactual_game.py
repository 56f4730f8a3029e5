"""Training images by counterfactuals of rows."""

import warnings

import numpy as np
import pytest
import torch
from accelerate import Accelerator

import causalplug as cp
from causalplug.training.counterfactual_game import CounterfactualLearner
from causalplug.training.image_judges import ImageJudges, judges_of
from causalplug.training.image_opponents import ImageOpponents, Round
from causalplug.training.processes import Processes

GRAPH = cp.CausalGraph.parse("D -> I; T -> I")
VARIABLES = {"D": cp.Discrete(2), "T": cp.Continuous(), "I": cp.Image(1, 8, 8)}


def rows(n=120, seed=0):
    """A bar that lies or stands, as thick as T says, at a place that nothing says."""
    rng = np.random.default_rng(seed)
    d, t, place = rng.integers(0, 2, n), rng.uniform(0, 1, n), rng.integers(2, 6, n)
    y, x = np.mgrid[:8, :8]
    across = np.where(d[:, None, None], x, y) - place[:, None, None]
    images = np.clip(1.2 + t[:, None, None] - np.abs(across), 0, 1)[:, None]
    return {"D": d, "T": t.astype(np.float32), "I": images.astype(np.float32)}


def model():
    return cp.DCM(GRAPH, VARIABLES, mechanisms={"I": cp.InvertibleImage(latent_size=3, width=4)})


def fitted(folder=None, steps=12, **options):
    dcm = model()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cp.fit(
            dcm,
            rows(),
            objective={"I": "counterfactual"},
            steps=steps,
            batch_size=32,
            progress=False,
            output_dir=folder,
            check_graph=False,
            **options,
        )
    return dcm


def weights(dcm):
    return torch.cat([p.flatten() for p in dcm.mechanism("I").parameters()])


def test_a_resumed_training_ends_where_one_without_a_break_does(tmp_path):
    from causalplug.training import counterfactual_game

    whole = fitted(tmp_path / "whole", save_every=4)

    class Stop(Exception):
        pass

    step = counterfactual_game.CounterfactualLearner.step

    def stopping(self, index, generator):
        if index == 10:
            raise Stop
        return step(self, index, generator)

    counterfactual_game.CounterfactualLearner.step = stopping
    try:
        with pytest.raises(Stop):
            fitted(tmp_path / "cut", save_every=4)
    finally:
        counterfactual_game.CounterfactualLearner.step = step
    resumed = fitted(tmp_path / "cut", save_every=4, resume_from_checkpoint=True)
    assert torch.equal(weights(whole), weights(resumed))


def test_what_was_trained_recovers_its_noise():
    found = cp.metrics.composition(fitted(), rows(40, seed=1), (1, 5))
    assert max(item.value for item in found.items) < 1e-5


@pytest.mark.parametrize(
    ("graph", "mechanisms", "message"),
    [
        ("D -> I; T -> I; D <-> I", {"I": cp.InvertibleImage()}, "D <-> I|no single image"),
        ("D -> I; T -> I", {}, "no explicit density"),
    ],
)
def test_other_modules_are_refused_before_any_work(graph, mechanisms, message):
    dcm = cp.DCM(cp.CausalGraph.parse(graph), VARIABLES, mechanisms=mechanisms)
    with pytest.raises(cp.PlanError, match=message):
        cp.fit(dcm, rows(20), objective={"I": "counterfactual"}, progress=False)


def test_an_image_of_an_image_has_nothing_to_be_read_off_it():
    image, names = cp.Image(1, 8, 8), ("P", "I")
    graph, pixels = cp.CausalGraph.parse("P -> I"), torch.rand(40, 1, 8, 8)
    dcm = cp.DCM(graph, dict.fromkeys(names, image), mechanisms={"I": cp.InvertibleImage()})
    projected = {"P": torch.randn(40, dcm.encoders["P"].size), "I": pixels}
    opponents = ImageOpponents(dcm, "I", projected, (), 0)
    whole, lent = projected, {"P": projected["P"]}
    part = Round(whole["I"], lent, whole["I"], lent, whole["I"], lent, whole["I"], lent)
    assert opponents.reader is None
    assert opponents.lesson(1, part).isfinite()


@pytest.mark.parametrize(("rate", "first"), [(3e-4, 3e-4), (None, 1e-3)])
def test_critics_learn_at_their_own_rate(rate, first):
    table = cp.DataSource(rows()).encode(VARIABLES)
    config = cp.TrainingConfig(critic_learning_rate=rate)
    processes = Processes(Accelerator(cpu=True))
    learner = CounterfactualLearner(model(), ("I",), config, [table], steps=10, processes=processes)
    learner.step(1, torch.Generator().manual_seed(0))
    assert learner.helper.param_groups[0]["lr"] == pytest.approx(first, rel=0.1)


def test_one_word_for_all_reaches_images_alone():
    sources = [cp.Source(recorded=["D", "T", "I"])]
    found = cp.plan(
        GRAPH,
        sources,
        kinds=VARIABLES,
        explicit={"I": True},
        objective="counterfactual",
        available={},
    )
    assert {"+".join(m.variables): str(m.objective) for m in found.modules} == {
        "D": "likelihood",
        "T": "likelihood",
        "I": "counterfactual",
    }


# -- judges of one's own


class Ink(torch.nn.Module):
    """How much ink lies along the rows, beside how much along the columns."""

    def forward(self, image):
        along = image[:, 0].amax(2).sum(1) - image[:, 0].amax(1).sum(1)
        return torch.stack([along, -along], 1)


class Thick(torch.nn.Module):
    """The thickness of a bar: its ink, by its length."""

    def forward(self, image):
        return image[:, 0].sum((1, 2)) / 8


def judges(image="I"):
    reads = [cp.Condition(image, VARIABLES["I"])]
    return {
        "D": cp.wrap(Ink(), VARIABLES["D"], conditions=reads, output="logits"),
        "T": cp.wrap(Thick(), VARIABLES["T"], conditions=reads),
    }


def test_the_loss_of_judges_is_what_they_say():
    """Against cross entropy and Huber's loss by hand, with gradients on the images."""
    dcm, values = model(), {name: torch.as_tensor(column) for name, column in rows(40).items()}
    found = ImageJudges("I", judges_of(dcm, "I", judges()), values)
    images = values["I"][:6].clone().requires_grad_()
    parents = {"D": values["D"][:6], "T": values["T"][:6]}
    losses = found.losses(images, parents)
    entropy = torch.nn.functional.cross_entropy(Ink()(images), parents["D"], reduction="none")
    apart = ((Thick()(images) - parents["T"]) / values["T"].std()).abs()
    huber = torch.where(apart < 0.1, apart.square() / 0.2, apart - 0.05)
    assert torch.allclose(losses, entropy + 3 * huber, rtol=1e-4)
    losses.sum().backward()
    assert float(images.grad.abs().sum()) > 0


def test_images_learn_from_judges():
    """What is trained with judges is another mechanism, in whose loss no reader has a part."""
    alone, judged = fitted(steps=4), fitted(steps=4, judges=judges())
    assert not torch.allclose(weights(alone), weights(judged))


def test_a_reader_stays_for_what_no_judge_reads():
    from causalplug.training.counterfactual_game import CounterfactualLearner

    readers = []
    step = CounterfactualLearner.step

    def watching(self, index, generator):
        readers.append(sorted(self.opponents.reader.read))
        return step(self, index, generator)

    CounterfactualLearner.step = watching
    try:
        fitted(steps=2, judges={"T": judges()["T"]})
    finally:
        CounterfactualLearner.step = step
    assert readers[0] == ["D"]


def test_a_training_with_judges_resumes(tmp_path):
    tried = judges()
    whole = fitted(tmp_path / "whole", steps=8, save_every=4, judges=tried)
    first = tmp_path / "cut"
    fitted(first, steps=8, save_every=4, judges=tried)
    resumed = fitted(first, steps=8, save_every=4, judges=tried, resume_from_checkpoint=True)
    assert torch.equal(weights(whole), weights(resumed))
    with pytest.raises(cp.TrainingError, match="judges"):
        fitted(first, steps=8, judges=other(tried), save_every=4, resume_from_checkpoint=True)


def other(tried):
    image = [cp.Condition("I", VARIABLES["I"])]
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    return {**tried, "D": cp.wrap(network, VARIABLES["D"], conditions=image, output="logits")}


class Rounded(torch.nn.Module):
    def forward(self, image):
        return image[:, 0].sum((1, 2)).round().detach()


def number(network, name="I"):
    return cp.wrap(network, cp.Continuous(), conditions=[cp.Condition(name, VARIABLES["I"])])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"T": number(Rounded())}, cp.PlanError, "no finite gradient|does not require grad"),
        ({"I": number(Thick())}, cp.PlanError, "the parents of the image"),
        ({"X": number(Thick())}, cp.PlanError, "the parents of the image"),
        ({"T": "thick"}, cp.TrainingError, "judges=.*frozen mechanisms"),
        ({}, cp.TrainingError, "judges=.*frozen mechanisms"),
    ],
)
def test_judges_that_cannot_teach_are_refused_before_any_work(given, error, message):
    with pytest.raises(error, match=message):
        fitted(judges=given)


def test_judges_without_a_counterfactual_image_are_refused():
    with pytest.raises(cp.PlanError, match="judges are for counterfactual images"):
        cp.fit(model(), rows(20), judges=judges(), progress=False)

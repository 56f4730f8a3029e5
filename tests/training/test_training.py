"""Training on exact models: what it moves, what it leaves alone, and how close it comes to the
truth."""

import warnings

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.errors import (
    ConvergenceWarning,
    DataError,
    MechanismError,
    PlanError,
    SourceError,
    TrainingError,
)
from causalplug.mechanisms.frozen.label import Label
from causalplug.mechanisms.frozen.renderer import Renderer
from causalplug.training.adversarial import RowGame, TableGame
from causalplug.training.config import TrainingConfig
from causalplug.training.factors import Cells, ConfounderDraws, log_mean_exp, rows_log_prob, served
from causalplug.training.likelihood import Likelihood
from tests.scm import random_scm

FRONT_DOOR = cp.CausalGraph.parse("D -> I -> A; D <-> A")
IMAGE = cp.Image(1, 8, 8)
LAYERS = [
    {"type": "linear", "in_features": 6, "out_features": 64, "name": "out"},
    {"type": "sigmoid"},
]


def front_door(n, seed, do=None):
    """A front-door SCM with binary variables; P(A | D) is .11 to .12 away from P(A | do(D))."""
    rng = np.random.default_rng(seed)
    u = rng.random(n) < 0.5
    d = rng.random(n) < np.where(u, 0.8, 0.2) if do is None else np.full(n, bool(do))
    i = rng.random(n) < np.where(d, 0.75, 0.25)
    a = rng.random(n) < 0.1 + 0.4 * i + 0.45 * u * (1 - 0.3 * i)
    return {"D": d.astype(int), "I": i.astype(int), "A": a.astype(int)}


def truth(d):
    """P(A=1 | do(D=d)), summed over U and I."""
    p_i = 0.75 if d else 0.25
    return sum(
        0.5 * p * (0.1 + 0.4 * i + 0.45 * u * (1 - 0.3 * i))
        for u in (0, 1)
        for i, p in ((1, p_i), (0, 1 - p_i))
    )


def binary(graph=FRONT_DOOR, **options):
    return cp.DCM(graph, {name: cp.Discrete(2) for name in graph.variables}, **options)


def do_a(dcm, d):
    with torch.no_grad():
        return float(
            dcm(cp.Noise(200_000, seed=5), {"D": torch.full((200_000,), d)}, ["A"])["A"]
            .float()
            .mean()
        )


@pytest.mark.parametrize(
    ("objective", "steps"), [("likelihood", 300), ("adversarial", 300), ("warm", 150)]
)
def test_the_front_door_is_answered_right_by_every_objective(objective, steps):
    dcm = binary(seed=1)
    report = cp.fit(
        dcm, cp.DataSource(front_door(20_000, 0)), objective=objective, steps=steps, progress=False
    )
    assert report.converged
    for d in (0, 1):
        naive = front_door(20_000, 0)
        naive = naive["A"][naive["D"] == d].mean()
        assert abs(do_a(dcm, d) - truth(d)) < 0.03 < 0.1 < abs(naive - truth(d))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    def weights(seed):
        dcm = binary()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            cp.fit(
                dcm,
                cp.DataSource(front_door(500, 0)),
                steps=5,
                seed=seed,
                objective="adversarial",
                progress=False,
            )
        return dcm.trained_tensors()

    first, second, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_an_experiment_identifies_what_observation_cannot():
    """The bow X -> Y, X <-> Y: P(Y | do(X)) comes from the experiment's rows, P(X, Y) from the
    others."""
    graph = cp.CausalGraph.parse("X -> Y; X <-> Y")
    scm = random_scm(graph, 2, seed=3)
    sources = [
        cp.DataSource(scm.sample(20_000, seed=0), name="seen"),
        cp.DataSource(scm.sample(10_000, do={"X": 0}, seed=1), do=["X"], name="set to 0"),
        cp.DataSource(scm.sample(10_000, do={"X": 1}, seed=2), do=["X"], name="set to 1"),
    ]
    dcm = cp.DCM(graph, {name: cp.Discrete(2) for name in "XY"})
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # what 2,000 held-out rows show; the truth is below
        cp.fit(dcm, sources, objective="likelihood", steps=600, progress=False)
    for x in (0, 1):
        answer = (
            dcm.sample(100_000, do={"X": x}, variables=["Y"])["Y"]
            .value_counts(normalize=True)
            .sort_index()
        )
        assert 0.5 * np.abs(answer.to_numpy() - scm.joint(do={"X": x}, keep=["Y"])).sum() < 0.03
    assert dcm.sources is not None
    only = cp.DCM(graph, {name: cp.Discrete(2) for name in "XY"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(only, sources[0], objective="likelihood", steps=20, progress=False)
    with pytest.raises(cp.errors.NotIdentifiableError):
        only.sample(10, do={"X": 1}, variables=["Y"])


def image_model(tmp_path, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        gan = ConditionalGAN(IMAGE, [Label("D", 2)], 4, LAYERS)
    repository = gan.save_pretrained(tmp_path / "gan")
    variables = {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(2)}
    return cp.DCM(
        FRONT_DOOR, variables, mechanisms={"I": cp.from_pretrained(repository)}, **options
    )


def image_rows(dcm, n=600):
    rows = dcm.sample(n, seed=4, allow_unidentified=True)
    return cp.DataSource(
        {"D": rows["D"].to_numpy(), "I": np.stack(list(rows["I"])), "A": rows["A"].to_numpy()}
    )


@pytest.mark.parametrize("gradient", ["auto", "rloo", "straight-through"])
def test_training_moves_every_parameter_of_the_module_and_no_other(tmp_path, gradient):
    dcm = image_model(tmp_path)
    before = {key: value.clone() for key, value in dcm.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        settings = {
            "steps": 3,
            "encoder_steps": 3,
            "bank_rows": 16,
            "objective": "adversarial",
            "gradient": gradient,
        }
        cp.fit(dcm, image_rows(dcm), progress=False, **settings)
    moved = {key for key, value in dcm.state_dict().items() if not torch.equal(value, before[key])}
    parameters = {key for key, _ in dcm.named_parameters()}
    expected = {key for key in parameters if key.startswith(("_mechanisms.D.", "_mechanisms.A."))}
    assert moved & parameters - {key for key in moved if key.startswith("_encoders")} == expected
    assert not any(key.startswith("_mechanisms.I.") for key in moved)


def test_the_enumerated_loss_is_the_expectation_that_sampling_estimates():
    """The critic's mean over all values, weighted, against the mean over many hard samples of
    the same mechanisms."""
    dcm = binary(seed=2)
    rows = cp.DataSource(front_door(4000, 1)).encode(dcm.variables)
    target = cp.plan(FRONT_DOOR, [rows.source], available={}).module("D+A").targets[0]
    config = TrainingConfig(batch_size=4000, gradient="enumerate")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        game = RowGame(dcm, target, rows, config, banks={})
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        enumerated = torch.stack([
            (r.weight * game.critic(game.reads(r.values)).view(r.copies, -1)).sum(0).mean()
            for r in (game.roller({}, 4000, generator, mode="enumerate") for _ in range(20))
        ])  # fmt: skip
        sampled = torch.stack(
            [
                game.critic(game.reads(game.roller({}, 4000, generator).values)).mean()
                for _ in range(200)
            ]
        )
    difference = float(enumerated.mean() - sampled.mean())
    error = float((enumerated.var() / 20 + sampled.var() / 200).sqrt())
    assert abs(difference) < 4 * error
    assert (
        game.roller({}, 10, generator, mode="enumerate")
        .weight.sum(0)
        .allclose(torch.ones(10), atol=1e-5)
    )


def test_a_table_game_knows_the_models_distribution():
    dcm = binary(seed=2)
    rows = cp.DataSource(front_door(3000, 1)).encode(dcm.variables)
    target = cp.plan(FRONT_DOOR, [rows.source], available={}).module("D+A").targets[0]
    game = TableGame(dcm, target, rows, TrainingConfig(draws=1024))
    with torch.no_grad():
        table = game.fake(torch.Generator().manual_seed(0))
        values = dcm(cp.Noise(400_000, seed=1))
    order = [*target.parents, *target.variables]
    joint = sum(values[name] * 2 ** (len(order) - 1 - k) for k, name in enumerate(order))
    assert torch.allclose(table, torch.bincount(joint, minlength=8) / 400_000, atol=0.005)
    counts = np.bincount(
        sum(rows.values[n].numpy() * 2 ** (len(order) - 1 - k) for k, n in enumerate(order)),
        minlength=8,
    )
    assert np.allclose(game.real.numpy(), counts / 3000)


def test_the_likelihood_is_the_c_factor_by_quadrature():
    """E over a standard normal of a product of two mechanisms, against Gauss-Hermite quadrature."""
    dcm = binary(seed=4, confounder_size=1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    noise = {"A<->D": torch.tensor(nodes, dtype=torch.float32).view(-1, 1, 1)}
    rows = {
        name: torch.tensor(values)
        for name, values in (("D", [0, 1, 1, 0]), ("I", [0, 0, 1, 1]), ("A", [1, 1, 0, 0]))
    }
    with torch.no_grad():
        by_draws = log_mean_exp(Cells(dcm, ("D", "A"), rows).log_prob(
            ConfounderDraws(["A<->D"], 1, 8192)(torch.Generator().manual_seed(0))
        ))  # fmt: skip
        at_nodes = rows_log_prob(dcm, ("D", "A"), rows, noise).exp()
    exact = (
        (torch.tensor(weights / weights.sum(), dtype=torch.float32)[:, None] * at_nodes)
        .sum(0)
        .log()
    )
    assert torch.allclose(by_draws, exact, atol=2e-3)


@pytest.mark.parametrize(
    ("recorded", "do", "kept"),
    [
        ("XYZ", "", "XYZ"),
        ("YZ", "X", "YZ"),
        ("XY", "", "XY"),
        ("XZ", "", "X"),  # Y is not recorded and Z reads it
        ("XZ", "Y", "XZ"),
        ("Z", "X", ""),
    ],
)
def test_what_a_source_tells_of_a_c_component(recorded, do, kept):
    graph = cp.CausalGraph.parse("X -> Y -> Z; X <-> Y <-> Z")
    assert "".join(sorted(name for group in served(graph, recorded, do) for name in group)) == kept


def test_a_source_without_a_variable_whose_effect_returns_by_another_path_tells_less():
    """X <-> Y, X -> W -> Y without X: P(Y | W) is confounded by X, so it is not the factor P(Y |
    do(W))."""
    graph = cp.CausalGraph.parse("X -> W -> Y; X <-> Y")
    assert served(graph, "WY", "") == []
    assert served(graph, "WY", "W") == [("Y",)]
    assert sorted(served(graph, "XWY", "")) == [("W",), ("X", "Y")]


def test_continuous_and_discrete_variables_are_fitted_together():
    rng = np.random.default_rng(0)
    u = rng.normal(size=8000)
    x = (u + rng.normal(size=8000) > 0).astype(int)
    y = 3.0 * x + 2 * u + rng.normal(size=8000)
    z = (y + rng.normal(size=8000) > 1).astype(int)
    graph = cp.CausalGraph.parse("X -> Y -> Z; X <-> Y")
    dcm = cp.DCM(graph, {"X": cp.Discrete(2), "Y": cp.Continuous(), "Z": cp.Discrete(2)})
    report = cp.fit(
        dcm,
        cp.DataSource({"X": x, "Y": y, "Z": z}),
        objective="likelihood",
        steps=300,
        progress=False,
    )
    assert report.converged
    rows = dcm.sample(50_000, seed=1)
    assert abs(rows["Y"].mean() - y.mean()) < 0.15
    assert abs(rows["Y"].std() - y.std()) < 0.15
    assert abs(rows["Z"].mean() - z.mean()) < 0.03


def test_a_module_that_is_far_off_is_said_not_to_have_converged():
    source = cp.DataSource(front_door(5000, 0))
    with pytest.warns() as caught:
        report = cp.fit(binary(), source, objective="adversarial", steps=1, progress=False)
    assert {w.category for w in caught} == {ConvergenceWarning}
    assert "Module D+A has not converged: P(D, I, A)" in str(caught[-1].message)
    assert not report.converged
    assert "not converged" in str(report)


ROWS = front_door(50, 0)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (lambda: cp.DataSource(ROWS | {"Q": ROWS["D"]}), SourceError, "'Q'"),
        (
            lambda: cp.DataSource(ROWS | {"A": np.where(ROWS["A"] > 0, np.nan, 0.0)}),
            DataError,
            "A: ",
        ),
        (lambda: cp.DataSource(ROWS | {"A": ROWS["A"] + 1}), DataError, "outside its categories"),
        (lambda: cp.DataSource(ROWS | {"A": ROWS["A"][:-1]}), DataError, "differ in length"),
        (lambda: cp.DataSource({"D": ROWS["D"], "A": ROWS["A"]}), PlanError, "I"),
        (lambda: cp.DataSource(ROWS, do=["X"]), SourceError, "X"),
        (lambda: cp.DataSource({}), DataError, "no rows"),
        (lambda: cp.DataSource(3), DataError, "int cannot be read as a table"),
        (lambda: cp.DataSource("nowhere.csv"), DataError, "no such file"),
    ],
)
def test_rows_that_cannot_serve_are_refused_before_any_training(source, error, message):
    dcm = binary()
    before = {key: value.clone() for key, value in dcm.state_dict().items()}
    with pytest.raises(error, match=message):
        cp.fit(dcm, source(), progress=False)
    assert all(torch.equal(value, before[key]) for key, value in dcm.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "no setting epoch"),
        ({"objective": "gan"}, "'gan'"),
        ({"steps": 0}, "steps=0"),
        ({"held_out": 1.0}, "held_out"),
        ({"learning_rate": -1.0}, "above 0"),
        ({"gradient": "none"}, "'none'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(TrainingError, match=message):
        cp.fit(binary(), cp.DataSource(ROWS), progress=False, **settings)


def test_the_generator_inside_a_renderer_stays_frozen():
    """X <-> I with a frozen generator behind I: training moves the code, and not one number of
    the generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        gan = ConditionalGAN(IMAGE, [Label("D", 2)], 4, LAYERS)
    variables = {"X": cp.Discrete(2), "I": IMAGE}
    code = Renderer(gan, IMAGE, {}, confounder_size=2)
    dcm = cp.DCM(cp.CausalGraph.parse("X <-> I"), variables, mechanisms={"I": code})
    rng = np.random.default_rng(0)
    source = cp.DataSource(
        {"X": rng.integers(2, size=80), "I": rng.random((80, 1, 8, 8), np.float32)}
    )
    before = {key: value.clone() for key, value in dcm.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(
            dcm,
            source,
            steps=3,
            encoder_steps=3,
            batch_size=16,
            objective="adversarial",
            progress=False,
        )
    own = {key for key, _ in dcm.named_parameters() if key.startswith("_mechanisms.I.")}
    moved = {key for key in own if not torch.equal(dcm.state_dict()[key], before[key])}
    assert moved == {key for key in own if key.startswith("_mechanisms.I.network.")}
    assert moved < own


def test_an_implicit_mechanism_cannot_be_trained_by_likelihood(tmp_path):
    dcm = cp.DCM(cp.CausalGraph.parse("D -> I"), {"D": cp.Discrete(2), "I": IMAGE})
    rows = cp.DataSource({"D": [0, 1], "I": np.zeros((2, 1, 8, 8), np.float32)}).encode(
        dcm.variables
    )
    with pytest.raises(PlanError, match="no explicit density"):
        Likelihood(dcm, ["I"], [rows], TrainingConfig())


def test_the_plan_names_the_objective_that_is_used(tmp_path):
    dcm = image_model(tmp_path)
    source = image_rows(dcm, 60)
    settings = {"steps": 2, "encoder_steps": 2, "objective": {"A": "likelihood"}, "progress": False}
    report = cp.fit(dcm, source, **settings)
    assert dcm.plan.module("D+A").objective == "likelihood" == report.modules[0].objective
    assert report.modules[0].distances[0].target == "P(D, I, A)"  # a bank of the generator is cheap


def test_a_module_behind_a_slow_generator_is_said_not_to_have_been_compared(tmp_path):
    dcm = image_model(tmp_path)
    dcm.mechanism("I").batch_cost = 1e6
    source = image_rows(dcm, 60)
    report = cp.fit(dcm, source, objective="likelihood", steps=2, encoder_steps=2, progress=False)
    assert report.modules[0].distances == ()
    assert report.modules[0].converged is None
    assert not report.converged
    assert "not compared" in str(report)


def test_objectives_that_cannot_be_meant_are_refused():
    with pytest.raises(cp.errors.UnknownVariableError, match="'B'"):
        cp.fit(binary(), cp.DataSource(ROWS), objective={"B": "likelihood"}, progress=False)
    dcm = cp.DCM(cp.CausalGraph.parse("D -> I"), {"D": cp.Discrete(2), "I": IMAGE})
    rows = cp.DataSource({"D": [0, 1] * 5, "I": np.zeros((10, 1, 8, 8), np.float32)})
    with pytest.raises(PlanError, match="no explicit density"):
        cp.fit(dcm, rows, objective={"I": "likelihood"}, progress=False)


def test_an_image_module_is_trained_on_pixels():
    """Images whose mean brightness is .2 or .8, by D, with a spread of .1: both are learned."""
    rng = np.random.default_rng(0)
    d = rng.integers(2, size=2000)
    mean = d * 0.6 + 0.2 + 0.1 * rng.normal(size=2000)
    images = np.clip(
        mean[:, None, None, None] + 0.05 * rng.normal(size=(2000, 1, 8, 8)), 0, 1
    ).astype(np.float32)
    dcm = cp.DCM(cp.CausalGraph.parse("D -> I"), {"D": cp.Discrete(2), "I": IMAGE})
    settings = {
        "objective": "likelihood",
        "image_steps": 300,
        "validate_every": 300,
        "batch_size": 64,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(dcm, cp.DataSource({"D": d, "I": images}), progress=False, **settings)
    for k in (0, 1):
        means = np.stack(list(dcm.sample(500, do={"D": k}, variables=["I"])["I"])).mean((1, 2, 3))
        assert abs(means.mean() - images[d == k].mean()) < 0.1
        assert means.std() > 0.03


@pytest.mark.parametrize("objective", ["likelihood", "adversarial"])
def test_a_rare_category_is_learned_and_training_on_goes_on_from_where_it_was(objective):
    """A network that starts at equal odds takes hundreds of small steps to odds of 1 to 99; the
    frequency is known."""
    rows = {"X": np.arange(20_000) % 100 == 7}
    rows["Y"] = rows["X"] ^ (np.arange(20_000) % 10 == 3)
    rows = {name: values.astype(int) for name, values in rows.items()}
    dcm = binary(cp.CausalGraph.parse("X -> Y"))
    cp.fit(dcm, cp.DataSource(rows), objective=objective, steps=40, progress=False)
    assert abs(float(dcm.sample(100_000, variables=["X"], seed=1)["X"].mean()) - 0.01) < 0.003
    before = {key: value.clone() for key, value in dcm.trained_tensors().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        few = {"X": [0, 1] * 50, "Y": [0, 1] * 50}
        cp.fit(
            dcm,
            cp.DataSource(few),
            objective=objective,
            steps=1,
            learning_rate=1e-6,
            progress=False,
        )
    assert all(
        torch.allclose(value, before[key], atol=1e-4)
        for key, value in dcm.trained_tensors().items()
    )


def test_critics_see_what_follows_from_a_rare_value_of_a_parent():
    """One row in a hundred hardly counts in P(X, Y), and all of it in P(Y | do(X=1))."""
    row = np.arange(20_000)
    x = row % 100 == 7
    rows = {"X": x.astype(int), "Y": np.where(x, row % 1000 < 800, row % 10 == 3).astype(int)}
    dcm = binary(cp.CausalGraph.parse("X -> Y"), seed=1)
    objective = {"X": "likelihood", "Y": "adversarial"}
    cp.fit(dcm, cp.DataSource(rows), objective=objective, steps=200, seed=1, progress=False)
    one = torch.tensor([1])
    assert float(dcm.mechanism("Y").log_prob(one, {"X": one}).exp()) == pytest.approx(0.8, abs=0.05)
    assert float(dcm.mechanism("Y").log_prob(one, {"X": 1 - one}).exp()) == pytest.approx(
        0.1, abs=0.02
    )


@pytest.mark.parametrize(("edges", "steps"), [("D -> I", 300), ("D <-> I", 800)])
def test_an_image_module_learns_how_its_image_depends_on_the_rest(edges, steps):
    """Images are dark or bright, as D says (a parent) or mostly says (a hidden confounder)."""
    rng = np.random.default_rng(0)
    d = (rng.random(3000) < 0.4).astype(int)
    bright = d if edges == "D -> I" else np.where(rng.random(3000) < 0.2, 1 - d, d)
    images = 0.1 + 0.8 * bright[:, None, None, None] + 0.05 * rng.normal(size=(3000, 1, 8, 8))
    dcm = cp.DCM(cp.CausalGraph.parse(edges), {"D": cp.Discrete(2), "I": IMAGE})
    source = cp.DataSource({"D": d, "I": np.clip(images, 0, 1).astype(np.float32)})
    settings = {"image_steps": steps, "validate_every": steps, "batch_size": 64}
    objective = {"D": "likelihood"} if edges == "D -> I" else "adversarial"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(dcm, source, objective=objective, progress=False, **settings)
    rows = dcm.sample(4000, seed=1, variables=["D", "I"])
    shown = np.stack(list(rows["I"])).mean((1, 2, 3)) > 0.5
    assert abs(rows["D"].mean() - d.mean()) < 0.06
    for k in (0, 1):
        assert abs(shown[rows["D"] == k].mean() - bright[d == k].mean()) < 0.1


def test_an_output_folder_that_is_a_file_is_refused_before_training(tmp_path):
    (tmp_path / "runs").write_text("")
    dcm = cp.DCM(cp.CausalGraph.parse("X"), {"X": cp.Discrete(2)})
    with pytest.raises(TrainingError, match=r"output_dir .*runs is a file"):
        cp.Trainer(dcm, [cp.DataSource({"X": [0, 1]})], output_dir=tmp_path / "runs")


def test_settings_and_tables_that_cannot_train_are_refused_before_training():
    graph, variables = cp.CausalGraph.parse("X <-> Y"), {"X": cp.Discrete(2), "Y": cp.Continuous()}
    for options in (
        {"seed": None},
        {"seed": 1.5},
        {"learning_rate": "fast"},
        {"learning_rate": -1.0},
    ):
        with pytest.raises(TrainingError, match=r"seed=|learning_rate="):
            TrainingConfig(**options)
    with pytest.raises(MechanismError, match="confounder_size=0"):
        cp.DCM(graph, variables, confounder_size=0)
    with pytest.raises(MechanismError, match="hidden=8 cannot be used"):
        cp.DCM(graph, variables, hidden=8)
    for rows in (1, 2):
        table = {"X": [0, 1][:rows], "Y": [0.5, 0.7][:rows]}
        with pytest.raises(DataError, match=rf"has {rows} row\(s\), and at least two are needed"):
            cp.fit(cp.DCM(graph, variables), cp.DataSource(table), steps=2, progress=False)

"""Five hundred damaged repositories of whole models: an error of ours that names the file, and
nothing else happens."""

import copy
import json
import os
import resource
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.errors import RepositoryError
from causalplug.mechanisms.frozen.label import Label

IMAGE = cp.Image(1, 8, 8)
LAYERS = [
    {"type": "linear", "in_features": 6, "out_features": 64, "name": "out"},
    {"type": "sigmoid"},
]
NAMES = ("config.json", "model.safetensors", "frozen/0/config.json", "frozen/0/model.safetensors")
HUGE = [2**31, 2**62, 10**9, -1, 0, -(2**63), 10**30, 1e308, 0.5]
VALUES = [
    None,
    True,
    "",
    "x",
    "../../../etc/passwd",
    [],
    {},
    [[]],
    ["x"],
    {"x": 1},
    "\u202e",
    "a" * 5000,
    *HUGE,
]
RAW = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "01",
    "'x'",
    '"\\ud800"',
    "[" * 80 + "]" * 80,
    "9" * 500,
    '{"a": 1, "a": 2}',
]
PLACES = [
    "..",
    ".",
    "/",
    "/etc",
    "../other",
    "a/../../b",
    "frozen",
    "frozen/0/../0",
    "C:\\x",
    "nul",
    "~",
    "frozen//0",
]
MARK = "@@RAW@@"


class Files(dict):
    """The bytes of a repository's files by name."""

    def __repr__(self):
        return f"<{len(self)} files>"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The files of a trained model's repository, with a copied generator, a plan, sources, a
    history and questions."""
    home = tmp_path_factory.mktemp("saved")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        gan = ConditionalGAN(IMAGE, [Label("digit", 2)], 4, LAYERS, license="mit").save_pretrained(
            home / "gan"
        )
    graph = cp.CausalGraph.parse("D -> I -> A; D -> X; D <-> A")
    variables = {
        "D": cp.Discrete(2),
        "I": IMAGE,
        "A": cp.Discrete(["no", "yes"]),
        "X": cp.Continuous(),
    }
    dcm = cp.DCM(graph, variables, mechanisms={"I": cp.from_pretrained(gan)}, hidden=(8,), seed=3)
    dcm.sources = (cp.Source(["D", "I", "A", "X"], name="rows"),)
    dcm.plan = cp.plan(graph, dcm.sources, available=dcm.pulled)
    distance = {"target": "P(D, A | I)", "rows": 500, "tvd": 0.01, "floor": 0.02}
    dcm.history = {
        "modules": [{"variables": ["D", "A"], "distances": [distance], "converged": True}]
    }
    folder = dcm.save_pretrained(home / "model", frozen="copy", queries=["P(A | do(D=1))"])
    return Files(
        {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    )


def spots(value, at=()):
    """Every place in a JSON value."""
    yield at
    for key, item in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    ):
        yield from spots(item, (*at, key))


@st.composite
def bytes_mutations(draw):
    name, kind = (
        draw(st.sampled_from(NAMES)),
        draw(st.sampled_from(["cut", "flip", "insert", "replace"])),
    )
    return (
        name,
        kind,
        draw(st.floats(0, 1)),
        draw(st.integers(0, 7)),
        draw(st.binary(min_size=1, max_size=40)),
    )


def mutate_bytes(data, kind, where, bit, extra):
    at = min(int(where * len(data)), len(data) - 1)
    match kind:
        case "cut":
            return data[:at]
        case "flip":
            return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
        case "insert":
            return data[:at] + extra + data[at:]
    return extra


@st.composite
def json_mutations(draw):
    name = draw(st.sampled_from([NAMES[0], NAMES[0], NAMES[2]]))
    kind = draw(st.sampled_from(["value", "raw", "drop", "key", "rename", "twice", "place"]))
    return (
        name,
        kind,
        draw(st.integers(0, 10**6)),
        draw(st.sampled_from(VALUES)),
        draw(st.sampled_from(RAW)),
        draw(st.sampled_from(PLACES)),
    )


def mutate_json(data, kind, number, value, raw, place):
    config = copy.deepcopy(json.loads(data))
    if kind == "place":
        places = [
            at
            for at in spots(config)
            if at and at[-1] in ("folder", "repo_id", "subfolder", "kind", "part")
        ]
        at = places[number % len(places)] if places else ("format",)
        value = place
    else:
        every = [at for at in spots(config) if at]
        at = every[number % len(every)]
    holder = config
    for key in at[:-1]:
        holder = holder[key]
    key = at[-1]
    if kind in ("value", "place"):
        holder[key] = value
    elif kind in ("raw", "twice"):
        holder[key] = MARK
    elif kind == "drop":
        holder.pop(key)
    elif isinstance(holder, dict):
        holder["unknown" if kind == "key" else f"{key}x"] = (
            value if kind == "key" else holder.pop(key)
        )
    text = json.dumps(config)
    if kind == "twice":
        raw = f'1, "{key}": 2' if isinstance(holder, dict) else "1, 2"
    return text.replace(json.dumps(MARK), raw).encode()


def write(folder, files):
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def load_and_draw(source, **options):
    """Load, draw and describe the model; an error must be ours and name the place."""
    message = None
    try:
        with torch.no_grad():
            dcm = cp.from_pretrained(source, **options)
            values = dcm(cp.Noise(3, seed=0))
            assert set(values) == set(dcm.graph.variables)
            dcm.generate_model_card()
    except RepositoryError as error:
        message = str(error)
    if message is not None:
        assert any(
            word in message for word in ("config.json", "model.safetensors", "frozen", str(source))
        ), message
    return message


@pytest.fixture(scope="module")
def counted():
    """How many mutations were tried and refused, and the memory of the process before."""
    return {"tried": 0, "refused": 0, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


@settings(
    max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(st.one_of(bytes_mutations(), json_mutations()))
def test_five_hundred_mutations(saved, counted, tmp_path_factory, mutation):
    name, *how = mutation
    home = tmp_path_factory.getbasetemp() / "mutated"
    files = dict(saved)
    files[name] = (mutate_bytes if isinstance(how[1], float) else mutate_json)(files[name], *how)
    write(home / "model", files)
    before = {path: path.lstat().st_mtime_ns for path in home.rglob("*")}
    message = load_and_draw(home / "model")
    assert {path: path.lstat().st_mtime_ns for path in home.rglob("*")} == before, (
        "something was written"
    )
    counted["tried"] += 1
    counted["refused"] += message is not None
    if name.endswith(".safetensors") and files[name] != saved[name]:
        assert message is not None, "changed weights were taken"
        assert name.rsplit("/", 1)[-1] in message


def test_how_many_were_refused(counted):
    """The mutations are not idle, and none of them took much memory."""
    assert counted["tried"] >= 500
    assert counted["refused"] > 0.7 * counted["tried"]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - counted["memory"]) / 1024
    assert grown < 600, f"{grown:.0f} MiB"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["outside", "dangling", "itself", "folder", "pipe", "absent"])
def test_files_that_are_none(saved, tmp_path, name, kind):
    write(tmp_path / "model", saved)
    path = tmp_path / "model" / name
    (tmp_path / "outside").write_bytes(path.read_bytes())
    path.unlink()
    match kind:
        case "outside":
            path.symlink_to(tmp_path / "outside")
        case "dangling":
            path.symlink_to("nowhere")
        case "itself":
            path.symlink_to(path.name)
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
    message = load_and_draw(tmp_path / "model")
    assert message is not None
    assert path.name in message


SHAPES = [
    lambda c: c["mechanisms"]["A"]["config"].update(hidden=[10**9]),
    lambda c: c["mechanisms"]["A"]["config"].update(hidden=[60_000, 60_000]),
    lambda c: c["mechanisms"]["A"]["config"].update(hidden=[8] * 300_000),
    lambda c: c["mechanisms"]["X"]["config"].update(bins=10**9),
    lambda c: c["mechanisms"]["A"]["config"].update(confounder_size=10**12),
    lambda c: c.update(confounder_size=10**12),
    lambda c: c["variables"]["D"].update(categories=10**9),
    lambda c: c["mechanisms"]["A"]["config"]["variable"].update(categories=10**9),
    lambda c: c["variables"]["I"].update(height=10**6, width=10**6),
    lambda c: c["encoders"]["I"]["config"].update(size=10**10),
    lambda c: c["encoders"]["I"]["config"].update(channels=[10**6, 10**6]),
    lambda c: c["mechanisms"]["I"]["binding"]["variable"].update(height=10**6, width=10**6),
    lambda c: c["mechanisms"]["I"]["binding"]["parents"][0][1].update(categories=10**9),
]


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_claims_of_huge_shapes(saved, tmp_path, number):
    config = json.loads(saved["config.json"])
    SHAPES[number](config)
    write(tmp_path / "model", {**saved, "config.json": json.dumps(config).encode()})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = load_and_draw(tmp_path / "model")
    assert message is not None
    assert "config.json" in message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10


def test_references_in_a_circle(saved, tmp_path):
    """A's generator is said to be a module of B, and B's one of A; or a model says that it is
    its own part."""
    config = json.loads(saved["config.json"])
    local = {"files": {}, "folder": "../other"}
    for mine, other in (("model", "../other"), ("other", "../model"), ("own", ".")):
        config["mechanisms"]["A"] = {"pulled": {"local": {**local, "folder": other}, "part": "D+A"}}
        config["mechanisms"]["D"] = {"pulled": {"local": {**local, "folder": other}, "part": "D+A"}}
        write(tmp_path / mine, {**saved, "config.json": json.dumps(config).encode()})
    for name in ("model", "own"):
        with pytest.raises(
            RepositoryError, match=r"leads back to itself|do not fit|tensors are not those"
        ):
            cp.from_pretrained(tmp_path / name)(cp.Noise(3, seed=0))


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_mutations_on_the_hub(hub, repo, saved, tmp_path):
    """The same through the Hub: nothing is written outside the cache."""
    cache, home = tmp_path / "cache", Path(os.environ["HF_HOME"])
    config = json.loads(saved["config.json"])
    cases = {
        "cut": {"model.safetensors": saved["model.safetensors"][:1000]},
        "flip": {
            "frozen/0/model.safetensors": mutate_bytes(
                saved["frozen/0/model.safetensors"], "flip", 0.9, 1, b""
            )
        },
        "list": {"config.json": b"[]"},
        "twice": {
            "config.json": saved["config.json"].replace(
                b"{", (b'{"format": "x", "format": "y", '), 1
            )
        },
        "climb": {"config.json": saved["config.json"].replace(b"frozen/0", b"../../..")},
        "local": {
            "config.json": json.dumps(
                {
                    **config,
                    "mechanisms": {
                        **config["mechanisms"],
                        "I": {"pulled": {"local": {"folder": "/etc", "files": {}}}, "binding": {}},
                    },
                }
            ).encode()
        },
    }
    for name, change in cases.items():
        place = f"{repo[:80]}-{name}"
        hub.plant(place, {**saved, **change})
        before = {*tmp_path.rglob("*"), *home.rglob("*")}
        with pytest.raises(RepositoryError, match=r"config\.json|model\.safetensors"):
            cp.from_pretrained(place, cache_dir=cache)(cp.Noise(3, seed=0))
        assert [
            p
            for p in {*tmp_path.rglob("*"), *home.rglob("*")} - before
            if cache not in (p, *p.parents)
        ] == []

"""Every kind of table gives the same rows, whatever its size, and what cannot be meant is
refused with its place."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image as PILImage
from torch.utils.data import Dataset, IterableDataset

import causalplug as cp
from causalplug.data.images import Images
from causalplug.errors import DataError, RepositoryError, SourceError
from tests.training import work

datasets = pytest.importorskip("datasets")

N = 1100  # more than two chunks of a stream
VARIABLES = {"D": cp.Discrete(["a", "b"]), "I": cp.Image(1, 4, 4), "X": cp.Continuous()}


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (N, 1, 4, 4)).astype(np.uint8)
    return {"D": rng.choice(["a", "b"], N), "I": pixels, "X": rng.normal(size=N).astype(np.float32)}


@pytest.fixture(scope="module")
def folder(columns, tmp_path_factory):
    """An image folder of the Hub's form, and the same rows as Parquet with the images inside."""
    root = tmp_path_factory.mktemp("folder")
    for k, pixels in enumerate(columns["I"]):
        PILImage.fromarray(pixels[0]).save(root / f"{k}.png")
    names = [f"{k}.png" for k in range(N)]
    pd.DataFrame({"I_file_name": names, "D": columns["D"], "X": columns["X"]}).to_csv(
        root / "metadata.csv", index=False
    )
    embedded = [{"bytes": (root / name).read_bytes(), "path": name} for name in names]
    pd.DataFrame({"I": embedded, "D": columns["D"], "X": columns["X"]}).to_parquet(
        root.parent / "rows.parquet"
    )
    np.save(root.parent / "I.npy", columns["I"])
    listed = pa.array(columns["I"].tolist(), pa.list_(pa.list_(pa.list_(pa.uint8()))))
    pq.write_table(
        pa.table({"I": listed, "D": columns["D"], "X": columns["X"]}),
        root.parent / "arrays.parquet",
    )
    return root


def pictures(columns):
    return [PILImage.fromarray(pixels[0]) for pixels in columns["I"]]


class Tuples(Dataset):
    def __init__(self, columns):
        self.columns, self.pictures = columns, pictures(columns)

    def __len__(self):
        return N

    def __getitem__(self, i):
        return self.pictures[i], str(self.columns["D"][i]), float(self.columns["X"][i])


class Stream(IterableDataset):
    def __init__(self, columns):
        self.columns = columns

    def __iter__(self):
        for i in range(N):
            yield {
                name: torch.from_numpy(v[i]) if name == "I" else v[i]
                for name, v in self.columns.items()
            }


def hf(columns, folder):
    made = {
        "D": [int(d == "b") for d in columns["D"]],
        "I": [str(folder / f"{k}.png") for k in range(N)],
    }
    features = datasets.Features(
        {"D": datasets.ClassLabel(names=["a", "b"]), "I": datasets.Image()}
    )
    return datasets.Dataset.from_dict(made, features=features).add_column(
        "X", [float(x) for x in columns["X"]]
    )


KINDS = {
    "dict": lambda c, f: cp.DataSource(c),
    "DataFrame": lambda c, f: cp.DataSource(
        pd.DataFrame({"D": c["D"], "X": c["X"], "I": pictures(c)})
    ),
    "list of dicts": lambda c, f: cp.DataSource(
        [{name: v[i] for name, v in c.items()} for i in range(N)]
    ),
    "torch tuples": lambda c, f: cp.DataSource(Tuples(c), columns=["I", "D", "X"]),
    "torch stream": lambda c, f: cp.DataSource(Stream(c)),
    "datasets": lambda c, f: cp.DataSource(hf(c, f)),
    "datasets stream": lambda c, f: cp.DataSource(hf(c, f).to_iterable_dataset()),
    "datasets splits": lambda c, f: cp.DataSource(
        datasets.DatasetDict({"a": hf(c, f).take(3), "b": hf(c, f)}), split="b"
    ),
    "image folder": lambda c, f: cp.DataSource(f),
    "Parquet": lambda c, f: cp.DataSource(f.parent / "rows.parquet"),
    "Parquet of arrays": lambda c, f: cp.DataSource(f.parent / "arrays.parquet"),
    "datasets of arrays": lambda c, f: cp.DataSource(
        hf(c, f)
        .remove_columns("I")
        .add_column("I", c["I"].tolist())
        .cast_column("I", datasets.Array3D((1, 4, 4), "uint8"))
    ),
    "names of files in a DataFrame": lambda c, f: cp.DataSource(
        pd.DataFrame({"D": c["D"], "X": c["X"], "I": [str(f / f"{k}.png") for k in range(N)]})
    ),
    "names of files in a CSV": lambda c, f: cp.DataSource(
        f / "metadata.csv", columns={"I_file_name": "I", "D": "D", "X": "X"}
    ),
    "dict, mapped": lambda c, f: cp.DataSource(
        c | {"I": np.load(f.parent / "I.npy", mmap_mode="r")}
    ),
    "image folder, mapped": lambda c, f: cp.DataSource(f, max_memory=1000),
    "torch stream, mapped": lambda c, f: cp.DataSource(Stream(c), max_memory=1000),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_gives_the_same_rows(kind, columns, folder):
    rows = KINDS[kind](columns, folder).encode(VARIABLES)
    everything = torch.arange(N)
    assert torch.equal(rows.values["I"][everything], torch.from_numpy(columns["I"]))
    assert torch.equal(rows.values["D"], torch.from_numpy((columns["D"] == "b").astype(int)))
    assert torch.equal(rows.values["X"], torch.from_numpy(columns["X"]))
    assert isinstance(rows.values["I"], Images) == ("mapped" in kind)
    train, held_out = rows.split(0.1, seed=3)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    assert torch.equal(
        train.values["I"][torch.arange(990)], torch.from_numpy(columns["I"])[order[110:]]
    )
    assert torch.equal(
        torch.cat(list(held_out.values["I"].split(50))), torch.from_numpy(columns["I"])[order[:110]]
    )


def test_files_of_one_table_are_read_one_after_another(tmp_path):
    for k in range(3):
        pd.DataFrame({"A": [k, 1], "B": ["x", "y"]}).to_csv(tmp_path / f"part{k}.csv", index=False)
        pd.DataFrame({"A": [k, 1], "B": ["x", "y"]}).to_json(
            tmp_path / f"part{k}.jsonl", orient="records", lines=True
        )
        pd.DataFrame({"A": [k, 1], "B": ["x", "y"]}).to_parquet(tmp_path / f"part{k}.parquet")
    variables = {"A": cp.Discrete(3), "B": cp.Discrete(["x", "y"])}
    for place in (
        tmp_path / "part*.csv",
        [tmp_path / f"part{k}.jsonl" for k in range(3)],
        tmp_path / "*.parquet",
        tmp_path,
    ):
        source = cp.DataSource(str(place) if "*" in str(place) else place)
        assert source.encode(variables).values["A"].tolist() == [0, 1, 1, 1, 2, 1]
        assert len(source) == 6
    (tmp_path / "part9.csv").write_text("A,C\n1,2\n")
    with pytest.raises(DataError, match="cannot be read as one table"):
        cp.DataSource(str(tmp_path / "part*.csv"))


def test_a_word_in_a_text_file_is_read_as_the_declaration_says(tmp_path):
    (tmp_path / "t.csv").write_text("country,code,yes\nNA,01,True\nUS,2,False\n")
    source = cp.DataSource(tmp_path / "t.csv")
    variables = {
        "country": cp.Discrete(["NA", "US"]),
        "code": cp.Discrete(["01", "2"]),
        "yes": cp.Discrete([False, True]),
    }
    rows = source.encode(variables).values
    assert [rows[name].tolist() for name in variables] == [[0, 1], [0, 1], [1, 0]]
    with pytest.raises(DataError, match=r"missing values \(country: 1\)"):
        source.encode(variables | {"country": cp.Discrete(["US", "CA"])})


def test_folders_with_one_folder_per_class(tmp_path):
    for label, grey in (("cat", 10), ("dog", 200)):
        (tmp_path / label).mkdir()
        for k in range(2):
            PILImage.new("L", (4, 4), grey + k).save(tmp_path / label / f"{k}.png")
    source = cp.DataSource(tmp_path, columns={"image": "I", "label": "D"})
    rows = source.encode({"I": cp.Image(1, 4, 4), "D": cp.Discrete(["cat", "dog"])}).values
    assert rows["I"][:, 0, 0, 0].tolist() == [10, 11, 200, 201]
    assert rows["D"].tolist() == [0, 0, 1, 1]


def test_a_dataset_on_the_hub_is_read_at_the_commit_that_its_branch_is_at(hub, repo, tmp_path):
    from huggingface_hub import HfApi

    pd.DataFrame({"X": [0, 1, 1], "Y": ["u", "v", "u"]}).to_parquet(tmp_path / "train.parquet")
    api = HfApi()
    api.create_repo(repo, repo_type="dataset")
    commit = api.upload_file(
        path_or_fileobj=tmp_path / "train.parquet",
        path_in_repo="data/train-0.parquet",
        repo_id=repo,
        repo_type="dataset",
    )
    variables = {"X": cp.Discrete(2), "Y": cp.Discrete(["u", "v"])}
    for options in ({}, {"streaming": True}, {"split": "train", "revision": "main"}):
        source = cp.DataSource(repo, **options)
        assert source.encode(variables).values["X"].tolist() == [0, 1, 1]
        assert source.origin == {"repo_id": repo, "revision": commit.oid}
    with pytest.raises(RepositoryError, match="no such file or folder"):
        cp.DataSource("alice/no-such-rows")


MEMORY = """
import sys, resource
sys.path.insert(0, {root!r})
import numpy as np, pandas, torch, causalplug as cp
from torch.utils.data import IterableDataset
class Rows(IterableDataset):
    def __iter__(self):
        for i in range(2000):
            yield {{"D": i % 2, "I": np.full((3, 256, 256), i % 256, dtype=np.uint8)}}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source = cp.DataSource(Rows(), max_memory=8 << 20, cache_dir=sys.argv[1])
rows = source.encode({{"D": cp.Discrete(2), "I": cp.Image(3, 256, 256)}})
train, _ = rows.split(0.1, 0)
batch = train.values["I"][torch.arange(64)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, rows.values["I"].shape[0])
"""


def test_a_stream_larger_than_the_memory_it_may_use_goes_to_a_file_that_leaves_nothing_behind(
    tmp_path,
):
    """393 MB of pixels through a process that may hold 8 MB of them; it grows by less than 100
    MB."""
    code = MEMORY.format(root=str(Path(__file__).parents[2]))
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    grown, rows = map(int, done.stdout.split())
    assert rows == 2000
    assert grown < 100_000  # KiB
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("kind", ["images", "painted"])
def test_training_on_pixels_in_a_file_ends_with_the_same_bits(kind, tmp_path, monkeypatch):
    """Label map, encoder, projections, critics on pixels and validation, all from a mapped file."""
    settings = {kind: True, "steps": 3, "image_steps": 3, "objective": None, "check_fit": True}
    whole = work.run(tmp_path / "whole", **settings)
    reads = []
    original = Images.__getitem__
    monkeypatch.setattr(
        Images, "__getitem__", lambda self, rows: reads.append(1) or original(self, rows)
    )
    mapped = work.run(tmp_path / "mapped", mapped=True, **settings)
    assert reads
    assert all(torch.equal(whole[key], mapped[key]) for key in whole)
    again = work.run(
        tmp_path / "whole", mapped=True, resume=True, **settings
    )  # the same data, however they are held
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_a_disk_that_is_full_of_pixels_is_told_before_training(columns, monkeypatch):
    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

        def close(self):
            pass

    monkeypatch.setattr("causalplug.data.images.tempfile.TemporaryFile", lambda dir: Full())
    with pytest.raises(DataError, match=r"'I' of DataSource.*No space left on device.*cache_dir"):
        cp.DataSource(Stream(columns), max_memory=1000).encode(VARIABLES)


def test_a_missing_value_deep_in_a_stream_stops_before_anything_is_trained(tmp_path):
    rows = work.table(2000)
    items = [{name: int(values[i]) for name, values in rows.items()} for i in range(2000)]
    items[1500]["A"] = float("nan")
    dcm = work.model()
    before = {key: value.clone() for key, value in dcm.trained_tensors().items()}
    with pytest.raises(DataError, match=r"missing values \(A: 1\)"):
        cp.fit(dcm, cp.DataSource(items), output_dir=tmp_path / "run", progress=False)
    assert all(torch.equal(value, before[key]) for key, value in dcm.trained_tensors().items())
    assert not (tmp_path / "run").exists()


# -- what is refused


def broken(columns, **changes):
    return {name: values.copy() for name, values in columns.items()} | changes


def with_value(values, row, value):
    changed = values.astype(object) if isinstance(value, str) else values.astype(np.float64)
    changed[row] = value
    return changed


BAD = [
    (lambda c: broken(c, X=with_value(c["X"], 700, np.nan)), r"missing values \(X: 1\)"),
    (lambda c: broken(c, X=with_value(c["X"], 700, np.inf)), "The first is inf in row 700"),
    (
        lambda c: broken(c, D=with_value(c["D"], 900, "c")),
        "'D' has values outside its categories: 'c'.*'c' in row 900",
    ),
    (lambda c: broken(c, I=with_value(c["I"] / 255, 800, np.nan)), r"missing values \(I: 1\)"),
    (
        lambda c: broken(c, I=with_value(c["I"] / 255, 800, 7.0)),
        "outside the declared range.*in row 800",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD)
@pytest.mark.parametrize("kind", ["dict", "stream"])
def test_a_wrong_value_is_named_with_its_column_and_row(change, message, kind, columns):
    table = change(columns)
    source = cp.DataSource(table if kind == "dict" else Stream(table))
    with pytest.raises(DataError, match=message):
        source.encode(VARIABLES)


def test_missing_values_are_counted_in_every_column_of_every_chunk(columns):
    x, d = columns["X"].copy(), columns["D"].astype(object)
    x[[3, 600, 1099]], d[[4, 1000]] = np.nan, None
    for source in (
        cp.DataSource(broken(columns, X=x, D=d)),
        cp.DataSource(Stream(broken(columns, X=x, D=d))),
    ):
        with pytest.raises(DataError, match=r"missing values \(D: 2, X: 3\)"):
            source.encode(VARIABLES)


def test_images_that_cannot_be_used_are_named(folder, tmp_path):
    root = tmp_path / "bad"
    root.mkdir()
    PILImage.new("L", (4, 4)).save(root / "good.png")
    PILImage.new("L", (5, 4)).save(root / "wide.png")
    PILImage.new("I;16", (4, 4)).save(root / "deep.png")
    (root / "cut.png").write_bytes((root / "good.png").read_bytes()[:40])
    (root.parent / "secret.png").write_bytes((root / "good.png").read_bytes())
    for name, message in {
        "wide.png": r"row 1: .*wide\.png has 4 x 5 pixels instead of the 4 x 4",
        "deep.png": r"row 1: .*deep\.png has mode I;16",
        "cut.png": r"row 1: .*cut\.png cannot be read as an image",
        "../secret.png": "not an image of the folder",
        "none.png": "not an image of the folder",
        "": r"missing values \(I: 1\)",
    }.items():
        (root / "metadata.csv").write_text(f"file_name,D\ngood.png,a\n{name},b\n")
        with pytest.raises(DataError, match=message):
            cp.DataSource(root, columns={"image": "I", "D": "D"}).encode(VARIABLES)


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        ({"A": [1]}, {"columns": ["B"]}, "no column 'B'"),
        (iter([{"A": 1}]), {}, "read once only"),
        ([(1, 2)], {}, "columns="),
        ([(1, 2)], {"columns": ["A"]}, "2 values"),
        ([{"A": 1}, {"B": 1}], {}, r"Row 1 .* has \['B'\]"),
        ([], {}, "no rows"),
    ],
)
def test_tables_that_make_no_sense_are_refused(frame, options, message):
    with pytest.raises(DataError, match=message):
        cp.DataSource(frame, **options).encode({"A": cp.Discrete(2), "B": cp.Discrete(2)})


def test_a_file_that_is_no_table_is_refused(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"no parquet")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "latin.csv").write_bytes("A\n\xe9\n".encode("latin-1"))
    (tmp_path / "t.xyz").write_text("A")
    (tmp_path / "l.jsonl").write_text('{"A": 1}\n{"A": \n')
    (tmp_path / "folder").mkdir()
    for name in ("t.parquet", "empty.csv", "latin.csv", "t.xyz", "l.jsonl", "folder"):
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            cp.DataSource(tmp_path / name).encode({"A": cp.Discrete(2)})


def test_a_stream_that_starts_once_only_is_not_read_half(columns):
    class Once(IterableDataset):
        rows = iter([{"A": k % 2} for k in range(10)])

        def __iter__(self):
            return self.rows

    source = cp.DataSource(Once())
    assert source.encode({"A": cp.Discrete(2)}).values["A"].tolist() == [0, 1] * 5
    with pytest.raises(DataError, match="no rows when it was read again"):
        source.encode({"A": cp.Discrete(2)})


# -- declarations from columns


def test_declarations_are_inferred_where_they_are_safe(columns, folder):
    expected = VARIABLES
    for source in (
        cp.DataSource(columns),
        cp.DataSource(folder),
        cp.DataSource(folder.parent / "rows.parquet"),
    ):
        found = source.infer_variables()
        assert {name: found[name] for name in sorted(found)} == expected
    assert cp.DataSource(hf(columns, folder)).infer_variables() == expected
    assert json.dumps(cp.DataSource(columns).infer_variables().why)
    table = {
        "k": [1, 2, 3] * 5,
        "b": [True, False, True] * 5,
        "z": [0.0, 1.0, 1.0] * 5,
        "f": [0.5, 1, 2] * 5,
    }
    found = cp.infer_variables(cp.DataSource(table))
    assert found == {
        "k": cp.Discrete([1, 2, 3]),
        "b": cp.Discrete([False, True]),
        "z": cp.Discrete(2),
        "f": cp.Continuous(),
    }
    cp.DataSource(table).encode(found)
    assert "3 different whole numbers from 1 to 3" in str(found)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.linspace(0, 1, 48).reshape(1, 3, 4, 4), cp.Image(3, 4, 4)),
        (np.linspace(-1, 1, 32).reshape(2, 1, 4, 4), cp.Image(1, 4, 4, low=-1.0)),
        (np.linspace(0, 9, 32).reshape(2, 1, 4, 4), r"values from 0 to 9: which range is meant"),
        (np.zeros((2, 7, 5, 3), np.uint8), r"arrays of shape \(7, 5, 3\): images are \(channels"),
        ([PILImage.new("RGB", (5, 4)), PILImage.new("RGB", (6, 4))], "images of 2 sizes"),
        ([PILImage.new("RGB", (5, 4))], cp.Image(3, 4, 5)),
    ],
)
def test_images_are_declared_by_their_size_and_range(pixels, expected):
    source = cp.DataSource({"I": pixels})
    if isinstance(expected, str):
        with pytest.raises(DataError, match=expected):
            source.infer_variables()
    else:
        assert source.infer_variables() == {"I": expected}
        source.encode(source.infer_variables())


def test_an_experiment_and_the_observations_are_judged_together():
    seen, done = (
        cp.DataSource({"A": [0, 1] * 10, "B": ["u", "v"] * 10}),
        cp.DataSource({"A": [2] * 20, "C": [0.5, 0.1] * 10}),
    )
    assert cp.infer_variables([seen, done]) == {
        "A": cp.Discrete(3),
        "B": cp.Discrete(["u", "v"]),
        "C": cp.Continuous(),
    }


def test_what_could_be_meant_in_two_ways_has_to_be_declared():
    table = pd.DataFrame(
        {
            "age": range(100),
            "id": [f"p{k}" for k in range(100)],
            "ward": ["a"] * 100,
            "x": [np.nan, 1.5] * 50,
            "day": pd.date_range("2020-01-01", periods=100),
            "mixed": ["1", 2] * 50,
            "ok": ["u", "v"] * 50,
        }
    )
    with pytest.raises(DataError) as caught:
        cp.DataSource(table).infer_variables()
    told = str(caught.value)
    for part in (
        "'age': whole numbers with 100 different values", "'id': 100 different words", "'ward': "
                                                                                       "it is "
                                                                                       "constant "
                                                                                       "('a')",
        "'x': 50 of 100 values are missing", "'day': it holds values of kind date", "'mixed': it "
                                                                                    "mixes int, "
                                                                                    "word",
    ):  # fmt: skip
        assert part in told
    assert "'ok'" not in told
    kept = cp.DataSource(table, columns=["age", "ok"])
    assert kept.infer_variables(age=cp.Continuous())["age"] == cp.Continuous()
    with pytest.raises(DataError, match="no source has such a column"):
        kept.infer_variables(weight=cp.Continuous())


def test_a_bare_table_is_one_observational_source():
    rng = np.random.default_rng(0)
    rows = {"X": rng.integers(2, size=300), "Y": rng.integers(2, size=300)}
    graph, settings = (
        cp.CausalGraph.parse("X -> Y"),
        {"objective": "likelihood", "steps": 5, "progress": False},
    )
    models = [cp.DCM(graph, {"X": cp.Discrete(2), "Y": cp.Discrete(2)}) for _ in range(3)]
    for model, table in zip(models, (cp.DataSource(rows), rows, pd.DataFrame(rows)), strict=True):
        cp.fit(model, table, **settings)
    first = models[0].trained_tensors()
    assert all(
        torch.equal(first[key], value)
        for m in models[1:]
        for key, value in m.trained_tensors().items()
    )
    with pytest.raises(SourceError, match="dict is not a data source: with several tables"):
        cp.fit(models[0], [cp.DataSource(rows), rows], **settings)


def test_a_column_that_is_there_twice_is_named():
    frame = pd.DataFrame([[0, 1, 2.0]], columns=["D", "D", "X"])
    with pytest.raises(DataError, match="has the column D twice"):
        cp.DataSource(frame)


def test_declarations_are_read_off_a_bare_table_as_off_its_source():
    frame = pd.DataFrame({"age": [0.5, 1.25, 0.75] * 9, "sex": ["f", "m", "f"] * 9})
    assert cp.infer_variables(frame) == cp.infer_variables([cp.DataSource(frame)])
    dcm = cp.DCM(cp.CausalGraph.parse("age; sex"), cp.infer_variables(frame))
    for call in (cp.infer_variables, lambda tables: cp.fit(dcm, tables)):
        with pytest.raises(SourceError, match="DataFrame is not a data source"):
            call([frame, frame])


def test_a_stream_of_unknown_length_is_a_source_of_a_fit():
    stream = datasets.Dataset.from_dict({"X": [0, 1] * 50}).to_iterable_dataset()
    dcm = cp.DCM(cp.CausalGraph.parse("X"), {"X": cp.Discrete(2)})
    cp.fit(dcm, cp.DataSource(stream), progress=False)
    assert float(dcm.estimate("P(X=1)")) == pytest.approx(0.5, abs=0.1)

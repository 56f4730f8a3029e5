"""Weights are read whole, unharmed and fitting, or not at all."""

import json
import os
import pickle
import struct

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from causalplug.errors import RepositoryError
from causalplug.files.facts import file_facts
from causalplug.files.storage import write_folder
from causalplug.files.weights import read_safetensors, safetensors_writer

EXHAUSTIVE = os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1"
TENSORS = {
    "net.0.weight": torch.arange(12.0).reshape(3, 4),
    "net.0.bias": torch.arange(3, dtype=torch.int64),
    "half": torch.ones(2, 0, 5, dtype=torch.bfloat16),
    "flag": torch.tensor([True, False]),
    "scalar": torch.tensor(2.5, dtype=torch.float64),
}


@pytest.fixture
def saved(tmp_path):
    write_folder(tmp_path / "model", {"model.safetensors": safetensors_writer(TENSORS)})
    return tmp_path / "model" / "model.safetensors"


def raw(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x580])
def test_a_header_whose_length_begins_like_a_pickle(tmp_path, length):
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    size = len(json.dumps({"": entry}))
    path = tmp_path / "model.safetensors"
    path.write_bytes(raw({"a" * (length - size): entry}, struct.pack("<2f", 1.0, 2.0)))
    assert path.read_bytes()[0] == 0x80
    assert next(iter(read_safetensors(path).values())).tolist() == [1.0, 2.0]


def test_round_trip(saved):
    facts = file_facts(saved)
    found = read_safetensors(saved, TENSORS, facts=facts, within=saved.parent)
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    assert (
        read_safetensors(saved, {name: tensor.shape for name, tensor in TENSORS.items()}).keys()
        == TENSORS.keys()
    )
    assert read_safetensors(saved).keys() == TENSORS.keys()
    assert facts["size"] == saved.stat().st_size
    assert saved.stat().st_mode & 0o777 == saved.parent.stat().st_mode & 0o666


def test_the_same_tensors_give_the_same_bytes(tmp_path):
    first = write_folder(tmp_path / "a", {"m": safetensors_writer(TENSORS)}) / "m"
    backwards = {name: TENSORS[name].clone() for name in reversed(TENSORS)}
    second = write_folder(tmp_path / "b", {"m": safetensors_writer(backwards)}) / "m"
    assert first.read_bytes() == second.read_bytes()


def test_gradients_and_views_are_written_as_values(tmp_path):
    weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    path = write_folder(tmp_path / "a", {"m": safetensors_writer({"t": weight.T})}) / "m"
    assert torch.equal(load_file(path)["t"], weight.detach().T)


DTYPES = """
BOOL bool, U8 uint8, I8 int8, U16 uint16, I16 int16, U32 uint32, I32 int32, U64 uint64, I64 int64,
F16 float16, BF16 bfloat16, F32 float32, F64 float64, C64 complex64, F8_E4M3 float8_e4m3fn,
F8_E5M2 float8_e5m2, F8_E4M3FNUZ float8_e4m3fnuz, F8_E5M2FNUZ float8_e5m2fnuz,
F8_E8M0 float8_e8m0fnu
"""
PAIRS = [pair.split() for pair in DTYPES.split(",")]


@pytest.mark.parametrize(("written", "name"), [pair for pair in PAIRS if hasattr(torch, pair[1])])
def test_every_type_of_the_format_is_read(tmp_path, written, name):
    """The file is written byte by byte: older versions of safetensors write fewer types."""
    dtype = getattr(torch, name)
    data = bytes([0, 1] * (2 * dtype.itemsize))
    path = tmp_path / "model.safetensors"
    header = {"a": {"dtype": written, "shape": [4], "data_offsets": [0, len(data)]}}
    path.write_bytes(raw(header, data))
    expected = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(dtype)
    found = read_safetensors(path, {"a": expected})["a"]
    assert found.dtype == dtype
    assert found.shape == (4,)
    assert found.view(torch.uint8).tolist() == list(data)


def test_every_flipped_bit_is_found(saved):
    facts, good = file_facts(saved), saved.read_bytes()
    step = 1 if EXHAUSTIVE else 7  # coprime to 8, so that every position in a byte has its turn
    for bit in range(0, 8 * len(good), step):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        saved.write_bytes(data)
        with pytest.raises(RepositoryError, match=r"model\.safetensors"):
            read_safetensors(saved, TENSORS, facts=facts)


def test_every_truncation_is_found(saved):
    good = saved.read_bytes()
    for length in range(len(good)):
        saved.write_bytes(good[:length])
        with pytest.raises(RepositoryError, match=r"cannot read .*model\.safetensors"):
            read_safetensors(saved)
    saved.write_bytes(good + b"\0")
    with pytest.raises(RepositoryError, match="bytes where its header announces"):
        read_safetensors(saved)


@settings(
    max_examples=3000 if EXHAUSTIVE else 300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_mutated_files_without_a_recorded_hash(saved, data):
    """Nothing but our error, and never a tensor that the model does not expect."""
    good = saved.read_bytes()
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        operation = data.draw(st.sampled_from(["flip", "cut", "insert"]))
        if operation == "flip":
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        elif operation == "cut":
            del content[at : at + data.draw(st.integers(1, 30))]
        else:
            content[at:at] = data.draw(st.binary(min_size=1, max_size=9))
        content = content or bytearray(b"\0")
    write_folder(saved.parent, {saved.name: bytes(content)})
    found, refusal = None, ""
    try:
        found = read_safetensors(saved, TENSORS)
    except RepositoryError as error:
        refusal = str(error)
    if found is None:
        assert str(saved) in refusal
    else:
        assert {name: (t.shape, t.dtype) for name, t in found.items()} == {
            name: (t.shape, t.dtype) for name, t in TENSORS.items()
        }
    saved.write_bytes(good)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BAD = {
    "cut short": raw({}, length=10**6),
    "longer than": raw(b" " * ((16 << 20) + 1)),
    "not JSON": raw(b"no json"),
    "top level is a list": raw([]),
    "appears twice": raw(b'{"a":{"dtype":"F32","dtype":"F32"}}'),
    "deeper than": raw(b'{"a":' * 9 + b"1" + b"}" * 9),
    "unknown type": raw({"a": ENTRY | {"dtype": "F31"}}, b"\0" * 8),
    '"a.shape" is missing': raw({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, b"\0" * 8),
    '"a.code" is unknown': raw({"a": ENTRY | {"code": "x"}}, b"\0" * 8),
    '"a.shape" is text': raw({"a": ENTRY | {"shape": "2"}}, b"\0" * 8),
    "instead of text": raw({"__metadata__": {"format": 1}, "a": ENTRY}, b"\0" * 8),
    "does not agree with its shape": raw({"a": ENTRY | {"shape": [3]}}, b"\0" * 8),
    'tensor "a" does': raw({"a": ENTRY | {"data_offsets": [8, 0]}}, b"\0" * 8),
    '"a" does not agree': raw({"a": ENTRY | {"data_offsets": [-8, 0]}}, b"\0" * 8),
    '"a" does not': raw({"a": ENTRY | {"data_offsets": []}}, b"\0" * 8),
    '"a" does not agree with': raw({"a": ENTRY | {"shape": [-2, -1]}}, b"\0" * 8),
    '"a" does not agree with its': raw(
        {"a": ENTRY | {"shape": [2**50, 0], "data_offsets": [0, 0]}}
    ),
    '"b" does not agree': raw({"a": ENTRY, "b": ENTRY}, b"\0" * 8),
    '"b" does not agree with its shape': raw(
        {"a": ENTRY, "b": ENTRY | {"data_offsets": [9, 17]}}, b"\0" * 17
    ),
    "header announces": raw({"a": ENTRY}, b"\0" * 9),
    "64 bits": raw({"a": ENTRY | {"shape": [2**70]}}, b"\0" * 8),
    "pickle": pickle.dumps({"a": [1.0]}),
    "is a pickle": b"PK\x03\x04" + b"\0" * 100,
}


@pytest.mark.parametrize("message", BAD, ids=lambda text: text.replace(" ", "_"))
def test_bad_headers(tmp_path, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(BAD[message])
    with pytest.raises(RepositoryError, match=rf"model\.safetensors.*{message}"):
        read_safetensors(path)


def test_disagreement_with_the_model_is_listed(saved):
    expected = {
        **TENSORS,
        "net.0.weight": torch.zeros(4, 3),
        "net.0.bias": torch.zeros(3, dtype=torch.float32),
        "net.1.weight": torch.zeros(2),
    }
    del expected["flag"]
    with pytest.raises(RepositoryError) as caught:
        read_safetensors(saved, expected)
    message = str(caught.value)
    assert 'missing: "net.1.weight"' in message
    assert 'unexpected: "flag"' in message
    assert '"net.0.weight" has shape [3, 4] instead of [4, 3]' in message
    assert '"net.0.bias" has type int64 instead of float32' in message


def test_links_that_leave_are_refused(saved, tmp_path):
    inside = tmp_path / "other"
    inside.mkdir()
    (inside / "model.safetensors").symlink_to(saved)
    assert read_safetensors(inside / "model.safetensors").keys() == TENSORS.keys()
    with pytest.raises(RepositoryError, match="leads out of"):
        read_safetensors(inside / "model.safetensors", within=inside)

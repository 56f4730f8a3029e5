"""Whatever is wrong with a file from elsewhere becomes one error of ours that names the file."""

import json
import os
import tracemalloc
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causalplug.errors import RepositoryError
from causalplug.files.validation import check_keys, read_json, regular_file, safe_relative

EXHAUSTIVE = os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1"
CASES = settings(
    max_examples=2000 if EXHAUSTIVE else 150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def attempt(function, *arguments, **options):
    """Return the function's value and None, or None and the text of its RepositoryError."""
    try:
        return function(*arguments, **options), None
    except RepositoryError as error:
        return None, str(error)


GOOD_NAMES = [
    "a",
    "config.json",
    "modules/C+N.safetensors",
    ".gitattributes",
    "bilder/größe (1).png",
    "a..b",
]
BAD_NAMES = {
    "leaves the folder or has empty parts": [
        "..",
        "../a",
        "a/../../b",
        "a//b",
        "a/",
        "./a",
        "a/./b",
    ],
    "is not a relative path": ["/etc/passwd", "C:/x", "file:x", "//server/x"],
    "misread": [
        "a\\b",
        "..\\a",
        "a\0b",
        "a\nb",
        "a\x1b[2Jb",
        "a\u202eb",
        "a*",
        "a?",
        "<a>",
        "a|b",
        '"',
        "\ud800",
    ],
    "every system": ["con", "NUL.txt", "x/COM1.json", "a ", "a.", "...", "x. /y"],
    "too long": ["a" * 241, "a/" * 600 + "a", "ä" * 121],
    "not the text of a path": ["", None, 1, ["a"], b"a"],
}


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_safe_names(name):
    assert safe_relative(name) == name


@pytest.mark.parametrize(
    ("reason", "name"), [(reason, name) for reason, names in BAD_NAMES.items() for name in names]
)
def test_unsafe_names(reason, name):
    with pytest.raises(
        RepositoryError, match=f"(?s)^cannot load me/x: the file name .{{0,90}} .*{reason}"
    ) as caught:
        safe_relative(name, where="cannot load me/x")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@CASES
@given(st.text(alphabet=st.sampled_from("./\\:ab \0~-ü\u202e"), max_size=12) | st.text(max_size=20))
def test_accepted_names_stay_inside(name):
    try:
        assert safe_relative(name) == name
    except RepositoryError:
        return
    assert os.path.normpath(os.path.join("/root/folder", name)) == "/root/folder/" + name
    name.encode()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@CASES
@given(
    st.dictionaries(st.text(max_size=5), JSON, max_size=5),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_good_json_is_read_as_it_is(tmp_path, value, ascii_only, indent):
    path = tmp_path / "config.json"
    path.write_bytes(
        json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode(errors="surrogatepass")
    )
    assert read_json(path) == value


BAD_JSON = {
    b"": "not JSON: .* line 1",
    b"{": "not JSON",
    b'{"a": 1} x': "Extra data",
    b'{"a": 1, "a": 2}': 'key "a" appears twice',
    b'{"x": [{"b": 1, "b": 1}]}': 'key "b" appears twice',
    b'{"a": NaN}': "NaN is not a number",
    b'{"a": -Infinity}': "-Infinity is not a number",
    b'{"a": 1e999}': "1e999.* too large",
    b'{"a": 9223372036854775808}': "64 bits",
    b'{"a": ' + b"9" * 100_000 + b"}": "64 bits",
    b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}": "deeper than 64",
    b'{"a":' * 70 + b"1" + b"}" * 70: "deeper than 64",
    b"[" * 1_000_000: "deeper than 64",
    b"[1]": "top level is a list instead of an object",
    b"null": "top level is null",
    b'"text"': "top level is text",
    b'{"a": "\xff"}': "not UTF-8 at byte 7",
    b'\xef\xbb\xbf{"a": 1}': "not JSON",
    '{"a": 1}'.encode("utf-16"): "not UTF-8",
    b'{"a": "\\ud800"}': "lone surrogate",
    b'{"\\udfff": 1}': "lone surrogate",
    b"{'a': 1}": "not JSON",
    b'{"a": 1,}': "not JSON",
    b'{"a": "\x00"}': "not JSON",
    b'{"' + b'\\"' * 1_000_000: "not JSON",
    b'{"a": "' + b"x" * (5 << 20) + b'"}': "more than 4,194,304 bytes",
}


@pytest.mark.parametrize("number", range(len(BAD_JSON)))
def test_bad_json(tmp_path, number):
    data, message = list(BAD_JSON.items())[number]
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(RepositoryError, match=f"cannot read .*config.json: .*{message}") as caught:
        read_json(path)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_brackets_inside_text_do_not_count(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"a": "[" * 1000, '{"': '\\"[' * 1000}))
    assert read_json(path)["a"] == "[" * 1000


def test_json_memory_is_bounded(tmp_path):
    path = tmp_path / "config.json"
    for filling in ("{}", "[]", '""', "0.5", "1234567"):
        path.write_text('{"a": [' + ",".join([filling] * (40_000 // (len(filling) + 1))) + "]}")
        tracemalloc.start()
        read_json(path, max_bytes=50_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 50_000 + 30 * path.stat().st_size


@CASES
@given(st.data())
def test_mutated_json(tmp_path, data):
    """Flip, cut, repeat and insert bytes: the answer is ours, or what the standard reader also
    reads."""
    text = bytearray(
        json.dumps({"kind": "dcm", "graph": {"D": [1, 2.5, None]}, "ok": [True, "ä"]}).encode()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        operation = data.draw(st.sampled_from(["flip", "cut", "repeat", "insert"]))
        if operation == "flip":
            text[at] ^= 1 << data.draw(st.integers(0, 7))
        elif operation == "cut":
            del text[at : at + data.draw(st.integers(1, 8))]
        elif operation == "repeat":
            text[at:at] = text[at : at + 20]
        else:
            text[at:at] = data.draw(
                st.sampled_from(
                    [b"[" * 80, b"1e400", b"NaN", b'"a":1,', b"\xff", b"9" * 30, b"\\ud8aa"]
                )
            )
        text = text or bytearray(b" ")
    path = tmp_path / "config.json"
    path.write_bytes(text)
    value, refusal = attempt(read_json, path)
    if refusal is None:
        assert value == json.loads(text)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    else:
        assert str(path) in refusal


SCHEMA = {
    "kind": Literal["dcm", "adapter"],
    "version": int,
    "note?": str | None,
    "rate?": float,
    "edges?": list[str],
    "weights?": {str: {"size": int, "sha256": str}},
    "modules?": [{"name": str, "frozen?": bool}],
    "extra?": dict[str, list[int]],
    "any?": object,
}
FULL = {
    "kind": "dcm",
    "version": 1,
    "note": None,
    "rate": 1,
    "edges": ["a"],
    "weights": {"m": {"size": 1, "sha256": "00"}},
    "modules": [{"name": "a"}, {"name": "b", "frozen": True}],
    "extra": {"x": [1]},
    "any": [{}],
}


def test_schema_accepts_what_it_should():
    assert check_keys(FULL, SCHEMA, where="config.json") is FULL
    assert check_keys({"kind": "adapter", "version": 0}, SCHEMA, where="config.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"knid": "dcm"}, r'"knid" is unknown \(did you mean "kind"\?\)'),
        ({"zzz": "dcm"}, r'"zzz" is unknown \(known are any, edges, extra, kind, .*version'),
        ({"a\nb": 1}, r'"a\\nb" is unknown'),
        ({"nota": 1}, r'"nota" is unknown'),
        ({"kind": "dcn"}, r'"kind" is text \("dcn"\) instead of "dcm" or "adapter"'),
        ({"version": True}, r'"version" is true instead of an integer'),
        ({"version": 1.0}, r'"version" is a number instead of an integer'),
        ({"rate": "1"}, r'"rate" is text \("1"\) instead of a number'),
        ({"rate": False}, r'"rate" is false'),
        ({"note": 3}, r'"note" is an integer instead of text or null'),
        ({"edges": "a"}, r'"edges" is text .* instead of a list of text'),
        ({"edges": ["a", 1]}, r'"edges" is a list instead of a list of text'),
        ({"weights": []}, r'"weights" is a list instead of an object'),
        (
            {"weights": {"m": {"size": "1"}}},
            r'"weights\.m\.sha256" is missing; "weights\.m\.size" is text',
        ),
        (
            {"modules": [{"name": "a"}, {"nam": "b"}]},
            r'"modules\[1\]\.name" is missing; .*"nam" is unknown|did you mean "name"',
        ),
        ({"modules": {}}, r'"modules" is an object instead of a list'),
        (
            {"extra": {"x": [1, "2"]}},
            r'"extra" is an object instead of an object of a list of an integer',
        ),
    ],
)
def test_schema_names_what_is_wrong(change, message):
    with pytest.raises(RepositoryError, match=rf"^cannot use config\.json: .*{message}"):
        check_keys(FULL | change, SCHEMA, where="config.json")


def test_schema_lists_all_and_is_short():
    with pytest.raises(RepositoryError) as caught:
        check_keys({f"key{n}" * 100: n for n in range(5000)}, SCHEMA, where="config.json")
    message = str(caught.value)
    assert '"kind" is missing; "version" is missing' in message
    assert "more" in message
    assert len(message) < 2500
    with pytest.raises(
        RepositoryError, match=r"cannot use config\.json: it is a list instead of an object"
    ):
        check_keys([], SCHEMA, where="config.json")


@CASES
@given(st.data())
def test_schema_under_wrong_types(data):
    """Replace any value at any depth by another type: an error that names the place, or the type
    is allowed there."""
    value = json.loads(json.dumps(FULL))
    node, trail = value, []
    while True:
        key = data.draw(
            st.sampled_from(sorted(node) if isinstance(node, dict) else list(range(len(node))))
        )
        trail.append(key)
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            break
        node = node[key]
    before = node[key]
    node[key] = data.draw(
        st.sampled_from([None, True, 7, 0.5, "text", [], [7], ["a"], {}, {"a": 1}, [[]], {"a": {}}])
    )
    _, refusal = attempt(check_keys, value, SCHEMA, where="config.json")
    if refusal is None:
        free = trail[0] in ("any", "note", "rate")
        assert free or type(node[key]) is type(before) or node[key] in ([], {}) or before is None
    else:
        assert f'"{trail[0]}' in refusal


def test_files_must_be_plain_and_inside(tmp_path):
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "secret.json").write_text('{"secret": 1}')
    (inside / "real.json").write_text("{}")
    (inside / "link.json").symlink_to("real.json")
    (inside / "escape.json").symlink_to("../secret.json")
    (inside / "loop.json").symlink_to("loop.json")
    (inside / "folder.json").mkdir()
    (inside / "dangling.json").symlink_to("nowhere")
    os.mkfifo(inside / "pipe.json")
    assert read_json(inside / "link.json", within=inside) == {}
    assert regular_file(inside / "link.json", within=inside) == inside / "real.json"
    assert read_json(inside / "escape.json") == {"secret": 1}
    for name, message in [
        ("escape", "leads out of"),
        ("loop", "cannot be opened"),
        ("folder", "not a plain file"),
        ("pipe", "not a plain file"),
        ("dangling", "cannot be opened"),
        ("none", "is missing"),
    ]:
        with pytest.raises(
            RepositoryError, match=f"cannot read .*{name}.json: .*{message}"
        ) as caught:
            read_json(inside / f"{name}.json", within=inside)
        assert "secret" not in str(caught.value)


def test_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    path.write_text("{}")

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refuse)  # modes do not stop the superuser
    with pytest.raises(RepositoryError, match=r"cannot read .*config\.json: Permission denied"):
        read_json(path)

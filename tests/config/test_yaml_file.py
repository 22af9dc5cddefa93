"""YAML is read as plain text in a tree; whatever a reader could misunderstand is refused with its line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.config.yaml_file import read_yaml
from interlock.domain.errors import BadInput


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where a settings file may be written."""
    return tmp_path / "session.yaml"


def refusal_of(file: Path, content: str | bytes | None = None) -> str:
    """Return the one line with which a file is refused, from its file name on."""
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadInput) as refusal:
        read_yaml(file)
    line = str(refusal.value)
    assert "\n" not in line
    assert line.startswith(str(file))
    return line.removeprefix(f"{file.parent}/")


def test_mappings_lists_and_texts_are_read_as_they_stand(file: Path) -> None:
    file.write_text('a: x\nb:\n  - 1\n  - {c: "two words", d: []}\n"e f": |\n  two\n  lines\n# not this\n')
    assert read_yaml(file) == {"a": "x", "b": ["1", {"c": "two words", "d": []}], "e f": "two\nlines\n"}


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "on", "off", "NO", "true", "012", "0x1F", "0b1", "1_000", "1:30", "1e3", ".inf", ".NaN",
     "2026-01-05", "2026-01-05T08:00:00Z", "1.10", "+1", "=", "<<"],
)  # fmt: skip
def test_nothing_is_guessed_about_a_value(file: Path, text: str) -> None:
    """YAML would make a bool, an octal, sixties, a date or a float of these; here each stays the text it is."""
    file.write_text(f"key: {text}\nlist: [{text}]\n")
    assert read_yaml(file) == {"key": text, "list": [text]}


@pytest.mark.parametrize("value", ["", " null", " ~"])
def test_a_key_without_a_value_is_unset(file: Path, value: str) -> None:
    file.write_text(f"key:{value}\n")
    assert read_yaml(file) == {"key": None}


@pytest.mark.parametrize("value", ["", "null", "~"])
def test_in_quotes_the_same_is_text(file: Path, value: str) -> None:
    file.write_text(f'key: "{value}"\n')
    assert read_yaml(file) == {"key": value}


def test_a_key_is_a_text_too(file: Path) -> None:
    file.write_text("no: 1\n012: 2\n1_0: 3\n")
    assert read_yaml(file) == {"no": "1", "012": "2", "1_0": "3"}


REFUSED = {
    "a key twice": ("a: 1\nb: 2\na: 3\n", "session.yaml:3: the key 'a' stands here twice"),
    "a key twice below": ("a:\n  b: 1\n  b: 2\n", "session.yaml:3: the key 'b' stands here twice"),
    "a key twice in another quoting": ('a: 1\n"a": 2\n', "session.yaml:2: the key 'a' stands here twice"),
    "a key twice in a flow mapping": ("x:\n - {a: 1, a: 2}\n", "session.yaml:2: the key 'a' stands here twice"),
    "an anchor": ("a: 1\nb: &name 2\n", "session.yaml:2: anchors and aliases are not read here"),
    "an alias": ("a: &name 1\nb: *name\n", "session.yaml:1: anchors and aliases are not read here"),
    "an alias of nothing": ("a: 1\nb: *name\n", "session.yaml:2: is not YAML: found undefined alias"),
    "an anchor on the top": ("&top\na: 1\n", "anchors and aliases are not read here"),
    "a tag": ("a: 1\nb: !mine 2\n", "session.yaml:2: tags are not read here"),
    "a standard tag": ("a: !!int 5\n", "session.yaml:1: tags are not read here"),
    "an object": ("a: !!python/object/apply:os.system ['true']\n", "session.yaml:1: tags are not read here"),
    "an object on the top": ("!!python/object:os.Foo\na: 1\n", "tags are not read here"),
    "a tag on a list": ("a: 1\nb: !!set [x]\n", "session.yaml:2: tags are not read here"),
    "a list as a key": ("? [a, b]\n: 1\n", "session.yaml:1: a key is not plain text"),
    "a mapping as a key": ("a: 1\n? {b: c}\n: 1\n", "session.yaml:2: a key is not plain text"),
    "nothing": ("", "session.yaml: is empty (allowed: a mapping of settings)"),
    "only a comment": ("# later\n\n", "session.yaml: is empty (allowed: a mapping of settings)"),
    "a list on the top": ("- a\n- b\n", "session.yaml: holds a list (allowed: a mapping of settings)"),
    "a text on the top": ("hello\n", "session.yaml: holds a str (allowed: a mapping of settings)"),
    "a null on the top": ("~\n", "session.yaml: holds a NoneType (allowed: a mapping of settings)"),
    "two documents": ("a: 1\n---\nb: 2\n", "session.yaml:2: is not YAML: but found another document"),
    "a broken bracket": ("a: 1\nb: [1, 2\nc: 3\n", "session.yaml:3: is not YAML: "),
    "a broken quote": ('a: 1\nb: "open\n', "session.yaml:3: is not YAML: found unexpected end of stream"),
    "a tab": ("a:\n\tb: 1\n", "session.yaml:2: is not YAML: found character '\\t'"),
    "a wrong indent": ("a: 1\n  b: 2\n", "session.yaml:2: is not YAML: mapping values are not allowed here"),
    "no mapping": ("a: 1\nb\n", "session.yaml:3: is not YAML: could not find expected ':'"),
    "a control character": ("a: \x01\n", "session.yaml: is not YAML that can be read"),
    "a bad tag handle": ("a: !x!y 1\n", "session.yaml:1: is not YAML: found undefined tag handle"),
}


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_plain_tree_is_refused_in_one_line_with_its_place(file: Path, content: str, said: str) -> None:
    assert said in refusal_of(file, content)


@pytest.mark.spec("NFR-1")
def test_bytes_that_are_no_utf_8_are_named_by_their_place(file: Path) -> None:
    assert refusal_of(file, b"a: 1\nb: \xff\n") == "session.yaml: is not UTF-8 at byte 8"
    assert "UTF-8" in refusal_of(file, "a: 1\n".encode("utf-16"))


def test_a_byte_order_mark_is_no_part_of_the_first_key(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(file) == {"a": "1"}


@pytest.mark.spec("NFR-1")
def test_what_is_no_regular_file_is_refused_without_waiting(file: Path) -> None:
    assert refusal_of(file) == "session.yaml: is missing or no regular file (allowed: a YAML file)"
    file.mkdir()
    assert "is missing or no regular file" in refusal_of(file)
    pipe = file.parent / "pipe"
    os.mkfifo(pipe)
    assert "is missing or no regular file" in refusal_of(pipe)


@pytest.mark.spec("NFR-1")
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    for name in ("a\0b", "x" * 5000):
        with pytest.raises(BadInput) as refusal:
            read_yaml(tmp_path / name)
        assert "\n" not in str(refusal.value)


@pytest.mark.spec("NFR-1")
def test_a_file_that_may_not_be_read_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open that fails is played, since the owner of all files may read everything."""
    file.write_text("a: 1\n")

    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal_of(file) == "session.yaml: cannot be read: Permission denied"


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("extra", [0, 1])
def test_a_file_has_a_mebibyte_and_not_one_byte_more(file: Path, extra: int) -> None:
    content = b"a: 1\n#".ljust(1_048_576 + extra, b"x")
    if extra:
        assert refusal_of(file, content) == "session.yaml: is too large (allowed: 1048576 bytes)"
    else:
        file.write_bytes(content)
        assert read_yaml(file) == {"a": "1"}


@pytest.mark.spec("NFR-1")
def test_a_tree_has_twenty_levels_and_not_one_more(file: Path) -> None:
    file.write_text("a: " + "[" * 19 + "x" + "]" * 19)
    assert read_yaml(file)
    assert "session.yaml:1: is nested too deeply (allowed: 20 levels)" in refusal_of(
        file, "a: " + "[" * 20 + "x" + "]" * 20
    )


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_a_tree_deep_enough_to_break_a_reader_is_refused(file: Path, opening: str) -> None:
    assert refusal_of(file, "a:\n " + opening * 5000)


def test_a_billion_laughs_are_not_laughed(file: Path) -> None:
    """Aliases are refused before anything is built of them."""
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    assert "anchors and aliases are not read here" in refusal_of(file, "\n".join(lines))


@pytest.mark.spec("NFR-1")
@given(st.text(alphabet=st.sampled_from("ab:-[]{}#&*!|>?'\"%@` \n\t,0\\"), max_size=40))
def test_any_text_is_a_tree_or_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever comes, nothing but BadInput gets out."""
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text)
    try:
        read: object = read_yaml(file)
    except BadInput as refusal:
        read = str(refusal)
    assert isinstance(read, dict) or (isinstance(read, str) and "\n" not in read)

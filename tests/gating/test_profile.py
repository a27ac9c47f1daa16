"""Profiles as files: what is written is read back, and each mistake is one sentence that names the file and the key."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache import UserError
from gating.profile import MOST_BYTES, Profile, Vetoes, read_profile, write_profile

names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
sizes = st.one_of(st.just(0.0), st.floats(1e-6, 1e6), st.floats(-1e6, -1e-6))
tables = st.dictionaries(names, sizes, min_size=1, max_size=4)


@settings(max_examples=40)
@given(
    st.sampled_from([None, "add", "multiply", "replace"]),
    tables.filter(lambda table: any(table.values())),
    st.booleans(),
    st.sampled_from([None, True, False]),
    st.none() | st.builds(Vetoes, below=tables, cap=st.floats(-1e6, 1e6), unit=st.sampled_from(["rating", "reward"])),
    st.lists(names, max_size=3),
)
def test_a_file_is_read_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    mode: Any,
    weights: dict[str, float],
    as_direction: bool,
    renormalise: bool | None,
    vetoes: Vetoes | None,
    objectives: list[str],
) -> None:
    values = {"direction": weights} if as_direction else {"mode": mode, "weights": weights}
    profile = Profile(name="mine", renormalise=renormalise, vetoes=vetoes, objectives=tuple(objectives), **values)
    path = tmp_path_factory.getbasetemp() / "mine.toml"
    path.write_text(profile.toml(), encoding="utf-8")
    assert read_profile(path) == profile
    assert Profile.model_validate(profile.model_dump(mode="json")) == profile


def test_a_file_as_people_write_it(tmp_path: Path) -> None:
    path = tmp_path / "careful.toml"
    path.write_text(
        """
        [profile]
        name = "careful"
        mode = "multiply"
        renormalise = false
        weights = { helpsteer-verbosity = 0, "beavertails-is_safe" = 2 }
        vetoes = { below = { beavertails-is_safe = 0.3 }, cap = -1.0 }
        """
    )
    expected = Profile(
        name="careful",
        mode="multiply",
        renormalise=False,
        weights={"helpsteer-verbosity": 0.0, "beavertails-is_safe": 2.0},
        vetoes=Vetoes(below={"beavertails-is_safe": 0.3}, cap=-1.0),
    )
    assert read_profile(path) == expected
    write_profile(path, expected)
    assert read_profile(path) == expected
    assert [file.name for file in tmp_path.iterdir()] == ["careful.toml"]
    with pytest.raises(UserError, match="cannot be written"):
        write_profile(path / "below", expected)


WRONG = {
    "name = 'a'": "the profile changes nothing: give weights, a direction or vetoes",
    "weights = {}": "the profile changes nothing",
    "weights = { a = nan }": "weights.a: Input should be a finite number",
    "weights = { a = -inf }": "weights.a: Input should be a finite number",
    "weights = { a = true }": "weights.a: Input should be a valid number",
    "weights = { a = '1' }": "weights.a: Input should be a valid number",
    "weights = { a = 1e9 }": "weights.a: 1e+09 is neither 0 nor between 1e-06 and 1e+06 in size",
    "weights = { a = 1e-9 }": "weights.a: 1e-09 is neither 0 nor between",
    "weights = { '' = 1 }": "'' cannot be the name of an objective",
    'weights = { "a\\u0007" = 1 }': "cannot be the name of an objective",
    "weights = { a = 1 }\ndirection = { a = 1 }": "weights and direction contradict each other: give one of them",
    "direction = { a = 1 }\nmode = 'add'": "a direction replaces the gate's weights, and mode is 'add': leave mode out",
    "direction = { a = 0, b = 0 }": "every coordinate of the direction is 0",
    "mode = 'replace'\nweights = { a = 0 }": "mode 'replace' needs a weight that is not 0",
    "mode = 'scale'\nweights = { a = 1 }": "mode: Input should be 'add', 'multiply' or 'replace'",
    "mode = 'add'\nvetoes = { below = { a = 1 }, cap = 0 }": "mode and renormalise say nothing without weights",
    "vetoes = { below = {}, cap = 0 }": "vetoes.below: ",
    "vetoes = { below = { a = 1 } }": "vetoes.cap: Field required",
    "vetoes = { below = { a = nan }, cap = 0 }": "vetoes.below.a: Input should be a finite number",
    "vetoes = { below = { a = 1 }, cap = nan }": "vetoes.cap: Input should be a finite number",
    "name = 'gate'\nweights = { a = 1 }": "name: 'gate' is no name of a profile: choose another",
    "name = 'a.toml'\nweights = { a = 1 }": "name: 'a.toml' is no name of a profile",
    "name = '../up'\nweights = { a = 1 }": "name: String should match pattern",
    "weight = { a = 1 }": "weight: Extra inputs are not permitted",
}


@pytest.mark.parametrize(("text", "sentence"), WRONG.items())
def test_a_mistake_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[profile]\n" + text)
    with pytest.raises(UserError) as refused:
        read_profile(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[profile", "is no TOML"),
        (b"\xff", "is no TOML"),
        (b"a = 1\n[profile]\n", "is no profile: write one table, [profile], and nothing beside it"),
        (b"profile = 1", "is no profile"),
        (b"", "is no profile"),
        (b"#" * (MOST_BYTES + 1), "has more than 262,144 bytes"),
        (b"x = " + b"[" * 5000, "is no TOML"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_file_that_is_no_profile(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_profile(path)
    assert sentence in str(refused.value)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_a_table_with_too_many_keys_is_counted_and_not_read() -> None:
    for values in ({"weights": {str(number): "x" for number in range(2000)}}, {str(key): 1 for key in range(2000)}):
        with pytest.raises(ValueError, match="more than") as refused:
            Profile.model_validate(values)
        assert str(refused.value).startswith("1 validation error")

"""Where the project's root, its configuration file and its records are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attune_monitoring.config import find_config_file, find_storage_dir, load_config, project_root
from attune_monitoring.errors import ConfigError

as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="giving a folder to another user needs root"
)
STRANGER = 54321


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A project's root with a folder two levels below it."""
    folder = tmp_path / "project"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    return folder


def test_the_root_is_the_nearest_folder_with_git_or_pyproject(top: Path) -> None:
    assert project_root(top / "a" / "b", {}) == top
    (top / "a" / ".git").write_text("gitdir: elsewhere")  # a worktree has a file there
    assert project_root(top / "a" / "b", {}) == top / "a"


def test_there_is_no_root_at_or_above_the_home_folder(top: Path) -> None:
    assert project_root(top / "a" / "b", {"HOME": str(top)}) is None
    assert project_root(top / "a" / "b", {"USERPROFILE": str(top / "a")}) is None
    assert project_root(top, {"HOME": str(top)}) == top


def test_the_root_of_the_file_system_is_no_root_of_a_project_below_it(tmp_path: Path) -> None:
    assert project_root(tmp_path, {}) is None
    assert find_storage_dir(Path(tmp_path.anchor), {}) == Path(tmp_path.anchor) / ".empathy"


def test_a_new_folder_is_made_at_the_root(top: Path) -> None:
    assert find_storage_dir(top / "a" / "b", {}) == top / ".empathy"
    assert not (top / ".empathy").exists()


def test_the_nearest_folder_up_to_the_root_is_used(top: Path) -> None:
    (top / ".empathy").mkdir()
    assert find_storage_dir(top / "a" / "b", {}) == top / ".empathy"
    (top / "a" / ".empathy").mkdir()
    assert find_storage_dir(top / "a" / "b", {}) == top / "a" / ".empathy"


def test_a_folder_above_the_root_is_not_used(top: Path) -> None:
    (top.parent / ".empathy").mkdir()
    assert find_storage_dir(top / "a", {}) == top / ".empathy"


def test_without_a_root_only_the_working_directory_counts(tmp_path: Path) -> None:
    (tmp_path / ".empathy").mkdir()
    (tmp_path / "x").mkdir()
    assert find_storage_dir(tmp_path / "x", {}) == tmp_path / "x" / ".empathy"


def test_a_root_in_the_home_folder_is_not_climbed_to(top: Path) -> None:
    (top / ".empathy").mkdir()
    assert find_storage_dir(top / "a", {"HOME": str(top)}) == top / "a" / ".empathy"


def test_a_link_is_passed_over(top: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (top / "a" / ".empathy").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert find_storage_dir(top / "a", {}) == top / ".empathy"


def test_a_file_of_that_name_is_passed_over(top: Path) -> None:
    (top / "a" / ".empathy").touch()
    assert find_storage_dir(top / "a", {}) == top / ".empathy"


def test_where_the_root_has_a_link_the_working_directory_is_used(top: Path, tmp_path: Path) -> None:
    (top / ".empathy").symlink_to(tmp_path / "nowhere")
    assert find_storage_dir(top / "a", {}) == top / "a" / ".empathy"


def test_where_no_place_is_left_the_error_says_what_to_do(top: Path) -> None:
    (top / ".empathy").touch()
    with pytest.raises(ConfigError) as raised:
        find_storage_dir(top, {})
    told = (
        f"{top / '.empathy'}: is a link, a file or another user's folder; set EMPATHY_STORAGE_DIR to a folder of yours"
    )
    assert raised.value.problems == [told]
    with pytest.raises(ConfigError, match="EMPATHY_STORAGE_DIR"):
        load_config(env={}, cwd=top)


@as_root
def test_a_folder_of_another_user_is_passed_over(top: Path) -> None:
    (top / "a" / ".empathy").mkdir()
    os.chown(top / "a" / ".empathy", STRANGER, STRANGER)
    (top / ".empathy").mkdir()
    assert find_storage_dir(top / "a" / "b", {}) == top / ".empathy"
    os.chown(top / ".empathy", STRANGER, STRANGER)
    assert find_storage_dir(top / "a" / "b", {}) == top / "a" / "b" / ".empathy"


def test_the_variable_goes_before_everything(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (top / ".empathy").mkdir()
    assert find_storage_dir(top / "a", {"EMPATHY_STORAGE_DIR": "here"}) == top / "a" / "here"
    assert find_storage_dir(top / "a", {"EMPATHY_STORAGE_DIR": str(top / "x")}) == top / "x"
    monkeypatch.setenv("HOME", str(top))
    assert find_storage_dir(top / "a", {"EMPATHY_STORAGE_DIR": "~/y"}) == top / "y"


def test_the_home_of_a_user_that_does_not_exist_is_a_folder_of_that_name(top: Path) -> None:
    assert find_storage_dir(top, {"EMPATHY_STORAGE_DIR": "~nobody-here/x"}) == top / "~nobody-here" / "x"
    assert load_config(env={}, cwd=top, storage_dir="~nobody-here").storage_dir == top / "~nobody-here"


def test_the_storage_folder_comes_from_argument_variable_file_search_in_this_order(top: Path) -> None:
    here = top / "a"
    assert load_config(env={}, cwd=here).storage_dir == top / ".empathy"
    (top / "monitoring.yaml").write_text("storage_dir: data")
    assert load_config(env={}, cwd=here).storage_dir == top / "data"
    env = {"EMPATHY_STORAGE_DIR": "env"}
    assert load_config(env=env, cwd=here).storage_dir == here / "env"
    assert load_config(env=env, cwd=here, storage_dir="code").storage_dir == here / "code"
    assert load_config(env=env, cwd=here, storage_dir=top / "code").storage_dir == top / "code"


def test_the_nearest_configuration_file_up_to_the_root_is_found(top: Path) -> None:
    assert find_config_file(top / "a" / "b", {}) is None
    (top.parent / "monitoring.yaml").touch()
    assert find_config_file(top / "a" / "b", {}) is None
    (top / "monitoring.yml").touch()
    assert find_config_file(top / "a" / "b", {}) == top / "monitoring.yml"
    (top / "monitoring.yaml").touch()
    assert find_config_file(top / "a" / "b", {}) == top / "monitoring.yaml"
    (top / "a" / "monitoring.yml").touch()
    assert find_config_file(top / "a" / "b", {}) == top / "a" / "monitoring.yml"


def test_a_folder_of_that_name_is_no_configuration_file(top: Path) -> None:
    (top / "a" / "monitoring.yaml").mkdir()
    (top / "monitoring.yaml").touch()
    assert find_config_file(top / "a", {}) == top / "monitoring.yaml"


def test_a_configuration_file_may_be_a_link(top: Path, tmp_path: Path) -> None:
    (tmp_path / "mounted.yaml").touch()
    (top / "monitoring.yaml").symlink_to(tmp_path / "mounted.yaml")
    assert find_config_file(top, {}) == top / "monitoring.yaml"


def test_the_variable_names_the_file_whether_it_exists_or_not(top: Path) -> None:
    (top / "monitoring.yaml").touch()
    assert find_config_file(top, {"EMPATHY_CONFIG": "other.yaml"}) == top / "other.yaml"
    assert find_config_file(top, {"EMPATHY_CONFIG": ""}) == top / "monitoring.yaml"
    assert find_config_file(top, {"EMPATHY_CONFIG": os.devnull}) is None


@as_root
def test_a_file_that_a_stranger_put_into_an_open_folder_is_passed_over(top: Path) -> None:
    (top / "monitoring.yaml").touch()
    os.chown(top / "monitoring.yaml", STRANGER, STRANGER)
    assert find_config_file(top, {}) == top / "monitoring.yaml"
    top.chmod(0o1777)
    assert find_config_file(top, {}) is None
    os.chown(top / "monitoring.yaml", 0, 0)
    assert find_config_file(top, {}) == top / "monitoring.yaml"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of this kind are not on Windows")
def test_folders_that_cannot_be_read_are_passed_over(top: Path) -> None:
    user = os.geteuid()
    top.chmod(0o000)
    try:
        if user == 0:
            os.seteuid(STRANGER)
        assert find_config_file(top / "a" / "b", {}) is None
        assert find_storage_dir(top / "a" / "b", {}) == top / "a" / "b" / ".empathy"
    finally:
        os.seteuid(user)
        top.chmod(0o755)

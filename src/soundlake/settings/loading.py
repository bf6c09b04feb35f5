"""Reads the settings of this process, and hands variables to child processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from soundlake.errors import SettingsError
from soundlake.settings.deployment import Settings, list_groups
from soundlake.settings.groups import SettingsGroup

G = TypeVar("G", bound=SettingsGroup)

HOME_SETTINGS = "settings.env"
"""A home may carry the settings that belong to it; `soundlake up` writes them."""


def load_settings(*, with_home: bool = True, **overrides: object) -> Settings:
    """The settings of this process: from the environment, then the home's own file (if `with_home`), then `.env`.

    Raises SettingsError naming each variable whose value is invalid.
    """
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]  # overrides are checked by the model itself
        own = settings.home.expanduser() / HOME_SETTINGS
        return Settings(_env_file=(".env", own), **overrides) if with_home and own.is_file() else settings  # type: ignore[arg-type]  # the same
    except ValidationError as cause:
        wrong = "; ".join(f"{_find_variable(cause.title, str(error['loc'][0]))}: {error['msg']}" for error in cause.errors())
        raise SettingsError(wrong, next_step="correct it in the environment or in .env; .env.example lists all settings") from cause


def list_variables() -> dict[str, FieldInfo]:
    """Every variable of the environment that is read, with its field."""
    groups = list_groups()
    own = {name: field for name, field in Settings.model_fields.items() if name not in groups}
    found = {_name_variable(Settings, name): field for name, field in own.items()}
    return found | {_name_variable(group, name): field for group in groups.values() for name, field in group.model_fields.items()}


def apply_variables(settings: Settings, variables: Mapping[str, str]) -> Settings:
    """A copy in which these variables have these values, checked like all others; unknown variables are ignored."""
    groups = {name: _apply_to_group(getattr(settings, name), variables) for name in list_groups()}
    return _apply_to_group(settings.model_copy(update=groups), variables)


def set_variable(name: str, value: str, *, unless_set: bool = False) -> None:
    """Set a variable for this process and its future children; with `unless_set` only if it has no value yet."""
    if not (unless_set and name in os.environ):
        os.environ[name] = value


def locate_variable(name: str, home: Path) -> str | None:
    """What sets a variable of a deployment with this home: "the environment", or the path of a file; None: nothing does."""
    if name in os.environ:
        return "the environment"
    files = (home / HOME_SETTINGS, Path(".env").absolute())
    return next((str(path) for path in files if name in dotenv_values(path)), None)


def extend_environment(additions: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child process: this process's, with additions."""
    return {**os.environ, **additions}


def _apply_to_group(group: G, variables: Mapping[str, str]) -> G:
    kind = type(group)
    given = {name: variables[variable] for name in kind.model_fields if (variable := _name_variable(kind, name)) in variables}
    return kind(_env_file=None, **{**dict(group), **given})


def _name_variable(group: type[SettingsGroup], field: str) -> str:
    alias = group.model_fields[field].validation_alias
    return str(alias) if alias else f"{group.model_config['env_prefix']}{field}".upper()


def _find_variable(model: str, place: str) -> str:
    """The variable behind a validation error of a model; `place` is a field's name or already its alias."""
    models: tuple[type[SettingsGroup], ...] = (Settings, *list_groups().values())
    groups = {group.__name__: group for group in models}
    return _name_variable(groups[model], place) if place in groups[model].model_fields else place

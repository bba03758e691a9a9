"""Configurations: a TOML file with the tables [fit], [data] and [model], a run's config.json, or a mapping."""

import dataclasses
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlbprob.errors import InputError, printable, suggestion
from nlbprob.model_file import find_model, is_path, typed_options
from nlbprob.options import DATA, read_table
from nlbprob.run_config import OPTIONS

TABLES = ("fit", "data", "model")
#: The record of a run's settings in its folder.
RUN_FILE = "config.json"


@dataclasses.dataclass(frozen=True)
class Configuration:
    """What a configuration sets.

    Args:
        where: what messages call it.
        fit: the table [fit], as it stands there; each value was looked at.
        data: options of `nlbprob.load`, read.
        model: the table [model], as it stands there, its keys in snake case.
        folder: where its relative paths start; None: in the folder of work.
        loose: the data options that stand in no table.
        run: the folder of the run whose configuration it is.
    """

    where: str = "config"
    fit: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    folder: Path | None = None
    loose: tuple[str, ...] = ()
    run: Path | None = None

    def path(self, name: str) -> str:
        """A path that stands in the configuration, from the folder of work."""
        name = os.path.expanduser(name)
        return name if self.folder is None else os.path.join(self.folder, name)


def read_configuration(config: Any) -> Configuration:
    """Read a configuration.

    Data options may stand in no table, too, which is how they stand in a mapping.

    Args:
        config: a TOML file; a run's folder or its config.json; a JSON file of the same tables; or a mapping; None sets
            nothing.

    Raises:
        InputError: the file is not TOML or JSON, a table or a data option is unknown or of the wrong kind.
        FileNotFoundError: there is no such file.
    """
    if config is None:
        return Configuration()
    if isinstance(config, Mapping):
        return tables(config, "config")
    if not isinstance(config, str | os.PathLike):
        raise InputError(
            f"config: {type(config).__name__} is no configuration; name a TOML file, or give a mapping of options."
        )
    path = Path(config)
    if path.is_dir():
        path = path / RUN_FILE
    if not path.is_file():
        raise FileNotFoundError(
            printable(
                f"config: there is no file {path}; name a TOML file with options such as bin-ms = 5, or a run's folder."
            )
        )
    content = parsed(path)
    if path.suffix == ".json" and "settings" in content:
        if "committee" in content:
            raise InputError(
                f"{path}: is of an average of runs; name that of a member, such as members/NAME/config.json."
            )
        return dataclasses.replace(of_run(content["settings"], str(path)), run=path.parent)
    return dataclasses.replace(tables(content, str(path)), folder=path.parent)


def parsed(path: Path) -> dict[str, Any]:
    """The content of a TOML or a JSON file. Raises InputError where it is neither."""
    kind = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a {kind} file ({error}); write options such as bin-ms = 5.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no tables; name a configuration, or the config.json of a run.")
    return content


def of_run(settings: Any, where: str) -> Configuration:
    """The configuration that repeats a run, from the settings in its config.json."""
    if not isinstance(settings, Mapping):
        raise InputError(f"{where}: 'settings' is no table; name the config.json of a run.")
    run_tables = {"data": flat(settings.get("data_options") or {}), "model": settings.get("model_options") or {}}
    fit = {name: value for name, value in settings.items() if name not in ("data_options", "model_options")}
    read_table(fit, OPTIONS, where, "setting")
    return dataclasses.replace(tables(run_tables, where), fit=fit)


def tables(content: Mapping[Any, Any], where: str) -> Configuration:
    """The tables of a configuration's content. Raises InputError for what is none of them."""
    for name in TABLES:
        if not isinstance(content.get(name, {}), Mapping):
            raise InputError(f"{where}: {name} is not a table; write [{name}] and the options below it.")
    loose = {key: value for key, value in content.items() if key not in TABLES}
    for key, value in loose.items():
        if isinstance(value, Mapping):
            raise InputError(f"{where}: no table {key!r}. {suggestion(str(key), TABLES)}")
        if str(key).replace("-", "_") not in DATA:
            raise InputError(
                f"{where}: no data option {key!r} (options of the fit stand below [fit], those of the model below "
                f"[model]). {suggestion(str(key).replace('-', '_'), DATA)}"
            )
    check_places(content, where)
    loose_options = read_table(loose, DATA, where, "data option")
    data_table = read_table(content.get("data", {}), DATA, f"{where}, [data]", "data option")
    if twice := sorted(loose_options.keys() & data_table.keys()):
        raise InputError(f"{where}: {twice[0]!r} stands in [data] and outside of it; leave one out.")
    model = {str(key).replace("-", "_"): value for key, value in content.get("model", {}).items()}
    if len(model) < len(content.get("model", {})):
        raise InputError(f"{where}, [model]: an option stands there twice, with - and with _; leave one out.")
    read_table(content.get("fit", {}), OPTIONS, f"{where}, [fit]", "option of the fit")
    return Configuration(where, content.get("fit", {}), loose_options | data_table, model, loose=tuple(loose_options))


def check_places(content: Mapping[Any, Any], where: str) -> None:
    """Raise InputError where an option stands in a table whose options it is none of, but is one of another table."""
    tables_apart = ("fit", "option of the fit", OPTIONS, "data", DATA), ("data", "data option", DATA, "fit", OPTIONS)
    for table, kind, own, other, others in tables_apart:
        for key in content.get(table, {}):
            name = str(key).replace("-", "_")
            if name not in own and name in others:
                raise InputError(f"{where}, [{table}]: no {kind} {name!r}; it is one of [{other}]: write it there.")


def check_model(config: Configuration) -> None:
    """Raise InputError where [model] sets what the model that [fit] names has no option for, or no such value of.

    A model that cannot be found is left to whoever fits it.
    """
    model = config.fit.get("model")
    if not config.model or model is None or config.run is not None:
        return
    try:
        file = find_model(config.path(model) if is_path(model) else model)
    except (FileNotFoundError, InputError):
        return
    typed_options(file, dict(config.model), f"{config.where}, [model]")


def flat(data: Any) -> Any:
    """Data options of which some stand in "config", which is how runs once recorded those of a configuration file."""
    inner = data.get("config") if isinstance(data, Mapping) else None
    if not isinstance(inner, Mapping):
        return data
    inner_options = inner.get("data", inner)
    inner_options = (
        {str(key).replace("-", "_"): value for key, value in inner_options.items()}
        if isinstance(inner_options, Mapping)
        else {}
    )
    return inner_options | {key: value for key, value in data.items() if key != "config"}

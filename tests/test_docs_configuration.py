"""`docs/configuration.md` knows every key, with its type, its default and its variables."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from synapse.module_api.errors import ConfigError

from .configurations import settings_to_serve
from .pythons import ROOT
from .sections import code, rows

pytestmark = pytest.mark.usefixtures("without_vault_in_the_environment")

PAGE = "configuration.md"

SMALLEST = {
    "vault_url": "http://127.0.0.1:8200",
    "vault_token": "TheTokenOfTheModule",
    "vault_path_root": "matrix/users",
}

METHODS: dict[str, dict[str, object]] = {
    "approle": {"role_id": "r", "secret_id": "s"},
    "kubernetes": {"role": "r"},
    "jwt": {"jwt": "j"},
    "cert": {},
    "userpass": {"username": "u", "password": "p"},
    "proxy": {},
}
"""What each auth method cannot do without, where it can be written into the configuration."""

OF_THE_MODULE = rows(PAGE, "Vault") + rows(PAGE, "Logins")
OF_AUTH = rows(PAGE, "Logging in to Vault")
OF_TLS = rows(PAGE, "TLS")
OF_CACHE = rows(PAGE, "Cache")
OF_MAS = rows(PAGE, "Matrix Authentication Service")

MAS: dict[str, object] = {
    "admin_api": "http://127.0.0.1:8081",
    "client_id": "0000000000000000000SYNAPSE",
    "client_secret": "TheSecretOfTheClient",
}
"""What `mas` cannot do without."""

Row = dict[str, str]


def within(mapping: str | None, content: dict[str, object], **changes: object) -> dict[str, object]:
    """Return a configuration with this content in one of its mappings, or at its top."""
    config: dict[str, object] = {**SMALLEST, **changes}
    if mapping is None:
        return {**config, **content}
    if mapping == "vault_auth":
        del config["vault_token"]
    return {**config, mapping: content}


def keys(table: list[Row]) -> set[str]:
    return {key for row in table for key in code(row["Key"])}


def known_keys(mapping: str | None, content: dict[str, object]) -> set[str]:
    """Return what the code says of itself when it is given a key like none of its own."""
    with pytest.raises(ConfigError) as caught:
        settings_to_serve(within(mapping, {**content, "qqqqqqqqq": 0}))
    _, found, listed = caught.value.msg.partition("unknown key; known keys: ")
    assert found, caught.value.msg
    return set(listed.split(", "))


@pytest.mark.parametrize(
    ("mapping", "table"),
    [(None, OF_THE_MODULE), ("vault_tls", OF_TLS), ("cache", OF_CACHE), ("mas", OF_MAS)],
    ids=["module", "vault_tls", "cache", "mas"],
)
def test_the_keys_are_those_that_the_code_knows(mapping: str | None, table: list[Row]) -> None:
    assert keys(table) == known_keys(mapping, {})
    assert len(table) == len(keys(table))


@pytest.mark.parametrize("method", METHODS)
def test_the_keys_of_each_method_are_those_that_the_code_knows(method: str) -> None:
    documented = [row for row in OF_AUTH if row["For"] == "all" or method in code(row["For"])]
    assert keys(documented) == known_keys("vault_auth", {"method": method})
    assert len(documented) == len(keys(documented))


def test_all_methods_are_documented() -> None:
    (row,) = (row for row in OF_AUTH if row["Key"] == "`method`")
    assert set(code(row["Meaning"])) == set(METHODS)


OTHERS: dict[str, list[object]] = {
    "duration": ["7s"],
    "whole number": [7],
    "boolean": [True, False],
    "string": ["other"],
    "`auto`, `1` or `2`": [1, "2"],
}
"""Values of each type, one of which at least is not the default."""

WRONG: dict[str, tuple[object, str]] = {
    "duration": ("soon", '"250ms", "5s", "10m" or "1h"'),
    "whole number": (1.5, "must be a whole number"),
    "boolean": ("yes", "must be true or false"),
    "string": (5, "must be a string"),
    "path": (5, "must be a string"),
    "mapping": ("x", "must be a mapping"),
    "string, or list of strings": (5, "must be a string"),
    "`auto`, `1` or `2`": (3, "must be auto, 1 or 2"),
}


def every_row() -> list[Any]:
    found: list[tuple[str | None, dict[str, object], Row]] = [
        *((None, {}, row) for row in OF_THE_MODULE),
        *(("vault_tls", {}, row) for row in OF_TLS),
        *(("cache", {}, row) for row in OF_CACHE),
        *(("mas", MAS, row) for row in OF_MAS),
    ]
    for row in OF_AUTH:
        methods = ["approle"] if row["For"] == "all" else code(row["For"])
        # Two methods need files, and have no key that another one does not have.
        found += [
            ("vault_auth", {"method": method, **METHODS[method]}, row)
            for method in methods
            if method not in ("kubernetes", "cert")
        ]
    return [
        pytest.param(mapping, content, row, id=f"{mapping or 'module'}-{code(row['Key'])[0]}")
        for mapping, content, row in found
    ]


@pytest.mark.parametrize(("mapping", "content", "row"), every_row())
def test_a_documented_default_is_what_an_absent_key_means(
    mapping: str | None, content: dict[str, object], row: Row
) -> None:
    (key,) = code(row["Key"])
    default = code(row["Default"])
    if not default or row["Default"] != f"`{default[0]}`":
        return  # None, or told in words.
    absent = {name: value for name, value in content.items() if name != key}
    meant = repr(settings_to_serve(within(mapping, absent)))
    written = yaml.safe_load(default[0])
    assert repr(settings_to_serve(within(mapping, {**absent, key: written}))) == meant
    others = [
        repr(settings_to_serve(within(mapping, {**absent, key: other})))
        for other in OTHERS[row["Type"]]
        if other != written
    ]
    assert others
    assert meant not in others


@pytest.mark.parametrize(("mapping", "content", "row"), every_row())
def test_the_documented_type_is_the_one_that_is_taken(
    mapping: str | None, content: dict[str, object], row: Row
) -> None:
    (key,) = code(row["Key"])
    value, expectation = WRONG[row["Type"]]
    with pytest.raises(ConfigError) as caught:
        settings_to_serve(within(mapping, {**content, key: value}))
    assert caught.value.msg.startswith(f"{mapping}.{key}: " if mapping else f"{key}: ")
    assert expectation in caught.value.msg


@pytest.mark.parametrize("row", OF_THE_MODULE, ids=lambda row: str(row["Key"]))
def test_required_is_what_cannot_be_left_out(row: Row) -> None:
    (key,) = code(row["Key"])
    config = {name: value for name, value in SMALLEST.items() if name != key}
    if "required" in row["Default"]:
        with pytest.raises(ConfigError, match=f"^{key}: required"):
            settings_to_serve(config)
    else:
        settings_to_serve(config)


def test_the_bounds_of_whole_numbers_are_those_documented() -> None:
    for mapping, table in ((None, OF_THE_MODULE), ("cache", OF_CACHE)):
        for row in table:
            if row["Type"] != "whole number":
                continue
            (key,) = code(row["Key"])
            (most,) = re.findall(r"from 1 to (\d+)", row["Meaning"])
            for good in (1, int(most)):
                settings_to_serve(within(mapping, {key: good}))
            for bad in (0, int(most) + 1):
                with pytest.raises(ConfigError, match=f"from 1 to {most}"):
                    settings_to_serve(within(mapping, {key: bad}))


def test_the_service_account_is_looked_for_where_the_page_says() -> None:
    (row,) = (row for row in OF_AUTH if row["Key"] == "`jwt_file`" and "kub" in row["For"])
    (path,) = code(row["Default"])
    config = within("vault_auth", {"method": "kubernetes", **METHODS["kubernetes"]})
    with pytest.raises(ConfigError, match=re.escape(f"cannot read {path}: ")):
        settings_to_serve(config)


def variables() -> list[Any]:
    return [
        pytest.param(mapping, row, variable, id=variable)
        for mapping, table in ((None, OF_THE_MODULE), ("vault_tls", OF_TLS))
        for row in table
        for variable in code(row.get("Environment", ""))
    ]


@pytest.mark.parametrize(("mapping", "row", "variable"), variables())
def test_a_documented_variable_is_obeyed(
    monkeypatch: pytest.MonkeyPatch, mapping: str | None, row: Row, variable: str
) -> None:
    (key,) = code(row["Key"])
    config = {name: value for name, value in within(mapping, {}).items() if name != key}
    # No address, no token, no namespace, no path of a file and no boolean.
    monkeypatch.setenv(variable, "\u00e9/nowhere")
    with pytest.raises(ConfigError) as caught:
        settings_to_serve(config)
    # A certificate without its key, and the other way round, is told of the one that is missing.
    pair = ["vault_tls.client_cert", "vault_tls.client_key"] if key.startswith("client_") else []
    assert caught.value.path is not None
    assert caught.value.path[0] in [variable, *pair]


def test_the_page_knows_all_variables() -> None:
    documented = {param.values[2] for param in variables()}
    read = {
        name
        for source in (ROOT / "src" / "settings").glob("*.rs")
        # Proxies have no key.
        if source.name not in ("tests.rs", "provisioning.rs", "proxies.rs")
        for name in re.findall(r'"((?:VAULT|BAO)_[A-Z_]+)"', source.read_text())
    }
    assert read
    assert documented == read

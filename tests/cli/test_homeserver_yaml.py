"""What is read from Synapse's own configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from synapse.config._base import find_config_files, read_config_files
from synapse_vault_auth_provider.cli.failure import CommandError
from synapse_vault_auth_provider.cli.homeserver_yaml import HomeserverYaml

if TYPE_CHECKING:
    from pathlib import Path

HTTP = {"type": "http", "port": 8008, "resources": [{"names": ["client", "federation"]}]}
LOCAL = {**HTTP, "bind_addresses": ["127.0.0.1"]}
MODULE = {"module": "synapse_vault_auth_provider.VaultAuthProvider", "config": {"vault_url": "x"}}
OF_2018 = {**MODULE, "module": "synapse-vault-auth-provider.VaultAuthProvider"}


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_files_are_merged_as_synapse_merges_them(tmp_path: Path) -> None:
    paths = [
        written(
            tmp_path / "first.yaml", "server_name: first.org\nreport_stats: false\npublic: 1\n"
        ),
        written(tmp_path / "conf.d" / "b.yaml", "registration_shared_secret: from b\n").parent,
        written(tmp_path / "conf.d" / ".hidden.yaml", "public_baseurl: https://hidden\n").parent,
        written(tmp_path / "last.yml", "server_name: last.org\nmodules: []\n"),
        written(tmp_path / "empty.yaml", ""),
        written(tmp_path / "list.yaml", "[server_name]"),
    ]
    written(tmp_path / "conf.d" / "a.yaml", "registration_shared_secret: from a\nmodules: [1]\n")
    written(tmp_path / "conf.d" / "c.yml", "registration_shared_secret: from c\n")
    (tmp_path / "conf.d" / "d.yaml").mkdir()
    ours = HomeserverYaml.read(paths)
    synapses = read_config_files(find_config_files([str(path) for path in paths]))
    assert ours.server_name == synapses["server_name"] == "last.org"
    secret = synapses["registration_shared_secret"]
    assert ours.registration_shared_secret == secret == "from b"
    assert ours.url == synapses["public_baseurl"] == "https://hidden"
    assert ours.module() is None


def test_nothing_is_known_without_a_file() -> None:
    nothing = HomeserverYaml.read([])
    assert nothing.server_name is None
    assert nothing.registration_shared_secret is None
    assert nothing.registration_shared_secret_path is None
    assert nothing.url is None
    assert nothing.module() is None


@pytest.mark.parametrize(
    ("listeners", "url"),
    [
        ([LOCAL], "http://127.0.0.1:8008"),
        ([HTTP], "http://127.0.0.1:8008"),
        ([{**HTTP, "bind_addresses": ["0.0.0.0"]}], "http://127.0.0.1:8008"),
        ([{**HTTP, "bind_addresses": ["::", "0.0.0.0"]}], "http://127.0.0.1:8008"),
        ([{**HTTP, "bind_addresses": ["::1", "127.0.0.1"]}], "http://127.0.0.1:8008"),
        ([{**HTTP, "bind_addresses": ["::"]}], "http://[::1]:8008"),
        ([{**HTTP, "bind_addresses": ["::1"]}], "http://[::1]:8008"),
        ([{**HTTP, "bind_address": "127.0.0.1"}], "http://127.0.0.1:8008"),
        ([{**HTTP, "tls": True}, {**LOCAL, "port": 8009}], "http://127.0.0.1:8009"),
        ([{**HTTP, "tls": True, "port": 8448}], "https://public:8448"),
        ([{**HTTP, "bind_addresses": ["127.0.0.2"]}], "http://127.0.0.2:8008"),
        ([{**HTTP, "bind_addresses": ["192.0.2.1", "127.8.0.1"]}], "http://127.8.0.1:8008"),
        ([{**HTTP, "bind_addresses": ["0:0:0:0:0:0:0:1"]}], "http://[::1]:8008"),
        ([{**HTTP, "bind_addresses": ["::ffff:127.0.0.1"]}], "http://127.0.0.1:8008"),
        ([{**HTTP, "bind_addresses": ["ip6-localhost"]}], "http://[::1]:8008"),
        ([{**HTTP, "bind_addresses": [""]}], "http://127.0.0.1:8008"),
        ([{**HTTP, "bind_addresses": "127.0.0.1"}], "http://127.0.0.1:8008"),
        ([{**HTTP, "bind_addresses": ["synapse.internal"]}], "https://public"),
        ([{**LOCAL, "port": 8009}, LOCAL], "http://127.0.0.1:8009"),
        ([{**LOCAL, "resources": [{"names": ["federation"]}]}], "https://public"),
        ([{**LOCAL, "resources": [{"names": ["federation"]}, {"names": ["client"]}]}], None),
        ([{**HTTP, "bind_addresses": ["192.0.2.1"]}], "https://public"),
        ([{**HTTP, "port": None, "path": "/run/synapse.sock"}], "unix:///run/synapse.sock"),
        ([{**HTTP, "path": "/run/synapse.sock"}, LOCAL], "http://127.0.0.1:8008"),
        ([{**LOCAL, "type": "metrics"}], "https://public"),
        ([{**LOCAL, "resources": None}], "https://public"),
        (["8008", None, {}], "https://public"),
        ("8008", "https://public"),
        (None, "https://public"),
    ],
    ids=str,
)
def test_the_url_is_that_of_a_listener_on_loopback_or_else_the_public_one(
    listeners: object, url: str | None
) -> None:
    found = HomeserverYaml({"listeners": listeners, "public_baseurl": "https://public"}).url
    assert found == (url or "http://127.0.0.1:8008")


def test_a_listener_with_tls_is_asked_for_by_the_name_in_its_certificate() -> None:
    listener = {**HTTP, "tls": True, "port": 8448, "bind_addresses": ["0.0.0.0"]}
    for names, url in {
        ("public_baseurl", "https://matrix.example.org:8443/"): "https://matrix.example.org:8448",
        ("server_name", "example.org:8443"): "https://example.org:8448",
    }.items():
        assert HomeserverYaml({"listeners": [listener], names[0]: names[1]}).url == url
    unnamed = HomeserverYaml({"listeners": [listener]})
    assert unnamed.url is None
    assert "neither public_baseurl nor server_name" in unnamed.why_no_url[0]


def test_a_listener_that_is_not_used_is_told_with_the_reason() -> None:
    listeners = [
        {**HTTP, "port": "8008"},
        {**HTTP, "bind_addresses": ["192.0.2.1"]},
        {**HTTP, "type": "metrics"},
    ]
    found = HomeserverYaml({"listeners": listeners})
    assert found.url is None
    odd, other = found.why_no_url
    assert odd == "the listener at port 8008 is not used: its port is no number"
    assert other.startswith("the listener at port 8008 is not used: without TLS")


MAIN = {
    "vault_path_root": "/matrix//users/",
    "vault_kv_mount_point": "secret/",
}
BOTS = {"vault_path_root": "bots", "vault_kv_mount_point": "kv"}


def test_one_of_two_instances_is_chosen_by_its_place() -> None:
    entries = [{"module": MODULE["module"], "config": config} for config in (MAIN, BOTS)]
    found = HomeserverYaml({"modules": entries})
    assert found.module("secret") == found.module(None, "matrix/users/") == MAIN
    assert found.module("kv") == found.module(None, "bots") == found.module("kv", "bots") == BOTS
    for mount, root in [(None, None), ("other", None), ("kv", "matrix/users")]:
        with pytest.raises(CommandError, match="more than once") as caught:
            found.module(mount, root)
        assert caught.value.advice == (
            "Choose one with --mount and --path-root: --mount kv --path-root bots, "
            "or --mount secret --path-root matrix/users"
        )
    # One alone is taken whatever else is said: options replace its settings.
    assert HomeserverYaml({"modules": entries[:1]}).module("kv", "bots") == MAIN


def names(*entries: tuple[str, dict[str, Any]]) -> HomeserverYaml:
    """Return a configuration that names the module in these sections with these settings."""
    values: dict[str, Any] = {}
    for section, config in entries:
        values.setdefault(section, []).append({"module": MODULE["module"], "config": config})
    return HomeserverYaml(values)


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ([("modules", MAIN), ("password_providers", MAIN)], "modules and password_providers"),
        ([("modules", BOTS), ("modules", MAIN), ("modules", MAIN)], "two entries of modules"),
        (
            [
                ("modules", {**MAIN, "vault_url": ["https://a", "https://b/"]}),
                ("modules", {"vault_path_root": "matrix/users", "vault_url": "HTTPS://b"}),
            ],
            "two entries of modules",
        ),
    ],
)
def test_entries_for_the_same_secrets_are_refused_as_synapse_refuses_them(
    entries: list[tuple[str, dict[str, Any]]], named: str
) -> None:
    with pytest.raises(CommandError) as caught:
        names(*entries).refuse_duplicates()
    assert str(caught.value) == (
        f"{named} load the module for the same secrets, secret/matrix/users, so Synapse does not "
        "start"
    )


def test_entries_for_other_secrets_are_fine() -> None:
    at_a = {**MAIN, "vault_url": "https://a"}
    for other in ({"vault_url": "https://b"}, {"vault_namespace": "team"}, BOTS):
        yaml = names(("modules", at_a), ("password_providers", {**at_a, **other}))
        yaml.refuse_duplicates()
    with pytest.raises(CommandError) as caught:
        names(("modules", at_a), ("modules", {**at_a, "vault_url": "https://b"})).module()
    assert "cannot choose by vault_url" in str(caught.value.advice)


@pytest.mark.parametrize("entry", [MODULE, OF_2018], ids=["today", "2018"])
@pytest.mark.parametrize("section", ["modules", "password_providers"])
def test_the_module_is_found_among_others(section: str, entry: dict[str, Any]) -> None:
    others = [{"module": "ldap_auth_provider.LdapAuthProvider", "config": {"vault_url": "y"}}, None]
    config = HomeserverYaml({section: [*others, entry]}).module()
    assert config == {"vault_url": "x"}


def test_a_module_without_a_config_has_an_empty_one() -> None:
    assert HomeserverYaml({"modules": [{"module": MODULE["module"]}]}).module() == {}


@pytest.mark.parametrize(
    ("values", "expectation"),
    [
        ({"modules": [MODULE, MODULE]}, "two entries of modules load"),
        (
            {"modules": [MODULE], "password_providers": [OF_2018]},
            "modules and password_providers load",
        ),
        ({"modules": [{**MODULE, "config": ["s3cret"]}]}, "a mapping of names to values"),
        ({"modules": [{**MODULE, "config": {1: "s3cret"}}]}, "a mapping of names to values"),
    ],
    ids=str,
)
def test_a_module_that_is_not_clear(values: dict[str, Any], expectation: str) -> None:
    with pytest.raises(CommandError, match=expectation) as caught:
        HomeserverYaml(values).module()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["server_name", "registration_shared_secret", "registration_shared_secret_path"]
)
def test_what_must_be_text(key: str) -> None:
    with pytest.raises(CommandError, match=f"{key} in the configuration of Synapse must be") as e:
        getattr(HomeserverYaml({key: ["s3cret"]}), key)
    assert "s3cret" not in str(e.value)


@pytest.mark.parametrize(
    ("content", "expectation"),
    [
        (b"a: *s3cret\n", "no valid YAML at line 1, column 4"),
        (b"registration_shared_secret: s3cret: s3cret\n", "no valid YAML at line 1"),
        (b'registration_shared_secret: "s3cret\n', "no valid YAML at line 2"),
        (b"registration_shared_secret: !!python/object:s3cret {}\n", "no valid YAML at line 1"),
        (b"a: 2018-99-99\n", "no valid YAML"),
        (b"a: \xff\n", "no valid YAML"),
        (b"[" * 5000, "no valid YAML"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_broken_file_is_named_and_not_quoted(
    tmp_path: Path, content: bytes, expectation: str
) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_bytes(content)
    with pytest.raises(CommandError) as caught:
        HomeserverYaml.read([path])
    assert str(caught.value).startswith(f"{path} is {expectation}")
    assert "s3cret" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        HomeserverYaml.read([tmp_path / "homeserver.yaml"])
    assert str(caught.value) == f"cannot read {tmp_path}/homeserver.yaml: No such file or directory"


def test_no_value_is_shown() -> None:
    yaml = HomeserverYaml(json.loads('{"registration_shared_secret": "s3cret"}'))
    assert "s3cret" not in repr(yaml)

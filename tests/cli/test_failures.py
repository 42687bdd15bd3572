"""Failures that are no fault of the command: what is wrong in one line, and how to fix it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.cli.failure import Wording, report
from synapse_vault_auth_provider.provisioning import ConflictError, HomeserverError

from tests.servers.port import ReservedPort

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Ended

MODULE = {
    "vault_url": "http://127.0.0.1:1",
    "vault_token": "hvs.s3cret",
    "vault_path_root": "matrix/users",
}

VERBS = [
    ["provision", "alice"],
    ["login", "alice"],
    ["exec", "alice", "true"],
    ["rotate", "alice"],
    ["revoke", "alice"],
    ["profile", "alice", "--display-name", "Alice"],
    ["list"],
]

each_verb = pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])


@pytest.fixture
def configured(command: Callable[..., Ended], tmp_path: Path) -> Callable[..., Ended]:
    """Return what runs the command with a configuration of Synapse."""

    def run(*arguments: str, synapse: object = None, **module: object) -> Ended:
        entry = {
            "module": "synapse_vault_auth_provider.VaultAuthProvider",
            "config": {**MODULE, **module},
        }
        values = {
            "server_name": "example.org",
            "public_baseurl": "http://127.0.0.1:1",
            "registration_shared_secret": "shared-s3cret",
            "modules": [entry],
        }
        (tmp_path / "homeserver.yaml").write_text(json.dumps(synapse or values))
        ended = command("-c", "homeserver.yaml", *arguments)
        assert "s3cret" not in ended.err + ended.out
        return ended

    return run


@each_verb
def test_what_is_missing_is_named(command: Callable[..., Ended], verb: list[str]) -> None:
    command(*verb).check_refused("error: homeserver: required")


@each_verb
def test_an_unknown_key_is_named_with_the_one_that_was_meant(
    configured: Callable[..., Ended], verb: list[str]
) -> None:
    ended = configured(*verb, vault_kv_mount="kv")
    ended.check_refused("vault_kv_mount: unknown key; did you mean vault_kv_mount_point?")


def test_keys_that_only_logins_know_are_no_matter(configured: Callable[..., Ended]) -> None:
    # Whether they are right is what the doctor looks at.
    ended = configured("--timeout=0.1", "list", login_timeout="soon", cache=5)
    ended.check_refused("error: cannot list matrix/users/")


@each_verb
def test_a_vault_that_is_down_is_named(configured: Callable[..., Ended], verb: list[str]) -> None:
    port = ReservedPort()
    ended = configured("--timeout=0.5", *verb, vault_url=f"http://127.0.0.1:{port}")
    assert (ended.code, ended.out) == (1, "")
    first, advice = ended.err.splitlines()
    assert first.startswith("error: cannot ")
    assert advice


def test_several_users_have_an_error_each(configured: Callable[..., Ended]) -> None:
    ended = configured("--timeout=0.1", "rotate", "alice", "bob")
    assert ended.code == 1
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert [error.split(": ")[1] for error in errors] == ["alice", "bob"]


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("--vault-token-file", "vault_token_file"),
        ("--admin-token-file", "admin_access_token_file"),
        ("--registration-shared-secret-file", "registration_shared_secret_file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_by_its_key(
    configured: Callable[..., Ended], option: str, key: str
) -> None:
    # Not by its name: it might be the secret itself.
    ended = configured(f"{option}=s3cret", "list")
    ended.check_refused(f"error: {key}: cannot read", "No such file or directory")


def test_a_configuration_that_cannot_be_read_is_named(command: Callable[..., Ended]) -> None:
    command("-c", "nowhere.yaml", "list").check_refused(
        "error: cannot read nowhere.yaml: No such file or directory\n"
    )


def test_a_time_that_is_none_is_named(configured: Callable[..., Ended]) -> None:
    configured("--timeout=soon", "list").check_refused("timeout: must be", '"5s"')


def test_a_user_of_another_homeserver_is_refused(configured: Callable[..., Ended]) -> None:
    configured("login", "@alice:example.com").check_refused("user_id: ", "example.org")


def test_what_a_file_says_reaches_the_terminal_harmless(configured: Callable[..., Ended]) -> None:
    ended = configured("login", "al\x1b[2Jice\nerror: forged")
    assert "\x1b" not in ended.err
    assert "\nerror: forged" not in ended.err


def test_the_doctor_reports_instead_of_failing(configured: Callable[..., Ended]) -> None:
    ended = configured("doctor", vault_kv_mount="kv")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith(
        "FAILED   configuration: vault_kv_mount: unknown key; did you mean vault_kv_mount_point?"
        " -> Correct vault_kv_mount in homeserver.yaml.\n"
        "skipped  Vault: the configuration has to be right first\n"
    )
    report = json.loads(configured("doctor", "--json", vault_path_root="").out)
    assert report["ok"] is False
    finding, *later = report["findings"]
    assert (finding["check"], finding["status"]) == ("configuration", "failed")
    assert finding["detail"].startswith("vault_path_root: required")
    assert {other["status"] for other in later} == {"skipped"}
    # The rows are those that there are with a configuration that is right.
    checked = json.loads(configured("--timeout=0.5", "doctor", "--json").out)["findings"]
    assert [one["check"] for one in report["findings"]] == [one["check"] for one in checked]


def test_the_doctor_misses_a_module(configured: Callable[..., Ended]) -> None:
    ended = configured("doctor", synapse={"server_name": "example.org"})
    assert ended.code == 1
    assert ended.out.startswith("FAILED   configuration: homeserver.yaml does not name the module")


MAS = {"matrix_authentication_service": {"enabled": True}}


@pytest.mark.parametrize(
    ("synapses", "section", "mas", "said"),
    [
        (MAS, "modules", None, ["mas: is missing", "no password providers", "with the key mas"]),
        (MAS, "password_providers", None, ["password_providers: is refused", "under modules"]),
        ({}, "modules", {}, ["mas: is of use only where", "remove the key mas"]),
        (
            {"experimental_features": {"msc3861": {"enabled": True}}},
            "modules",
            None,
            ["experimental_features.msc3861: ", "use matrix_authentication_service"],
        ),
    ],
)
def test_the_doctor_knows_who_decides_who_users_are(
    configured: Callable[..., Ended],
    synapses: dict[str, object],
    section: str,
    mas: object,
    said: list[str],
) -> None:
    config = {**MODULE, **({} if mas is None else {"mas": mas})}
    synapse = {
        "server_name": "example.org",
        "public_baseurl": "http://127.0.0.1:1",
        section: [{"module": "synapse_vault_auth_provider.VaultAuthProvider", "config": config}],
        **synapses,
    }
    configuration = configured("doctor", "--timeout=0.1", synapse=synapse).out.splitlines()[0]
    assert configuration.startswith("FAILED   configuration: ")
    for text in [*said, "Synapse does not start"]:
        assert text in configuration


def test_the_doctor_works_without_a_file(command: Callable[..., Ended]) -> None:
    ended = command("doctor")
    assert ended.code == 1
    assert ended.out.startswith("FAILED   configuration: homeserver: required")


def test_a_file_of_users_waits_for_a_configuration(
    command: Callable[..., Ended], tmp_path: Path
) -> None:
    Path("users.csv").write_text("user_id\nbot\n")
    command("provision", "--from", "users.csv").check_refused("error: homeserver: required")
    assert [path.name for path in tmp_path.iterdir()] == ["users.csv"]


def test_a_file_of_users_that_is_not_there_is_named(configured: Callable[..., Ended]) -> None:
    configured("provision", "--from", "nowhere.csv").check_refused(
        "error: cannot read nowhere.csv: No such file or directory\n"
    )


def test_what_debians_service_reads_as_well_is_named(
    command: Callable[..., Ended], tmp_path: Path
) -> None:
    synapse = {"listeners": [{"type": "http", "port": 8008, "resources": [{"names": ["client"]}]}]}
    (tmp_path / "homeserver.yaml").write_text(json.dumps(synapse))
    (tmp_path / "conf.d").mkdir()
    refused = command("-c", "homeserver.yaml", "list")
    refused.check_refused("server_name: required", "add -c conf.d")
    command("-c", "homeserver.yaml", "doctor")
    (tmp_path / "conf.d" / "server_name.yaml").write_text("server_name: example.org\n")
    complete = command("-c", "homeserver.yaml", "-c", "conf.d", "list")
    complete.check_refused("vault_url: required")


def test_a_homeserver_that_is_not_found_is_told_with_the_reasons(
    command: Callable[..., Ended], tmp_path: Path
) -> None:
    addresses = {"port": 8008, "bind_addresses": ["192.0.2.1"]}
    listener = {"type": "http", **addresses, "resources": [{"names": ["client"]}]}
    synapse = {"server_name": "example.org", "listeners": [listener]}
    (tmp_path / "homeserver.yaml").write_text(json.dumps(synapse))
    command("-c", "homeserver.yaml", "list").check_refused(
        "Give its address with --homeserver.\nthe listener at port 8008 is not used: "
    )


@pytest.mark.parametrize(("wait", "said"), [(0.2, "1 second."), (6.1, "7 seconds.")])
def test_how_long_to_wait_is_told(
    capsys: pytest.CaptureFixture[str], wait: float, said: str
) -> None:
    error = HomeserverError("too many logins", advice="slow down", status=429, retry_after=wait)
    report(error)
    assert capsys.readouterr().err == f"error: too many logins\nslow down\nTry again in {said}\n"


def test_errors_speak_of_options(capsys: pytest.CaptureFixture[str]) -> None:
    report(ConflictError("it is there", advice="if it is yours, call again with adopt"))
    assert capsys.readouterr().err.endswith("\nif it is yours, run this again with --adopt\n")


def test_errors_name_what_gives_a_setting_where_there_is_no_file(
    command: Callable[..., Ended],
    configured: Callable[..., Ended],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = f"http://127.0.0.1:{ReservedPort()}"
    given = {
        "SYNAPSE_VAULT_HOMESERVER": at,
        "SYNAPSE_VAULT_SERVER_NAME": "example.org",
        "SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET": "shared-s3cret",
        "SYNAPSE_VAULT_PATH_ROOT": "matrix/users",
        "VAULT_ADDR": at,
        "VAULT_TOKEN": "hvs.s3cret",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    ended = command("--timeout=0.5", "login", "alice")
    assert ended.err.endswith("\ncheck VAULT_ADDR, and that Vault runs\n")
    ended = command("--timeout=0.5", "doctor")
    assert " -> check VAULT_ADDR and VAULT_CACERT and the other variables for TLS, " in ended.out
    ended = configured("--timeout=0.5", "login", "alice", vault_url=at)
    assert ended.err.endswith("\ncheck vault_url, and that Vault runs\n")


def test_an_authority_is_given_to_the_command_by_an_option_or_a_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wording, "has_file", lambda: False)
    unknown = "the server's certificate is signed by an unknown authority; give it as"
    for setting, said in {
        "ca_cert": f"{unknown.removesuffix(' as')} with --ca-cert",
        "vault_tls.ca_cert": f"{unknown} VAULT_CACERT",
    }.items():
        report(HomeserverError(f"{unknown} {setting}"))
        assert capsys.readouterr().err == f"error: {said}\n"

"""What the module reads of the body of a login under MAS, whatever a client sends."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from synapse_vault_auth_provider.mas import body
from synapse_vault_auth_provider.mas.body import BodyError, LoginRequest

HASH = "0123456789abcdef" * 4
CORPUS = sorted((Path(__file__).parent / "corpus" / "logins").iterdir())


def login(**fields: Any) -> dict[str, Any]:
    return {
        "type": "io.t2bot.vault",
        "identifier": {"type": "m.id.user", "user": "@alice:example.org"},
        "token_hash": HASH,
        **fields,
    }


def read(raw: bytes) -> LoginRequest:
    parsed = body.parse(body.read(io.BytesIO(raw)))
    body.login_type(parsed)
    if not body.is_ours(parsed, takes_passwords=True):
        raise BodyError("M_UNKNOWN", "not ours")
    return body.login_request(parsed)


def errcode(raw: bytes) -> str:
    with pytest.raises(BodyError) as raised:
        read(raw)
    return raised.value.errcode


def test_a_login_with_everything() -> None:
    wanted = login(device_id="ABCDEFGHIJ", initial_device_display_name="bot", refresh_token=True)
    assert read(json.dumps(wanted).encode()) == LoginRequest(
        user="@alice:example.org",
        token_hash=HASH,
        as_password=False,
        device_id="ABCDEFGHIJ",
        display_name="bot",
    )


def test_the_deprecated_user_and_null_for_what_may_be_left_out() -> None:
    wanted = {**login(device_id=None, initial_device_display_name=None), "user": "alice"}
    del wanted["identifier"]
    found = read(json.dumps(wanted).encode())
    assert (found.user, found.device_id, found.display_name) == ("alice", None, None)


def test_the_deprecated_user_comes_first() -> None:
    assert read(json.dumps(login(user="bob")).encode()).user == "bob"
    assert read(json.dumps(login(user=None)).encode()).user == "@alice:example.org"
    assert errcode(json.dumps(login(user=5)).encode()) == "M_INVALID_PARAM"


def test_a_token_hash_as_password_and_no_other_password() -> None:
    wanted = {**login(), "type": "m.login.password", "password": HASH}
    assert read(json.dumps(wanted).encode()).as_password
    assert not body.is_ours(wanted, takes_passwords=False)
    for password in ("hunter2", HASH + "0", 5, None, [HASH]):
        assert not body.is_ours({**wanted, "password": password}, takes_passwords=True)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        "{}".encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b'{"type": NaN}',
        b'{"type": -Infinity}',
        b'{"type": "io.t2bot.vault",}',
        b"\0" * 100,
    ],
    ids=range(11),
)
def test_what_is_no_json(raw: bytes) -> None:
    assert errcode(raw) == "M_NOT_JSON"


@pytest.mark.parametrize("raw", [b"[]", b"null", b"5", b'"text"', b"true"])
def test_what_is_no_object(raw: bytes) -> None:
    assert errcode(raw) == "M_BAD_JSON"


def test_a_body_that_is_too_long() -> None:
    wanted = json.dumps(login()).encode()
    assert read(wanted + b" " * (body.MAX_BODY - len(wanted)))
    with pytest.raises(BodyError) as raised:
        body.read(io.BytesIO(b" " * (body.MAX_BODY + 1)))
    assert (raised.value.status, raised.value.errcode) == (413, "M_TOO_LARGE")


WRONG: list[Any] = [5, 1.5, True, [], {}, ["x"]]


@pytest.mark.parametrize("value", [*WRONG, None], ids=repr)
def test_wrong_types(value: Any) -> None:
    def of(**fields: Any) -> str:
        return errcode(json.dumps(login(**fields)).encode())

    assert of(type=value) == "M_INVALID_PARAM"
    assert of(identifier={"type": value, "user": "alice"}) == "M_INVALID_PARAM"
    assert of(identifier={"type": "m.id.user", "user": value}) == "M_INVALID_PARAM"
    if value is not None:
        assert of(device_id=value) == "M_INVALID_PARAM"
        assert of(initial_device_display_name=value) == "M_INVALID_PARAM"
        identifier = "M_MISSING_PARAM" if isinstance(value, dict) else "M_INVALID_PARAM"
        assert of(identifier=value) == identifier
    if not isinstance(value, bool):
        assert of(refresh_token=value) == "M_INVALID_PARAM"
    # What is no token hash is refused as a wrong one is.
    assert read(json.dumps(login(token_hash=value)).encode()).token_hash == value


def test_what_is_missing() -> None:
    for key in ("type", "identifier", "token_hash"):
        wanted = login()
        del wanted[key]
        assert errcode(json.dumps(wanted).encode()) == "M_MISSING_PARAM"
    assert errcode(json.dumps(login(identifier={"user": "alice"})).encode()) == "M_MISSING_PARAM"
    assert errcode(json.dumps(login(identifier={"type": "m.id.user"})).encode()) == (
        "M_MISSING_PARAM"
    )


def test_other_identifiers_and_types() -> None:
    phone = {"type": "m.id.phone", "country": "GB", "phone": "07700"}
    assert errcode(json.dumps(login(identifier=phone)).encode()) == "M_UNKNOWN"
    assert errcode(json.dumps(login(type="m.login.token")).encode()) == "M_UNKNOWN"


def test_the_last_of_several_members_counts() -> None:
    raw = json.dumps(login()).encode()[:-1] + b', "token_hash": "last"}'
    assert read(raw).token_hash == "last"


def test_lone_surrogates_and_long_numbers_are_read() -> None:
    raw = json.dumps(login(more=[1])).encode().replace(b"[1]", b"[" + b"9" * 60_000 + b"]")
    assert read(raw).user == "@alice:example.org"
    raw = json.dumps(login(device_id="\ud800")).encode()
    assert read(raw).device_id == "\ud800"


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_hostile_bodies_raise_nothing_else_and_no_error_holds_them(path: Path) -> None:
    raw = path.read_bytes()
    try:
        read(raw)
    except BodyError as error:
        assert error.status in (400, 413)
        assert len(error.text) < 80


def test_no_secret_is_in_the_repr() -> None:
    assert HASH not in repr(read(json.dumps(login()).encode()))

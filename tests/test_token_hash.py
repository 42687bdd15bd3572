"""`token_hash`, against vectors that OpenSSL computed and against Python's own HMAC."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synapse_vault_auth_provider import token_hash, verify_token_hash

from .pythons import ROOT

CASES = json.loads((ROOT / "tests/vectors/token_hash.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_the_vectors_agree(case: dict[str, str]) -> None:
    assert token_hash(case["login_secret"], case["user_id"]) == case["token_hash"]
    assert verify_token_hash(**case)
    assert verify_token_hash(**{**case, "token_hash": case["token_hash"].upper()})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(login_secret=st.text(min_size=1), user_id=st.text())
def test_it_is_the_hmac_sha256_of_the_user_id_in_lower_case_hex(
    login_secret: str, user_id: str
) -> None:
    expected = hmac.new(login_secret.encode(), user_id.encode(), hashlib.sha256).hexdigest()
    assert token_hash(login_secret, user_id) == expected
    assert token_hash(login_secret=login_secret, user_id=user_id) == expected


@settings(deadline=None)
@given(
    login_secret=st.text(),
    user_id=st.text(),
    presented=st.text() | st.from_regex(r"[0-9a-f]{64}"),
)
def test_no_other_hash_is_right(login_secret: str, user_id: str, presented: str) -> None:
    expected = hmac.new(login_secret.encode(), user_id.encode(), hashlib.sha256).hexdigest()
    assert verify_token_hash(login_secret, user_id, expected) == bool(login_secret)
    for other in (presented, expected[:-1], expected + "0", expected[1:] + "g", ""):
        assert not verify_token_hash(login_secret, user_id, other)


@pytest.mark.parametrize("user_id", ["@alice:example.org", ""])
def test_an_empty_secret_is_refused(user_id: str) -> None:
    with pytest.raises(ValueError, match="login_secret is empty"):
        token_hash("", user_id)


@pytest.mark.parametrize(
    ("login_secret", "user_id"), [("s3cret\ud800", "@a:b"), ("s3cret", "@\udfff:b")]
)
def test_lone_surrogates_are_refused(login_secret: str, user_id: str) -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        token_hash(login_secret, user_id)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        (b"s3cret", "@a:b"),
        ("s3cret", b"@a:b"),
        (None, "@a:b"),
        ("s3cret", None),
        (["s3cret"], "@a:b"),
        (1, "@a:b"),
        ("s3cret",),
        (),
        ("s3cret", "@a:b", "more"),
    ],
    ids=repr,
)
def test_other_types_are_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError) as caught:
        token_hash(*arguments)
    assert "s3cret" not in str(caught.value)

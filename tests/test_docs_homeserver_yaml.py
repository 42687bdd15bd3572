"""Every configuration of the module in the manual is one that it accepts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml
from synapse_vault_auth_provider import VaultAuthProvider

from .documents import Block, all_blocks
from .servers.pki import Authority

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("without_vault_in_the_environment")

SECTIONS = ("modules", "password_providers")

OURS = {
    "synapse_vault_auth_provider.VaultAuthProvider",
    "synapse-vault-auth-provider.VaultAuthProvider",
}


def configures_modules(block: Block) -> bool:
    return not set(SECTIONS).isdisjoint(yaml.safe_load(block.text))


@pytest.mark.parametrize(
    "block", [block for block in all_blocks("yaml") if configures_modules(block)], ids=str
)
def test_it_is_accepted(block: Block, tmp_path: Path) -> None:
    example = yaml.safe_load(with_files(block.text, tmp_path))
    entries = [entry for section in SECTIONS for entry in example.get(section, [])]
    configs = [entry["config"] for entry in entries if entry["module"] in OURS]
    assert configs
    for config in configs:
        auth = config.get("vault_auth", {})
        if auth.get("method") == "kubernetes" and "jwt_file" not in auth:
            # What is there in every pod is not here.
            auth["jwt_file"] = str(tmp_path / "jwt")
            (tmp_path / "jwt").write_text("a token")
        VaultAuthProvider.parse_config(config)


def with_files(example: str, directory: Path) -> str:
    """Put the files that an example names into a directory, and let it name them there."""
    authority = Authority("authority.example.org")
    certificate, key = authority.issue("synapse.example.org", directory)
    contents = {
        "ca.pem": authority.certificate,
        "client.pem": certificate.read_text(),
        "client-key.pem": key.read_text(),
    }
    for path in set(re.findall(r"(?<= )/[\w./-]+", example)):
        file = directory / path.rpartition("/")[2]
        file.write_text(contents.get(file.name, "WhatTheFileHolds"))
        example = example.replace(path, str(file))
    return example

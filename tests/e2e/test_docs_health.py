"""The health endpoint answers as `docs/operations.md` says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.documents import blocks
from tests.harness.deployment import PATH_ROOT
from tests.harness.documented import run_example
from tests.pythons import ROOT
from tests.sections import code, rows
from tests.servers import Synapse

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import OpenBao

PAGE = "operations.md"


def test_it_answers_as_on_the_page(tmp_path: Path, openbao: OpenBao, vault_token: str) -> None:
    examples = list(blocks(ROOT / "docs" / PAGE))
    (ask,) = (block for block in examples if "/vault_auth/health" in block.text)
    (shown,) = (json.loads(block.text) for block in examples if '"healthy"' in block.text)
    config = {
        "vault_url": openbao.url,
        "vault_token": vault_token,
        "vault_path_root": PATH_ROOT,
        "health_endpoint": True,
    }
    synapse = Synapse(tmp_path, config)
    try:
        synapse.start()
        replaced = {"http://localhost:8008": synapse.url}
        assert json.loads(run_example(ask, openbao, tmp_path, replaced)) == shown
    finally:
        synapse.stop()
    assert list(shown) == [code(row["Field"])[0] for row in rows(PAGE, "Health")]

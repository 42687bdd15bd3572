"""The health endpoint answers as `docs/operations.md` says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.documents import blocks
from tests.harness.documented import run_example
from tests.pythons import ROOT
from tests.sections import code, rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.deployment import Deployment


PAGE = "operations.md"


def test_it_answers_as_on_the_page(
    tmp_path: Path, start_homeserver: Callable[..., Deployment]
) -> None:
    examples = list(blocks(ROOT / "docs" / PAGE))
    (ask,) = (block for block in examples if "/vault_auth/health" in block.text)
    (shown,) = (json.loads(block.text) for block in examples if '"healthy"' in block.text)
    healthy = start_homeserver("healthy", health_endpoint=True)
    replaced = {"http://localhost:8008": healthy.synapse.url}
    assert json.loads(run_example(ask, healthy.openbao, tmp_path, replaced)) == shown
    fields = {code(row["Field"])[0]: row["Meaning"] for row in rows(PAGE, "Health")}
    without_mas = [field for field, meaning in fields.items() if not meaning.startswith("Under ")]
    assert list(shown) == without_mas

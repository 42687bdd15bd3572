"""One homeserver with one configuration of the module after the other."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from tests.servers import Synapse

from .accounts import PATH_ROOT
from .confidential import Confidential
from .deployment import LOGGER, Deployment
from .waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.servers import OpenBao
    from tests.servers.log import Record


class Run(Deployment):
    """A homeserver from a start to its stop."""

    def __init__(
        self, name: str, synapse: Synapse, openbao: OpenBao, confidential: Confidential
    ) -> None:
        """Take a homeserver that is yet to be started."""
        super().__init__(name, synapse, openbao, confidential)
        self.begin = synapse.log_size()

    def check_login(self, user: str | None = None) -> None:
        """Fail unless a user can log in; any user, if none is given."""
        account = self.account(user) if user else self.new_account()
        self.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)

    def check_refused_login(self, outcome: str, reason: str = "") -> Record:
        """Fail unless logins are refused for this reason; return the line that says so."""
        account = self.new_account()
        attempt = self.log_in(account.user_id, account.token_hash)
        attempt.check_refused(outcome)
        assert reason in attempt.line.message
        return attempt.line

    def noticed(self, level: str, text: str, since: int | None = None) -> list[Record]:
        """Return what the log says in the background, since the start if not told otherwise."""
        return [
            record
            for record in self.notices(self.begin if since is None else since)
            if record.level == level and text in record.message
        ]

    def wait_for_notice(self, level: str, text: str, since: int | None = None) -> None:
        """Wait until the log says something in the background."""
        wait_until(f"{level}: {text}", lambda: self.noticed(level, text, since))

    def wait_for_request(self, path: str, since: int) -> None:
        """Wait until Vault has answered a request for a path."""
        wait_until(f"a request for {path}", lambda: self.openbao.audited(path, since))

    def warnings_and_errors(self) -> list[Record]:
        """Return what the log says at WARNING and above."""
        records = self.synapse.log_records(self.begin)
        return [
            record
            for record in records
            if record.logger == LOGGER and record.level in ("WARNING", "ERROR", "CRITICAL")
        ]


class Restarting:
    """A homeserver that is started again with another configuration of the module.

    Its database stays, so that it starts faster than a new one.
    """

    def __init__(self, directory: Path, openbao: OpenBao, confidential: Confidential) -> None:
        """Start nothing yet; `openbao` is the Vault of all runs that do not name another."""
        self._directory = directory
        self._openbao = openbao
        self._confidential = confidential
        self._numbers = itertools.count(1)
        self._run: Run | None = None

    def start(
        self,
        *,
        openbao: OpenBao | None = None,
        environment: Mapping[str, str] | None = None,
        **config: Any,
    ) -> Run:
        """Stop the run before and start the next; keys whose value is `None` are left out."""
        self.stop()
        openbao = openbao or self._openbao
        config = {"vault_url": openbao.url, "vault_path_root": PATH_ROOT, **config}
        synapse = Synapse(
            self._directory,
            {key: value for key, value in config.items() if value is not None},
            environment=environment,
        )
        name = f"run-{next(self._numbers)}"
        self._run = Run(name, synapse, openbao, self._confidential)
        synapse.start()
        return self._run

    def stop(self) -> None:
        """Stop the run there is; fail if it logged what is confidential."""
        run, self._run = self._run, None
        if run is not None:
            run.synapse.stop()
            lines = "\n".join(record.message for record in run.synapse.log_records(run.begin))
            self._confidential.check_text(lines + run.synapse.output())

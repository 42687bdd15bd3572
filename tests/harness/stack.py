"""Servers that belong together: Vaults, homeservers that ask them, and the core by itself."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal, overload

import pytest

from tests.servers import DurableOpenBao, Mas, OpenBao, RaftCluster, Registration, Synapse
from tests.servers.disk import Disk
from tests.servers.synapse import SERVER_NAME, SYNAPSE_VERSION

from .accounts import PATH_ROOT, READ_USERS
from .core import Core
from .deployment import Deployment, deployed
from .mas_deployment import MasDeployment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from tests.servers.network import Machine
    from tests.servers.pki import Authority

    from .confidential import Confidential

SINCE_MAS = (1, 136)
"""The first Synapse that has `matrix_authentication_service`."""

_names: Counter[str] = Counter()
"""Those of homeservers so far, as the accounts of no two may have the same ids in one Vault."""


class Stack:
    """Starts servers when asked to, and stops all of them in `__exit__`, the last one first."""

    def __init__(
        self, directory: Path, confidential: Confidential, shared: Stack | None = None
    ) -> None:
        """Start nothing yet.

        Args:
            directory: For the files of the servers.
            confidential: Where secrets are remembered. No log of a homeserver may hold one.
            shared: Another one, whose Vault is used where no other one is named.
        """
        self.confidential = confidential
        self._directory = directory
        self._shared = shared
        self._servers = ExitStack()
        self._openbao: OpenBao | None = None
        self._tokens: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: Any) -> None:
        self._servers.__exit__(*details)

    @property
    def openbao(self) -> OpenBao:
        """The Vault of all that name no other one. It starts when it is first asked for."""
        if self._shared is not None:
            return self._shared.openbao
        if self._openbao is None:
            self._openbao = self.start_openbao()
        return self._openbao

    def vault_token(self, openbao: OpenBao | None = None) -> str:
        """Return a token of a Vault that may do what the module must, and nothing else."""
        if self._shared is not None and openbao in (None, self._shared.openbao):
            return self._shared.vault_token()
        openbao = openbao or self.openbao
        if openbao.url not in self._tokens:
            token = openbao.create_token("read-users", READ_USERS)
            self._tokens[openbao.url] = self.confidential.add(token)
        return self._tokens[openbao.url]

    def module_config(self, openbao: OpenBao | None = None, **settings: Any) -> dict[str, Any]:
        """Configure the module for a Vault.

        Args:
            openbao: The Vault, if it is not that of the stack.
            settings: What is set otherwise, or beside; `None` leaves a key out.
        """
        openbao = openbao or self.openbao
        config: dict[str, Any] = {"vault_url": openbao.url, "vault_path_root": PATH_ROOT}
        if not settings.keys() & {"vault_token", "vault_token_file", "vault_auth"}:
            config["vault_token"] = self.vault_token(openbao)
        if openbao.ca_cert is not None:
            config["vault_tls"] = {"ca_cert": str(openbao.ca_cert)}
        config.update(settings)
        return {key: value for key, value in config.items() if value is not None}

    @overload
    def start_openbao(
        self,
        name: str = ...,
        *,
        durable: Literal[False] = ...,
        tls: bool = ...,
        audited: bool = ...,
        config: str = ...,
        plugins: Path | None = ...,
        binary: Path | None = ...,
        log_level: str = ...,
    ) -> OpenBao: ...

    @overload
    def start_openbao(
        self,
        name: str = ...,
        *,
        durable: Literal[True],
        plugins: Path | None = ...,
        log_level: str = ...,
    ) -> DurableOpenBao: ...

    def start_openbao(
        self,
        name: str = "openbao",
        *,
        durable: bool = False,
        tls: bool = False,
        audited: bool = True,
        config: str = "",
        plugins: Path | None = None,
        binary: Path | None = None,
        log_level: str = "info",
    ) -> OpenBao:
        """Start a Vault with a KV v2 engine at `secret/`.

        Args:
            name: Of its directory.
            durable: Whether its data is on disk, so that it can be sealed, stopped and started
                again.
            tls: Whether it speaks TLS; one that is durable does not.
            audited: Whether it writes down all requests; one that is durable does not.
            config: More of its configuration in HCL, of one that is not durable.
            plugins: The directory with the plugins that it may run.
            binary: Another `bao` than that of this environment, for one that is not durable.
            log_level: From which level on it writes its log.
        """
        directory = self._new_directory(name)
        server = (
            DurableOpenBao(directory, plugins=plugins, log_level=log_level)
            if durable
            else OpenBao(
                directory,
                tls=tls,
                is_audited=audited,
                config=config,
                plugins=plugins,
                binary=binary,
                log_level=log_level,
            )
        )
        if plugins:
            self._servers.callback(self._check_output, server)
        self._servers.callback(server.stop)
        server.start()
        self.confidential.add(server.root_token)
        return server

    def start_raft(
        self,
        name: str = "raft",
        *,
        machines: Sequence[Machine] | None = None,
        authority: Authority | None = None,
        disk: int | None = None,
        plugins: Path | None = None,
    ) -> RaftCluster:
        """Start a Vault of three nodes, with AppRole and the policy `read-users`.

        Args:
            name: Of its directory.
            machines: Where each of the three runs, if not all on loopback.
            authority: Who certifies them. Without one they do not speak TLS to clients.
            disk: Size of the disk that each has its data on, in megabytes, if they are not to
                share that of the machine. See `Disk` for what it takes.
            plugins: The directory with the plugins that they may run.
        """
        cluster = RaftCluster(
            self._new_directory(name), machines=machines, authority=authority, plugins=plugins
        )
        if disk is not None:
            for node in cluster.nodes:
                node.disk = Disk(node.data_path, disk)
                self._servers.callback(node.disk.unmount)
        if plugins:
            for node in cluster.nodes:
                self._servers.callback(self._check_output, node)
        self._servers.callback(cluster.stop)
        cluster.start()
        self.confidential.add(cluster.root_token)
        cluster.cli("policy", "write", "read-users", "-", stdin=READ_USERS)
        cluster.cli("auth", "enable", "approle")
        return cluster

    def start_mas(self, **how: Any) -> Mas:
        """Start a stand-in for MAS; `how` are the arguments of `Mas` beside the server's name."""
        mas = Mas(SERVER_NAME, remember=self.confidential.add, **how)
        self._servers.callback(mas.stop)
        return mas.start()

    def start_homeserver(
        self,
        name: str,
        *,
        mas: Mas | None = None,
        mas_settings: Mapping[str, Any] | None = None,
        openbao: OpenBao | None = None,
        homeserver_yaml: Mapping[str, Any] | None = None,
        listeners: Sequence[Mapping[str, Any]] = (),
        environment: Mapping[str, str] | None = None,
        registration: Registration = Registration.MODERN,
        module: str | None = None,
        has_module: bool = True,
        has_metrics: bool = False,
        log_level: str = "DEBUG",
        **settings: Any,
    ) -> Deployment:
        """Start a homeserver; once it has stopped, nothing confidential may be in its log.

        Args:
            name: The start of the localparts of its accounts, and of its directory.
            mas: Who decides there who its users are, if not the homeserver itself. The module
                has the key `mas` that leads there.
            mas_settings: More of that key; `None` leaves one out.
            openbao: Its Vault, if it is not that of the stack.
            homeserver_yaml: More of Synapse's own configuration.
            listeners: More of its listeners.
            environment: More environment variables.
            registration: How Synapse is told of the module.
            module: The module's name, if it is not ours.
            has_module: Whether it has a module at all.
            has_metrics: Whether it shows metrics.
            log_level: From which level on Synapse writes its log.
            settings: Those of the module, beside or in place of those that `module_config` has.
        """
        openbao = openbao or self.openbao
        if mas is not None:
            of_mas = {**mas.settings, **(mas_settings or {})}
            settings["mas"] = {key: value for key, value in of_mas.items() if value is not None}
            homeserver_yaml = {**mas.homeserver_yaml, **(homeserver_yaml or {})}
        synapse = Synapse(
            self._new_directory(name),
            self.module_config(openbao, **settings) if has_module else None,
            registration=registration,
            module=module,
            settings=homeserver_yaml,
            listeners=listeners,
            environment=environment,
            has_metrics=has_metrics,
            log_level=log_level,
        )
        _names[name] += 1
        if _names[name] > 1:
            name = f"{name}-again-{_names[name]}"
        deployment = (
            Deployment(name, synapse, openbao, self.confidential)
            if mas is None
            else MasDeployment(name, synapse, openbao, self.confidential, mas)
        )
        return self._servers.enter_context(deployed(deployment))

    def start_homeserver_under_mas(self, name: str, mas: Mas, **how: Any) -> MasDeployment:
        """Start a homeserver where this MAS decides; `how` is as for `start_homeserver`."""
        if SYNAPSE_VERSION < SINCE_MAS:
            pytest.skip("this Synapse knows no MAS")
        deployment = self.start_homeserver(name, mas=mas, **how)
        assert isinstance(deployment, MasDeployment)
        return deployment

    def start_core(
        self,
        *,
        openbao: OpenBao | None = None,
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Core:
        """Start the module's core, in this process and without a homeserver.

        Args:
            openbao: Its Vault, if it is not that of the stack.
            environment: The environment variables that the settings are read from.
            settings: Those of the module, beside or in place of those that `module_config` has.
        """
        openbao = openbao or self.openbao
        config = self.module_config(openbao, **settings)
        core = Core(openbao, self.confidential, config, environment)
        return self._servers.enter_context(core)

    def _check_output(self, server: OpenBao) -> None:
        """Search what a server has written, its plugins' lines among it."""
        # In development mode it begins with its token.
        written = server.output().replace(f"Root Token: {server.root_token}", "")
        self.confidential.check_text(written)

    def _new_directory(self, name: str) -> Path:
        directory = self._directory / name
        number = 1
        while directory.exists():
            number += 1
            directory = self._directory / f"{name}-{number}"
        directory.mkdir(parents=True)
        return directory

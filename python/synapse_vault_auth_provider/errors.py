"""What may go wrong in provisioning."""

from __future__ import annotations


class ProvisioningError(Exception):
    """A verb could not do what it was asked to. Holds no secret.

    Attributes:
        message: What happened.
        advice: What to do about it; `None` where nobody knows.
        status: The HTTP status of the server's answer; `None` if there was none.
        errcode: Matrix's code, such as ``M_FORBIDDEN``; see
            https://spec.matrix.org/v1.16/client-server-api/#standard-error-response.
        retry_after: How long the server asks to wait, in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        advice: str | None = None,
        status: int | None = None,
        errcode: str | None = None,
        retry_after: float | None = None,
        key: str | None = None,
    ) -> None:
        """Keep what is known."""
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.status = status
        self.errcode = errcode
        self.retry_after = retry_after
        self.key = key

    def __str__(self) -> str:
        """Return what happened and what to do about it."""
        return f"{self.message}; {self.advice}" if self.advice else self.message


class ConfigurationError(ProvisioningError):
    """Something that was given is wrong or missing.

    Attributes:
        key: The setting, the environment variable or the parameter.
    """


class HomeserverError(ProvisioningError):
    """The homeserver said no."""


class VaultError(ProvisioningError):
    """Vault said no."""


class UnreachableError(ProvisioningError):
    """A server did not answer, or not in time."""


class ConflictError(ProvisioningError):
    """The account, or its entry in Vault, is somebody else's."""


class UndecidedError(ConflictError):
    """An account was left half-made, and nothing tells whether it is ours."""

"""The Rust core. Its names are no public interface, but for those the package re-exports."""

from collections.abc import Mapping
from typing import final

__all__ = [
    "LoginService",
    "Outcome",
    "Settings",
    "SettingsError",
    "__version__",
    "token_hash",
]

__version__: str
"""The version of the package, from ``Cargo.toml``."""

def token_hash(login_secret: str, user_id: str) -> str:
    """Compute what a client presents to log in, instead of the secret itself.

    Args:
        login_secret: The secret that Vault holds for the user. Any text but the empty one, which
            no login is ever accepted with.
        user_id: The whole Matrix id, ``@localpart:server``, spelt as the homeserver spells it.

    Returns:
        The lower-case hex of HMAC-SHA256 (RFC 2104) with the UTF-8 of ``login_secret`` as key and
        that of ``user_id`` as message: 64 characters. It opens the account for as long as the
        secret lives, so treat it like a password.

    Raises:
        ValueError: ``login_secret`` is empty.
        UnicodeEncodeError: One of them holds a lone surrogate, which UTF-8 cannot express.
    """

class SettingsError(ValueError):
    """One key of the configuration is wrong.

    ``args`` are the key, dotted where it lies inside another, and what is allowed there. Neither
    holds the value of a secret.
    """

@final
class Settings:
    """Checked configuration. Its ``repr`` shows no secret."""

    @staticmethod
    def parse(config: Mapping[str, str], environment: Mapping[str, str]) -> Settings:
        """Check a configuration and give its values their types.

        Args:
            config: Each key with its value in JSON.
            environment: The environment variables that fill in for absent keys.

        Raises:
            SettingsError: The first key that is unknown, missing, of the wrong type, or out of
                range.
        """

@final
class Outcome:
    """How a login ended."""

    @property
    def code(self) -> str:
        """The outcome's name in logs and metrics, such as ``ok`` or ``bad_hash``."""

    @property
    def reason(self) -> str:
        """Why, in words that hold no secret and are the same for every user it happens to."""

    @property
    def path(self) -> str | None:
        """The path in Vault that was read, mount first; ``None`` if Vault was not asked."""

    @property
    def accepted(self) -> bool:
        """Whether the login is to succeed."""

    @property
    def trouble(self) -> bool:
        """Whether the login failed because something is broken, whatever its hash was."""

@final
class LoginService:
    """Decides logins on threads of its own, which never touch the interpreter.

    All methods return at once and belong on one thread, the reactor's.
    """

    def __new__(cls, settings: Settings, server_name: str) -> LoginService:
        """Make a service without threads.

        Args:
            settings: Where the secrets lie.
            server_name: The homeserver's name. Users of others are refused.
        """

    def start(self) -> None:
        """Start the threads, after the last fork. Asks nothing of Vault. Idempotent.

        Raises:
            RuntimeError: The system gives no threads or sockets, or TLS cannot be set up.
        """

    def stop(self) -> None:
        """End the threads. Logins under way are never answered, later ones refused. Idempotent."""

    def fileno(self) -> int:
        """Return the descriptor that is readable when `drain` has something, -1 if stopped."""

    def screen(self, user_id: object, token_hash: object) -> Outcome | None:
        """Refuse what is lost whatever the homeserver and Vault would say.

        Args:
            user_id: The whole id that the client sent.
            token_hash: What the client sent as such, of any type.

        Returns:
            The refusal, or ``None`` if the login is to go on.
        """

    def begin(
        self, number: int, user_id: object, is_registered: bool, token_hash: object
    ) -> Outcome | None:
        """Start to decide a login.

        Args:
            number: Under which `drain` will return the outcome.
            user_id: The canonical id; for an unknown user, who is looked up all the same so that
                the answer takes as long, the id that was sent.
            is_registered: Whether the homeserver has the user.
            token_hash: What the client sent as such, of any type.

        Returns:
            The outcome if it is known without waiting for Vault, else ``None``.

        Raises:
            RuntimeError: The process forked since `start`.
        """

    def drain(self) -> tuple[list[tuple[int, Outcome]], list[tuple[int, str]]]:
        """Return what has come out since the last call.

        Returns:
            The logins decided, each with its number; and lines for the log that belong to no
            login, each with its level in the numbers of `logging`.
        """

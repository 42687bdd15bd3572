"""The Rust core. Its names are no public interface, but for those the package re-exports."""

from collections.abc import Mapping
from typing import Any, Literal, final

from typing_extensions import Self, disjoint_base

__all__ = [
    "OUTCOMES",
    "VAULT_REQUEST_BUCKETS",
    "Counts",
    "Finding",
    "Health",
    "KeptToken",
    "LackingError",
    "Lease",
    "ListedUser",
    "Login",
    "LoginService",
    "MasAnswer",
    "MasLogin",
    "MasLogout",
    "MasService",
    "MasSettings",
    "OpenedSession",
    "Outcome",
    "Profile",
    "ProvisionedUser",
    "Provisioner",
    "ProvisioningSettings",
    "RevokedUser",
    "RotatedSecret",
    "Settings",
    "SettingsError",
    "__version__",
    "duration_seconds",
    "is_token_hash",
    "parse_user_id",
    "registration_mac",
    "token_hash",
    "verify_token_hash",
]

__version__: str
"""The version of the package, from ``Cargo.toml``."""

OUTCOMES: list[str]
"""The names of all outcomes."""

VAULT_REQUEST_BUCKETS: list[float]
"""Upper bounds of the buckets in `Counts.vault_requests`, in seconds."""

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

def verify_token_hash(login_secret: str, user_id: str, token_hash: str) -> bool:
    """Tell whether a token hash is that of a user id under a secret, in constant time.

    Args:
        login_secret: The secret that Vault holds for the user. An empty one has no hash.
        user_id: The whole Matrix id, ``@localpart:server``, spelt as the homeserver spells it.
        token_hash: What was presented: 64 hex digits of either case. Any other text is wrong.

    Returns:
        Whether it is. How long that takes does not tell how much of a wrong hash is right.

    Raises:
        UnicodeEncodeError: One of them holds a lone surrogate, which UTF-8 cannot express.
    """

def duration_seconds(json: str) -> float:
    """Read a duration of the configuration.

    Args:
        json: A number of seconds, or a string such as ``250ms``, ``5s``, ``10m``, ``1h``, in JSON.

    Returns:
        The duration in seconds.

    Raises:
        ValueError: It is neither. Says what is allowed.
    """

def is_token_hash(value: object) -> bool:
    """Tell whether a value of any type has the form of a token hash: 64 hex digits."""

def parse_user_id(text: str, server_name: str | None, *, is_new: bool = False) -> tuple[str, str]:
    """Read what somebody writes for a user.

    Args:
        text: The whole id ``@localpart:server``, or the localpart alone.
        server_name: The homeserver that the user must be of; ``None`` takes the whole id of a user
            of any.
        is_new: Whether an account is to be made, so that the localpart must be of today's grammar.

    Returns:
        The whole id and the localpart.

    Raises:
        ValueError: It is no id whose path in Vault is its own. Says why.
        UnicodeEncodeError: It holds a lone surrogate, which UTF-8 cannot express.
    """

def registration_mac(
    shared_secret: str,
    nonce: str,
    localpart: str,
    password: str,
    *,
    is_admin: bool = False,
    user_type: str | None = None,
) -> str:
    """Compute what Synapse wants to see before it registers an account by shared secret.

    Args:
        shared_secret: Synapse's ``registration_shared_secret``.
        nonce: What Synapse gave out for this registration.
        localpart: The new account's.
        password: The new account's.
        is_admin: Whether the account is that of an administrator.
        user_type: Synapse's type of user, if any.

    Returns:
        The HMAC-SHA1 in hex:
        https://element-hq.github.io/synapse/latest/admin_api/register_api.html
    """

class SettingsError(ValueError):
    """One key of the configuration is wrong.

    ``args`` are the key, dotted where it lies inside another, and what is allowed there. Neither
    holds the value of a secret.
    """

class LackingError(SettingsError):
    """The configuration may be right, and this process lacks what it relies on.

    That is a token in its environment, or a file that it can read.
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
            LackingError: There is none, and this process lacks a token, or a file that it can
                read.
        """

    @property
    def m_login_password_support_enabled(self) -> bool:
        """Whether a token hash is also taken as the password of ``m.login.password``."""

    @property
    def health_endpoint(self) -> bool:
        """Whether everybody may ask over HTTP whether logins work."""

    @property
    def mas(self) -> MasSettings | None:
        """How sessions are opened under Matrix Authentication Service; ``None`` without it."""

    @property
    def warnings(self) -> list[str]:
        """What is allowed and probably not meant, a line for each."""

    @property
    def location(self) -> str:
        """Where users' entries are, such as ``secret/matrix/users``."""

    def has_entries_of(self, other: Settings) -> bool:
        """Tell whether the entries of both are in the same place of the same Vault."""

@final
class Outcome:
    """How a login ended."""

    @staticmethod
    def unanswered() -> Outcome:
        """Return that of a login which the service never answers."""

    @staticmethod
    def of(code: str, reason: str) -> Outcome:
        """Return an outcome that Vault had no part in.

        Args:
            code: Its name, one of `OUTCOMES`.
            reason: Why, in words that hold no secret.

        Raises:
            ValueError: There is no such outcome.
        """

    def becoming(self, code: str, reason: str) -> Outcome:
        """Return what becomes of the login, which keeps its `path`.

        Args:
            code: The name of what it becomes, one of `OUTCOMES`.
            reason: Why, in words that hold no secret.

        Raises:
            ValueError: There is no such outcome.
        """

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
    def display_name(self) -> str | None:
        """What Vault says that a new account is to be called; ``None`` if it does not say."""

    @property
    def accepted(self) -> bool:
        """Whether the login is to succeed, once the user is registered who wants it."""

    @property
    def wants_registration(self) -> bool:
        """Whether the homeserver has no such user and is to register them."""

    @property
    def failed(self) -> bool:
        """Whether something is broken, so that nobody knows whether the hash is right."""

    def refused_registration(self, reason: str) -> Outcome:
        """Return what becomes of the login if the homeserver does not register the user."""

    def registered_before(self) -> Outcome:
        """Return what becomes of the login if another one had the user registered meanwhile."""

@final
class Health:
    """Whether logins could be decided when it was asked."""

    @staticmethod
    def unanswered() -> Health:
        """Return that of a check which the service never answers."""

    @property
    def vault_reachable(self) -> bool:
        """Whether Vault answers, whatever it says."""

    @property
    def token_valid(self) -> bool | None:
        """Whether Vault accepts the module's token; ``None`` if that is not known."""

    @property
    def kv_readable(self) -> bool:
        """Whether users' entries can be read."""

    @property
    def mas_reachable(self) -> bool | None:
        """Whether Matrix Authentication Service answers; ``None`` without ``mas``."""

    @property
    def mas_client_valid(self) -> bool | None:
        """Whether it accepts the module's client; ``None`` if that is not known."""

    @property
    def reason(self) -> str | None:
        """What is wrong, for the log alone; ``None`` if nothing is. Holds no secret."""

    @property
    def good_for(self) -> float:
        """How long Vault need not be asked again, in seconds."""

@final
class Counts:
    """What has been counted of the logins' way to Vault since the service started."""

    @property
    def vault_requests(self) -> dict[str, tuple[list[int], float]]:
        """For each kind of request how many took at most how long, and all together in seconds.

        The numbers are for `VAULT_REQUEST_BUCKETS`; behind them is one more, of all requests.
        """

    @property
    def mas_requests(self) -> dict[str, tuple[list[int], float]]:
        """The same of requests to Matrix Authentication Service; empty without ``mas``."""

    @property
    def vault_retries(self) -> int:
        """Requests that were sent again because one before had failed or was not answered."""

    @property
    def cache(self) -> dict[str, int]:
        """Logins accepted from memory (``hit``, ``stale``), and those that were not (``miss``)."""

    @property
    def vault_token_expiry(self) -> float | None:
        """When the module's token ends, in seconds since 1970; ``None`` if that is not known."""

    @property
    def lookups_in_flight(self) -> int:
        """Reads of entries that are under way now."""

@final
class LoginService:
    """Decides logins on threads of its own, which never touch the interpreter.

    All methods return at once and, but for `counts`, belong on one thread, the reactor's.
    """

    def __new__(
        cls,
        settings: Settings,
        server_name: str,
        mas_endpoint: str | None = None,
        *,
        announces_start: bool = False,
    ) -> LoginService:
        """Make a service without threads.

        Args:
            settings: Where the secrets lie.
            server_name: The homeserver's name. Users of others are refused.
            mas_endpoint: Where Matrix Authentication Service serves clients: the ``endpoint`` of
                ``matrix_authentication_service`` in Synapse's configuration.
            announces_start: Whether it finds out after its start whether logins can be decided, and
                says so among the notices.

        Raises:
            ValueError: The endpoint is no address.
        """

    @property
    def login_timeout(self) -> float:
        """The time that one login has, in seconds."""

    def start(self) -> None:
        """Start the threads, after the last fork. Asks nothing of Vault. Idempotent.

        Raises:
            RuntimeError: The system gives no threads or sockets, or TLS cannot be set up.
        """

    def stop(self) -> None:
        """End the threads. Logins under way are never answered, later ones refused. Idempotent."""

    def fileno(self) -> int:
        """Return the descriptor that is readable when `drain` has something, -1 if stopped."""

    def begin(self, number: int, user: object, token_hash: object) -> tuple[Any, Outcome | None]:
        """Begin a login: read the user's entry while the homeserver looks for the account.

        Call `decide` or `abandon` after it, unless there is an outcome already.

        Args:
            number: Under which `drain` will return the outcome.
            user: Who wants to log in: the whole id that the client sent, or the localpart alone.
            token_hash: What the client sent as such, of any type.

        Returns:
            The whole id, or what was sent in its place if that is no text; and the outcome of a
            login that is lost whatever the homeserver and Vault would say, or ``None`` if it is to
            go on.

        Raises:
            RuntimeError: The process forked since `start`.
        """

    def decide(self, number: int, canonical_id: str | None) -> Outcome | None:
        """Decide a login that was begun.

        What was read counts if the account has the id with which the login was begun, or if there
        is no account. Otherwise the entry of the account's id is read.

        Args:
            number: That of `begin`.
            canonical_id: The id that the homeserver has for the user; ``None`` if it has none.

        Returns:
            The outcome if it is known without waiting for Vault, else ``None``.

        Raises:
            RuntimeError: The process forked since `start`.
        """

    def abandon(self, number: int) -> None:
        """Give up a login that was begun: read no further, and return no outcome."""

    def counts(self) -> Counts:
        """Return what has been counted since `start`. May be called on any thread."""

    def begin_check(self, number: int) -> Health | None:
        """Start to find out whether logins could be decided now.

        Args:
            number: Under which `drain` will return what was found.

        Returns:
            The answer of a service that does not run, else ``None``.
        """

    def drain(
        self,
    ) -> tuple[
        list[tuple[int, Outcome]],
        list[tuple[int, str]],
        list[tuple[int, Health]],
        list[tuple[int, MasLogin | MasLogout | MasAnswer]],
    ]:
        """Return some of what has come out; the descriptor stays readable while there is more.

        Returns:
            The logins decided, each with its number; lines for the log that belong to no login,
            each with its level in the numbers of `logging`; what checks found, each with its
            number; and what came of what `MasService` began, each with its number.
        """

@final
class MasSettings:
    """What Python needs to know of ``mas``."""

    @property
    def pass_other_logins(self) -> bool:
        """Whether logins that are not the module's go on to Matrix Authentication Service."""

@final
class OpenedSession:
    """A session that was opened. Its ``repr`` does not show the token."""

    @property
    def access_token(self) -> str:
        """By what it is known from now on."""

    @property
    def device_id(self) -> str:
        """Its device."""

    @property
    def device_display_name(self) -> str | None:
        """What the device is to be called; ``None`` if it has a name or is to have none.

        Matrix Authentication Service does not tell the homeserver.
        """

    @property
    def expires_in_ms(self) -> int | None:
        """How long the token works; ``None`` if it has no end."""

@final
class MasLogin:
    """How a login under Matrix Authentication Service ended, or a registration."""

    @property
    def outcome(self) -> Outcome:
        """How it ended, for the log and the metrics."""

    @property
    def session(self) -> OpenedSession | None:
        """The session; ``None`` if there is none, and after a registration."""

    @property
    def client_error(self) -> tuple[str, str] | None:
        """The ``errcode`` and ``error`` of a 400, which the client is to see."""

@final
class MasLogout:
    """What came of logging out."""

    @property
    def kind(self) -> Literal["done", "not_ours", "unknown_token", "unavailable"]:
        """Whether the sessions have ended, and if not, why.

        ``not_ours``: the token is that of a session that was not opened here, or looks like none.
        ``unknown_token``: nobody may use the token, or no more.
        """

    @property
    def reason(self) -> str | None:
        """Why Matrix Authentication Service is unavailable, for the log alone."""

@final
class MasAnswer:
    """What came of a request that was passed on."""

    @property
    def status(self) -> int | None:
        """The status of the answer; ``None`` if there is none."""

    @property
    def body(self) -> bytes:
        """The body of the answer."""

    @property
    def content_type(self) -> bytes | None:
        """Its header ``Content-Type``."""

    @property
    def retry_after(self) -> bytes | None:
        """Its header ``Retry-After``."""

    @property
    def reason(self) -> str | None:
        """Why there is no answer, for the log alone; ``None`` if there is one."""

@final
class MasService:
    """What a login service does under Matrix Authentication Service.

    All methods return at once and belong on the reactor's thread. What comes of what they begin
    comes out of `LoginService.drain` under the number that they were given, unless they return it
    themselves. All raise ``RuntimeError`` if the process forked since `LoginService.start`.
    """

    def __new__(cls, service: LoginService) -> MasService:
        """Do what is begun here on the threads of this service."""

    def open_session(
        self,
        number: int,
        user_id: str,
        outcome: Outcome,
        *,
        device_id: object,
        device_is_known: bool,
        display_name: object,
        seconds_left: float,
    ) -> MasLogin | None:
        """Begin to open a session for a user whose token hash is right.

        The outcome stays as it is if there is a session in the end. Waits in a queue while others
        are opened, for that user or for many; the outcome is ``overloaded`` if the time passes.

        Args:
            number: Under which `LoginService.drain` will return a `MasLogin`.
            user_id: The canonical id.
            outcome: How the login was decided: `Outcome.accepted`.
            device_id: What the client sent as such, of any type; ``None`` for a new device.
            device_is_known: Whether the homeserver knows that device of the user.
            display_name: What the client sent as ``initial_device_display_name``, of any type.
            seconds_left: The time that is left of ``login_timeout``.
        """

    def register(
        self, number: int, user_id: str, outcome: Outcome, seconds_left: float
    ) -> MasLogin | None:
        """Begin to register a user whose token hash is right and whom the homeserver lacks.

        The outcome is ``registered`` if the account was made, and ``ok`` if another login had made
        it; then Matrix Authentication Service tells the homeserver a moment later, for which the
        caller waits before it opens a session. Else it says why there is no account.

        Args:
            number: Under which `LoginService.drain` will return a `MasLogin` without a session.
            user_id: The whole id, as the account is to be called.
            outcome: How the login was decided: `Outcome.wants_registration`.
            seconds_left: The time that is left of ``login_timeout``.
        """

    def log_out(
        self, number: int, access_token: str, all_sessions: bool, seconds_left: float
    ) -> MasLogout | None:
        """Begin to end sessions that were opened here.

        Args:
            number: Under which `LoginService.drain` will return a `MasLogout`.
            access_token: The token that the client sent.
            all_sessions: Whether all sessions of its user end that were opened here, and not only
                those on its device.
            seconds_left: The time that there is.
        """

    def pass_on(
        self,
        number: int,
        endpoint: Literal["flows", "login", "logout", "logout_all"],
        body: bytes,
        *,
        content_type: bytes | None,
        authorization: bytes | None,
        user_agent: bytes | None,
        client_address: str | None,
    ) -> MasAnswer | None:
        """Begin to pass a request on to where Matrix Authentication Service serves clients.

        No other header goes along; one ``X-Forwarded-For`` is made of ``client_address``.

        Args:
            number: Under which `LoginService.drain` will return a `MasAnswer`.
            endpoint: What the request is for: ``flows`` is ``GET /login``.
            body: Its body; empty for none.
            content_type: Its header ``Content-Type``.
            authorization: Its header ``Authorization``.
            user_agent: Its header ``User-Agent``.
            client_address: The address of the client, as the homeserver sees it.
        """

    def abandon_session(self, number: int, session: OpenedSession | None = None) -> None:
        """End a session that its client will never know of, unless its device was there before.

        Args:
            number: The one that `open_session` was given.
            session: What came of that, if it has come out already.
        """

@final
class ProvisioningSettings:
    """Where the settings of provisioning come from, and which source counts.

    What is given comes first, then the environment, then the configuration of Synapse. All that
    several keys and variables are about, such as the token, comes from one source.
    """

    def __new__(
        cls,
        given: Mapping[str, str],
        environment: Mapping[str, str],
        *,
        homeserver: Mapping[str, str] | None = None,
        module: Mapping[str, str] | None = None,
        as_module: bool = False,
    ) -> ProvisioningSettings:
        """Take the sources; check nothing but that they are JSON.

        Args:
            given: Each key with its value in JSON, as a caller or an option says it.
            environment: The environment variables.
            homeserver: What Synapse's configuration says of the homeserver.
            module: The module's configuration, if there is one.
            as_module: Whether everything about Vault comes from where the module has it: its
                configuration first, and then only those variables that the module knows.
        """

    def kv_location(self) -> tuple[str, int | None, str]:
        """Return where the entries are, for which no token and no address need be known.

        Returns:
            The mount, the version of its engine if it is known, and the path below the mount.

        Raises:
            ConfigurationError: One of them is wrong or missing.
        """

    def token_origin(
        self,
    ) -> tuple[Literal["given", "environment", "module"], str] | None:
        """Return where the token for Vault comes from, or the login that gets one.

        Returns:
            The source, and the key or variable there; `None` if nothing says one.

        Raises:
            ConfigurationError: The module's configuration has a key that is unknown.
        """

    def login_times(self) -> tuple[float, float, float] | None:
        """Return how long the module goes on accepting what Vault no longer holds, in seconds.

        Returns:
            For how long a replaced secret is accepted, a cached one, and a cached one while Vault
            does not answer; `None` if the module's configuration is not known.

        Raises:
            ConfigurationError: One of the settings is wrong or missing.
        """

@disjoint_base
class Provisioner:
    """What `synapse_vault_auth_provider.provisioning.Provisioner` is made of."""

    def __new__(cls, settings: ProvisioningSettings) -> Self:
        """Check the settings; connect to nothing.

        Raises:
            ConfigurationError: The first key or variable that is unknown, missing, of the wrong
                type, or out of range.
        """

    @property
    def homeserver(self) -> str:
        """The homeserver's URL."""

    @property
    def server_name(self) -> str:
        """The name in its users' ids."""

    def awaitable(self) -> Any:
        """Return the same with verbs that return what to await, in place of their results."""

    def close(self) -> None:
        """End the connections once nobody uses them. Later verbs raise. Idempotent."""

    def provision_user(
        self,
        user_id: str,
        *,
        display_name: str | None = None,
        avatar: str | None = None,
        is_admin: bool = False,
        user_type: str | None = None,
        external_id: str | None = None,
        adopt: bool = False,
        reset_cross_signing: bool = False,
        with_token: bool = True,
    ) -> ProvisionedUser:
        """Make an account that logs in through Vault, or find the one that is there.

        No account is ever taken over, and none is left half-made in silence: called again with
        the same arguments, it finishes what was begun or says what is undecided.

        Args:
            user_id: ``@localpart:server``, or the localpart alone; today's grammar of Matrix
                (https://spec.matrix.org/v1.16/appendices/#user-identifiers).
            display_name: What others see the user called.
            avatar: An ``mxc://`` URI, or the path of an image file, which is uploaded.
            is_admin: Whether the user becomes a server administrator. `False` leaves one that is.
            user_type: The account's type, such as ``bot``. Not where Matrix Authentication Service
                signs users in, which has no types.
            external_id: The service's own id of the user. It is kept with the secret, and a call
                with another one for the same account is a conflict.
            adopt: Whether to take an account that exists and was not created by us, or an entry
                without an external id.
            reset_cross_signing: Whether to let the account replace its cross-signing keys for ten
                minutes, where Matrix Authentication Service signs users in. For an account whose
                client has lost them. It takes ``mas_shared_secret``.
            with_token: Whether to log in.

        Returns:
            The account, with a token of a new session if one was wanted.

        Raises:
            ConfigurationError: An argument is wrong, or there is no right to create accounts.
            ConflictError: The account is somebody else's. As `UndecidedError`: it was left
                half-made, and nothing tells whose it is.
            HomeserverError: The homeserver said no.
            VaultError: Vault said no.
            UnreachableError: One of them did not answer in time.
        """

    def login(
        self,
        matrix_user_id: str,
        *,
        device_id: str | None = None,
        device_name: str | None = None,
        logout_others: bool = False,
    ) -> Login:
        """Log in with the secret that Vault holds.

        Args:
            matrix_user_id: The id, spelt as the homeserver spells it, or the localpart.
            device_id: The device to log in; a new one by default.
            device_name: What others see the device called.
            logout_others: Whether all other devices of the account are logged out. Where Matrix
                Authentication Service signs users in, that takes a client of its admin API.

        Returns:
            The session. Where Matrix Authentication Service signs users in and the module serves no
            logins, one that its admin API has opened.

        Raises:
            ConfigurationError: An argument is wrong, or a right is missing.
            VaultError: Vault holds no secret of this user, or does not show it.
            ConflictError: What Vault holds is of no use yet.
            HomeserverError: The homeserver refuses the login.
            UnreachableError: One of them did not answer in time.
        """

    def logout(self, access_token: str) -> None:
        """End a session. One that has ended already is no error.

        Args:
            access_token: The session's token.

        Raises:
            HomeserverError: The homeserver refuses.
            UnreachableError: It did not answer in time.
        """

    def keep_token(
        self,
        matrix_user_id: str,
        keep_in: str,
        *,
        renew_before: float | str | None = None,
        device_id: str | None = None,
        device_name: str | None = None,
        homeserver_url: str | None = None,
        lifetime: float | str | None = None,
        overlap: float | str | None = None,
    ) -> KeptToken:
        """Log in and write the token into an entry of Vault, for a program that cannot log in.

        A token that is there already is replaced on the same device. A call that was killed is
        finished by the next one.

        Args:
            matrix_user_id: The id, or the localpart.
            keep_in: The path of the entry with its mount in front, as ``vault kv get`` takes it.
                The engine must be KV of version 2, and the entry must be for this alone.
            renew_before: Replace the token only if it ends within this time, in seconds or as
                ``"7d"``, or works no more. A token without an end is left.
            device_id: The device of the first token; a new one by default.
            device_name: What others see the device called, if it is new.
            homeserver_url: Where the program reaches the homeserver; where this does by default.
            lifetime: How long the token works, where Matrix Authentication Service (MAS) signs
                users in; the module's ``mas.session_lifetime`` if that is known, else for ever.
            overlap: How long the earlier token goes on working there; five minutes by default. The
                call waits for that time before it ends the earlier session. One that is interrupted
                is finished by the next one.

        Returns:
            What is kept; the token itself is in Vault alone.

        Raises:
            ConfigurationError: The path is not fit for a token.
            ConflictError: The entry holds something else.
            VaultError: Vault holds no secret of this user, or refuses.
            HomeserverError: The homeserver refuses the login.
            UnreachableError: One of them did not answer in time.
        """

    def rotate_secret(self, matrix_user_id: str, *, dry_run: bool = False) -> RotatedSecret:
        """Give an account another secret. Sessions that are open stay open.

        Args:
            matrix_user_id: The id, or the localpart.
            dry_run: Whether only to say what would be done.

        Returns:
            Which version of the entry has the new secret. The secret itself is in Vault.

        Raises:
            VaultError: Vault holds no secret of this user, or refuses the new one.
            ConflictError: What Vault holds is of no use yet.
            UnreachableError: Vault did not answer in time.
        """

    def revoke_user(
        self,
        matrix_user_id: str,
        *,
        deactivate: bool = False,
        wait: bool = False,
        dry_run: bool = False,
    ) -> RevokedUser:
        """Remove an account's secret from Vault, and end what was opened with it.

        With an admin token this works for every account, and also resets the password and removes
        e-mail addresses and telephone numbers. Without one it takes a login with the very secret;
        where that fails, the secret is removed all the same and a warning says what is left. Where
        Matrix Authentication Service signs users in, a client of its admin API is needed in place
        of the admin token; it ends sessions of every kind, and deactivates the account there.

        Args:
            matrix_user_id: The id, or the localpart.
            deactivate: Whether the account is deactivated as well, for good.
            wait: Whether to wait until no session can be opened any more, and to end all then. It
                takes as long as the module caches secrets, however long `timeout` is.
            dry_run: Whether only to say what would be done.

        Returns:
            What was done. If `sessions_ended` is false, call again, with an admin token: from
            `sessions_end_at` on, if that is set.

        Raises:
            ConfigurationError: The account was to be deactivated, and there is no right to do so.
            VaultError: Vault refuses to write or to remove the entry.
            HomeserverError: The homeserver refuses.
            UnreachableError: One of them did not answer in time. Call again to do what is left.
        """

    def update_profile(
        self,
        matrix_user_id: str,
        *,
        display_name: str | None = None,
        avatar: str | None = None,
        access_token: str | None = None,
    ) -> Profile:
        """Set what others see of an account; what is not given stays.

        Args:
            matrix_user_id: The id, or the localpart.
            display_name: What others see the user called.
            avatar: An ``mxc://`` URI, or the path of an image file, which is uploaded.
            access_token: The user's own token. Without it the admin API is used, or else a login
                that lasts for as long as it takes.

        Returns:
            What was set, with the URI of the avatar.

        Raises:
            ConfigurationError: Nothing is given, or the avatar is no image.
            HomeserverError: The homeserver refuses.
            VaultError: Vault holds no secret to log in with, where that is needed.
            UnreachableError: One of them did not answer in time.
        """

    def read_lease(self, matrix_user_id: str) -> Lease:
        """Read a token from the secrets engine that ends with its lease.

        Args:
            matrix_user_id: The id, or the localpart.

        Returns:
            The lease. Vault ends the session when it ends, or with the token for Vault.

        Raises:
            ConfigurationError: `engine` is not given.
            VaultError: The engine does not have the user, or the homeserver refuses it.
            UnreachableError: Vault did not answer in time.
        """

    def renew_lease(self, lease_id: str) -> float:
        """Keep a lease.

        Args:
            lease_id: The name of the lease.

        Returns:
            How long it runs from now on, in seconds. It does not get longer than its longest life.

        Raises:
            ConfigurationError: `engine` is not given.
            VaultError: With status 400, the lease is over or its token is dead.
            UnreachableError: Vault did not answer in time.
        """

    def revoke_lease(self, lease_id: str) -> None:
        """End a lease, and with it the session.

        Args:
            lease_id: The name of the lease.

        Raises:
            ConfigurationError: `engine` is not given.
            VaultError: The token for Vault may not.
            UnreachableError: Vault did not answer in time.
        """

    def list_users(self) -> list[ListedUser]:
        """List the accounts of the server that Vault holds something for, by id.

        Raises:
            VaultError: Vault does not tell.
            UnreachableError: It did not answer in time.
        """

    def diagnose(self, matrix_user_id: str | None = None) -> list[Finding]:
        """Check one after the other what a login needs, and say of each what was found.

        Args:
            matrix_user_id: Whose login to look at, down to logging in and out; by default only
                what all logins have in common.

        Returns:
            The findings, in the order of a login. A check that failed raises no exception.
        """

@final
class ProvisionedUser:
    """An account that logs in through Vault. Its ``repr`` shows no token."""

    @property
    def matrix_user_id(self) -> str:
        """The whole id."""

    @property
    def access_token(self) -> str | None:
        """The token of a new session; ``None`` if none was wanted."""

    @property
    def device_id(self) -> str | None:
        """The session's device; ``None`` if it has none."""

    @property
    def expires_in(self) -> float | None:
        """For how many seconds the access token works; `None` if it has no end."""

    @property
    def home_server(self) -> str:
        """The server name."""

    @property
    def already_exists(self) -> bool:
        """Whether the account was there before."""

    @property
    def cross_signing_reset_until(self) -> str | None:
        """Until when it may replace its cross-signing keys, as of RFC 3339, if that was wanted."""

    @property
    def warnings(self) -> list[str]:
        """What the caller should know."""

    def as_dict(self) -> dict[str, object]:
        """Return all attributes, the token among them."""

@final
class Login:
    """A session. Its ``repr`` shows no token."""

    @property
    def matrix_user_id(self) -> str:
        """The whole id."""

    @property
    def access_token(self) -> str:
        """The session's token."""

    @property
    def device_id(self) -> str:
        """The session's device."""

    @property
    def expires_in(self) -> float | None:
        """For how many seconds the access token works; `None` if it has no end."""

    @property
    def home_server(self) -> str:
        """The server name."""

    def as_dict(self) -> dict[str, object]:
        """Return all attributes, the token among them."""

@final
class KeptToken:
    """A token that is kept in Vault, and there alone."""

    @property
    def matrix_user_id(self) -> str:
        """Whose token it is."""

    @property
    def path(self) -> str:
        """The path of the entry with its mount in front."""

    @property
    def version(self) -> int:
        """The version of the entry."""

    @property
    def device_id(self) -> str | None:
        """The device, which stays the same."""

    @property
    def homeserver_url(self) -> str | None:
        """Where the token works."""

    @property
    def expires_at(self) -> str | None:
        """When the token ends, as of RFC 3339; `None` if nothing limits it."""

    @property
    def session_id(self) -> str | None:
        """The session at Matrix Authentication Service; `None` without it."""

    @property
    def is_new(self) -> bool:
        """Whether this call has opened the session; otherwise nothing was due."""

    @property
    def warnings(self) -> list[str]:
        """What the caller should know, such as that an earlier token goes on working."""

    def as_dict(self) -> dict[str, object]:
        """Return all attributes."""

@final
class Lease:
    """An access token that ends with its lease. Its ``repr`` shows no token."""

    @property
    def matrix_user_id(self) -> str:
        """The whole id."""

    @property
    def access_token(self) -> str:
        """The session's token."""

    @property
    def device_id(self) -> str:
        """The session's device."""

    @property
    def lease_id(self) -> str:
        """The name of the lease."""

    @property
    def duration(self) -> float:
        """How long the lease runs unless it is renewed, in seconds."""

    @property
    def renewable(self) -> bool:
        """Whether it can be renewed."""

    @property
    def homeserver_url(self) -> str:
        """Where the homeserver is, as the engine was told."""

    def as_dict(self) -> dict[str, object]:
        """Return all attributes, the token among them."""

@final
class RotatedSecret:
    """A secret that was replaced."""

    @property
    def matrix_user_id(self) -> str:
        """Whose secret it is."""

    @property
    def version(self) -> int | None:
        """The version of the entry that has the new one; `None` if the secrets engine has it."""

    @property
    def created_time(self) -> str | None:
        """When it was written, by Vault's clock, as of RFC 3339; `None` after a dry run."""

    @property
    def former_kept(self) -> bool:
        """Whether Vault keeps the secret before, without which `rotation_grace` has no effect."""

    @property
    def warnings(self) -> list[str]:
        """What the caller should know."""

    def as_dict(self) -> dict[str, object]:
        """Return all attributes."""

@final
class RevokedUser:
    """An account that nobody can log in to through Vault any more."""

    @property
    def matrix_user_id(self) -> str:
        """Whose account it is."""

    @property
    def secret_removed(self) -> bool:
        """Whether there was anything in Vault to remove."""

    @property
    def sessions_ended(self) -> bool:
        """Whether its sessions were ended, and none can be opened any more."""

    @property
    def sessions_end_at(self) -> str | None:
        """From when on another call ends the sessions for good, as of RFC 3339."""

    @property
    def deactivated(self) -> bool:
        """Whether the account is deactivated."""

    @property
    def warnings(self) -> list[str]:
        """What the caller should know."""

    def as_dict(self) -> dict[str, object]:
        """Return all attributes."""

@final
class Profile:
    """What was set of a profile."""

    @property
    def matrix_user_id(self) -> str:
        """Whose profile it is."""

    @property
    def display_name(self) -> str | None:
        """The display name, if it was set."""

    @property
    def avatar_url(self) -> str | None:
        """The ``mxc://`` URI of the avatar, if it was set."""

    def as_dict(self) -> dict[str, object]:
        """Return all attributes."""

@final
class ListedUser:
    """An account that Vault holds something for."""

    @property
    def matrix_user_id(self) -> str:
        """The whole id."""

    @property
    def state(self) -> Literal["ready", "unfinished", "revoking", "unusable"]:
        """Whether there is a secret, the account was left half-made, or the entry is of no use."""

    @property
    def external_id(self) -> str | None:
        """The service's own id of the user."""

    def as_dict(self) -> dict[str, object]:
        """Return all attributes."""

@final
class Finding:
    """What one check found of what a login needs."""

    @property
    def check(self) -> str:
        """What was looked at."""

    @property
    def status(self) -> Literal["ok", "warning", "failed", "skipped"]:
        """Whether it is as it must be."""

    @property
    def detail(self) -> str:
        """What was found there."""

    @property
    def advice(self) -> str | None:
        """What to do about it."""

    def as_dict(self) -> dict[str, object]:
        """Return all attributes."""

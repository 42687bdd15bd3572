"""Users, as the admin API makes, shows and changes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from .admin import (
    ROOT,
    Caller,
    Endpoint,
    filters,
    invalid_filter,
    page,
    single,
    truth_in_filter,
)
from .database import Database
from .homeserver import Homeserver
from .http_types import (
    Answer,
    RefusedError,
    Request,
    database_error,
    decoded,
    error,
    flag,
    optional_text,
    text_field,
    ulid_in_path,
)
from .jobs import Jobs
from .records import User

_USERNAME = re.compile(r"[a-z0-9=./+-][a-z0-9=_./+-]{0,254}")

SHORTEST_PASSWORD = 8
"""The stand-in's own measure of a password that is not too weak."""


class AdminUsers:
    def __init__(self, database: Database, homeserver: Homeserver, jobs: Jobs) -> None:
        self._database = database
        self._homeserver = homeserver
        self._jobs = jobs
        self.takes_passwords = True
        self.takes_displayname = True
        """Whether `displayname` and `avatar_url` count, as they do since MAS 1.18."""

    def endpoints(self) -> Iterable[Endpoint]:
        users = f"{ROOT}/users"
        yield Endpoint("GET", users, self.list)
        yield Endpoint("POST", users, self.create)
        # Before the one for ids: an id has no slash in it.
        yield Endpoint("GET", f"{users}/by-username/{{username}}", self.by_username)
        yield Endpoint("GET", f"{users}/{{id}}", self.get)
        for verb in ("lock", "unlock", "deactivate", "reactivate", "set-admin", "set-password"):
            handler = getattr(self, verb.replace("-", "_"))
            yield Endpoint("POST", f"{users}/{{id}}/{verb}", handler)

    def list(self, _: Caller, request: Request) -> Answer:
        wanted = filters(request, ("admin", "search", "status"))
        users = list(self._database.users.values())
        if "admin" in wanted:
            is_admin = truth_in_filter(wanted["admin"][0])
            users = [user for user in users if user.is_admin == is_admin]
        if "search" in wanted:
            users = [user for user in users if wanted["search"][0] in user.username]
        if "status" in wanted:
            is_wanted = _STATUSES.get(wanted["status"][0])
            if is_wanted is None:
                raise invalid_filter()
            users = [user for user in users if is_wanted(user)]
        return page(request, User.collection, users)

    def create(self, _: Caller, request: Request) -> Answer:
        body = request.json()
        username = text_field(body, "username")
        skip_check = flag(body, "skip_homeserver_check")
        displayname = optional_text(body, "displayname") if self.takes_displayname else None
        avatar_url = optional_text(body, "avatar_url") if self.takes_displayname else None
        if "\0" in username:
            return database_error()
        if self._database.user_by_name(username) is not None:
            return error(409, "User already exists")
        if not _USERNAME.fullmatch(username):
            return error(400, "Username is not valid")
        if not self._homeserver.is_localpart_available(username) and not skip_check:
            return error(409, "Username is reserved by the homeserver")
        user = User(self._database.clock.new_id(), username, self._database.clock.now())
        self._homeserver.provision_user(username, displayname=displayname, avatar_url=avatar_url)
        if request.is_gone():
            # MAS drops the work of a request whose sender has gone, and its transaction with it.
            return error(500, "cancelled")
        with self._database.lock:
            if self._database.user_by_name(username) is not None:
                return error(500, "error returned from database")
            self._database.users[user.id] = user
        return single(201, user)

    def by_username(self, _: Caller, __: Request, username: str) -> Answer:
        name = decoded(username, "username")
        if "\0" in name:
            return database_error()
        user = self._database.user_by_name(name)
        if user is None:
            return error(404, f'User with username "{name}" not found')
        return single(200, user, path=f"{ROOT}/users/by-username/{name}")

    def get(self, _: Caller, __: Request, user_id: str) -> Answer:
        return single(200, self._user(user_id))

    def lock(self, _: Caller, __: Request, user_id: str) -> Answer:
        user = self._user(user_id)
        user.locked_at = user.locked_at or self._database.clock.now()
        self._tell_lock(user)
        return self._changed(user, "lock")

    def unlock(self, _: Caller, __: Request, user_id: str) -> Answer:
        user = self._user(user_id)
        user.locked_at = None
        self._tell_lock(user)
        return self._changed(user, "unlock")

    def deactivate(self, _: Caller, request: Request, user_id: str) -> Answer:
        skip_erase = flag(request.json(is_optional=True), "skip_erase")
        user = self._user(user_id)
        user.deactivated_at = user.deactivated_at or self._database.clock.now()
        self._jobs.add(lambda: self._end_everything(user, erase=not skip_erase))
        return self._changed(user, "deactivate")

    def reactivate(self, _: Caller, __: Request, user_id: str) -> Answer:
        user = self._user(user_id)
        self._homeserver.reactivate_user(user.username)
        user.deactivated_at = None
        return self._changed(user, "reactivate")

    def set_admin(self, _: Caller, request: Request, user_id: str) -> Answer:
        is_admin = flag(request.json(), "admin", default=None)
        user = self._user(user_id)
        user.is_admin = is_admin
        return self._changed(user, "set-admin")

    def set_password(self, _: Caller, request: Request, user_id: str) -> Answer:
        body = request.json()
        password = text_field(body, "password")
        skip_check = flag({"skip": body.get("skip_password_check") or False}, "skip")
        if not self.takes_passwords:
            return error(403, "Password auth is disabled")
        user = self._user(user_id)
        if not skip_check and len(password) < SHORTEST_PASSWORD:
            return error(400, "Password is too weak")
        user.password = password
        return Answer(204, content_type=None)

    def _user(self, user_id: str) -> User:
        user = self._database.users.get(ulid_in_path(decoded(user_id)))
        if user is None:
            raise RefusedError(error(404, f"User ID {user_id} not found"))
        return user

    def _changed(self, user: User, verb: str) -> Answer:
        return single(200, user, path=f"{ROOT}/users/{user.id}/{verb}")

    def _tell_lock(self, user: User) -> None:
        self._jobs.add(
            lambda: self._homeserver.provision_user(
                user.username, is_locked=user.locked_at is not None
            )
        )

    def _end_everything(self, user: User, *, erase: bool) -> None:
        database = self._database
        database.finish(database.user_sessions, lambda one: one.user_id == user.id)
        database.finish(database.oauth2_sessions, lambda one: one.user_id == user.id)
        database.finish(database.compat_sessions, lambda one: one.user_id == user.id)
        database.finish(
            database.personal_sessions, lambda one: user.id in (one.user_id, one.owner_user_id)
        )
        with database.lock:
            for email in [one for one in database.emails.values() if one.user_id == user.id]:
                del database.emails[email.id]
        self._homeserver.delete_user(user.username, erase=erase)


_STATUSES: dict[str, Callable[[User], bool]] = {
    "active": lambda user: user.is_active,
    "locked": lambda user: not user.is_active,
    "deactivated": lambda user: user.deactivated_at is not None,
}

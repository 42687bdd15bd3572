"""What the admin API tells of MAS itself, and what belongs to users beside their sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .admin import ROOT, Caller, Endpoint, filters, page, single, ulid_in_filter
from .database import Database
from .http_types import (
    Answer,
    Request,
    decoded,
    error,
    in_json,
    optional_text,
    text_field,
    ulid_field,
    ulid_in_path,
)
from .records import UpstreamLink, UserEmail


class AdminSite:
    def __init__(
        self, database: Database, server_name: str, takes_passwords: Callable[[], bool]
    ) -> None:
        self._database = database
        self._takes_passwords = takes_passwords
        self.server_name = server_name
        self.version = "v1.22.0-stand-in"

    def endpoints(self) -> Iterable[Endpoint]:
        yield Endpoint("GET", f"{ROOT}/version", self.tell_version)
        yield Endpoint("GET", f"{ROOT}/site-config", self.site_config)
        emails = f"{ROOT}/user-emails"
        yield Endpoint("GET", emails, self.emails)
        yield Endpoint("POST", emails, self.add_email)
        yield Endpoint("GET", f"{emails}/{{id}}", self.email)
        yield Endpoint("DELETE", f"{emails}/{{id}}", self.delete_email)
        links = f"{ROOT}/upstream-oauth-links"
        yield Endpoint("GET", links, self.links)
        yield Endpoint("POST", links, self.add_link)
        yield Endpoint("GET", f"{links}/{{id}}", self.link)
        yield Endpoint("DELETE", f"{links}/{{id}}", self.delete_link)

    def tell_version(self, _: Caller, __: Request) -> Answer:
        return in_json(200, {"version": self.version})

    def site_config(self, _: Caller, __: Request) -> Answer:
        passwords = self._takes_passwords()
        return in_json(
            200,
            {
                "server_name": self.server_name,
                "password_login_enabled": passwords,
                "password_registration_enabled": False,
                "password_registration_email_required": True,
                "password_registration_token_required": False,
                "registration_token_required": False,
                "email_change_allowed": True,
                "displayname_change_allowed": True,
                "password_change_allowed": passwords,
                "account_recovery_allowed": False,
                "account_deactivation_allowed": True,
                "captcha_enabled": False,
                "minimum_password_complexity": 3,
            },
        )

    def emails(self, _: Caller, request: Request) -> Answer:
        wanted = filters(request, ("user", "email"))
        emails = list(self._database.emails.values())
        if "user" in wanted:
            user_id = ulid_in_filter(wanted["user"][0])
            if user_id not in self._database.users:
                return error(404, f"User ID {user_id} not found")
            emails = [email for email in emails if email.user_id == user_id]
        if "email" in wanted:
            emails = [email for email in emails if email.email == wanted["email"][0]]
        return page(request, UserEmail.collection, emails)

    def add_email(self, _: Caller, request: Request) -> Answer:
        body = request.json()
        user_id, address = ulid_field(body, "user_id"), text_field(body, "email")
        if user_id not in self._database.users:
            return error(404, f"User ID {user_id} not found")
        if "@" not in address:
            return error(400, f'Email "{address}" is not valid')
        if any(email.email == address for email in self._database.emails.values()):
            return error(409, f'User email "{address}" already in use')
        clock = self._database.clock
        email = UserEmail(clock.new_id(), user_id, address, clock.now())
        self._database.emails[email.id] = email
        return single(201, email)

    def email(self, _: Caller, __: Request, email_id: str) -> Answer:
        email = self._database.emails.get(ulid_in_path(decoded(email_id)))
        return single(200, email) if email else error(404, f"User email ID {email_id} not found")

    def delete_email(self, _: Caller, __: Request, email_id: str) -> Answer:
        if self._database.emails.pop(ulid_in_path(decoded(email_id)), None) is None:
            return error(404, f"User email ID {email_id} not found")
        return Answer(204, content_type=None)

    def links(self, _: Caller, request: Request) -> Answer:
        wanted = filters(request, ("user", "provider", "subject"))
        links = list(self._database.links.values())
        if "user" in wanted:
            user_id = ulid_in_filter(wanted["user"][0])
            if user_id not in self._database.users:
                return error(404, f"User ID {user_id} not found")
            links = [link for link in links if link.user_id == user_id]
        if "provider" in wanted:
            links = [link for link in links if link.provider_id == wanted["provider"][0]]
        if "subject" in wanted:
            links = [link for link in links if link.subject == wanted["subject"][0]]
        return page(request, UpstreamLink.collection, links)

    def add_link(self, _: Caller, request: Request) -> Answer:
        body = request.json()
        user_id, provider_id = ulid_field(body, "user_id"), ulid_field(body, "provider_id")
        subject = text_field(body, "subject")
        if user_id not in self._database.users:
            return error(404, f"User ID {user_id} not found")
        for link in self._database.links.values():
            if (link.provider_id, link.subject) == (provider_id, subject):
                if link.user_id not in (None, user_id):
                    return error(409, f"Upstream Oauth 2.0 Link already exists: {link.id}")
                link.user_id = user_id
                return single(200, link)
        clock = self._database.clock
        link = UpstreamLink(
            id=clock.new_id(),
            user_id=user_id,
            provider_id=provider_id,
            subject=subject,
            created_at=clock.now(),
            human_account_name=optional_text(body, "human_account_name"),
        )
        self._database.links[link.id] = link
        return single(201, link)

    def link(self, _: Caller, __: Request, link_id: str) -> Answer:
        link = self._database.links.get(ulid_in_path(decoded(link_id)))
        return single(200, link) if link else error(404, f"Upstream link ID {link_id} not found")

    def delete_link(self, _: Caller, __: Request, link_id: str) -> Answer:
        if self._database.links.pop(ulid_in_path(decoded(link_id)), None) is None:
            return error(404, f"Upstream link ID {link_id} not found")
        return Answer(204, content_type=None)

"""How MAS keeps the homeserver's devices as its sessions have them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from .database import Database
from .homeserver import Homeserver
from .jobs import Jobs
from .records import User


class DeviceSync:
    """Adds devices at once, and removes those without a session a little later."""

    def __init__(self, database: Database, homeserver: Homeserver, jobs: Jobs) -> None:
        self._database = database
        self._homeserver = homeserver
        self._jobs = jobs
        self._lock = threading.Lock()
        self._adding: Counter[str] = Counter()
        self.peak = 0
        """How many sessions with devices were in the making at once, at most."""
        self.peak_of_a_user = 0
        """The same, of one user."""

    def add(self, user: User, device_ids: Iterable[str], name: str | None = None) -> None:
        """Tell the homeserver of devices while the request, its connection and a lock wait."""
        device_ids = list(device_ids)
        if not device_ids:
            return
        with self._lock:
            self._adding[user.id] += 1
            self.peak = max(self.peak, self._adding.total())
            self.peak_of_a_user = max(self.peak_of_a_user, self._adding[user.id])
        try:
            with self._database.device_sync(user.id):
                for device_id in device_ids:
                    self._homeserver.upsert_device(user.username, device_id, name)
        finally:
            with self._lock:
                self._adding[user.id] -= 1

    def schedule(self, user_id: str) -> None:
        """Have the devices removed that no session has any more."""
        self._jobs.add(lambda: self._sync(user_id))

    def _sync(self, user_id: str) -> None:
        user = self._database.users[user_id]
        with self._database.device_sync(user_id):
            self._homeserver.sync_devices(user.username, self._database.devices(user_id))

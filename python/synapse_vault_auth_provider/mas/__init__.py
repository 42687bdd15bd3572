"""Logins where Matrix Authentication Service (MAS) decides who users are.

Synapse loads no password providers then and serves no ``/login``, so the module serves one of its
own below ``/_synapse/client/``. The sessions are personal sessions of MAS.
"""

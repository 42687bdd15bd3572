"""A stand-in for Matrix Authentication Service (MAS), of which no package exists.

It follows MAS' own documents and what was seen of MAS 1.22, and is no proof of how MAS behaves: a
test holds its paths, methods, statuses and names against MAS' description of its admin API. Real
Synapse accepts its tokens, and it calls Synapse's real `/_synapse/mas/*`.

Documentation: https://element-hq.github.io/matrix-authentication-service/
"""

from .clients import Client
from .server import Mas

__all__ = ["Client", "Mas"]

"""LocalStack 4.13 gives uuid5 bytes as a name, which Python takes from 3.12 on."""
import uuid
from hashlib import sha1

_uuid5 = uuid.uuid5


def uuid5(namespace, name):
    if isinstance(name, str):
        return _uuid5(namespace, name)
    return uuid.UUID(bytes=sha1(namespace.bytes + name).digest()[:16], version=5)


uuid.uuid5 = uuid5

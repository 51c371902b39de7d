"""What the lab tells RabbitMQ about users."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from decamp.lab import databases, layout
from decamp.lab.layout import CloudName, Settings


def test_rabbitmq_gets_a_salted_hash_of_the_password_and_a_virtual_host_for_each_cloud(tmp_path: Path) -> None:
    lab = layout.create(tmp_path, Settings())

    definitions = databases.definitions(lab)

    (user,) = definitions["users"]
    decoded = base64.b64decode(user["password_hash"])
    assert decoded[4:] == hashlib.sha256(decoded[:4] + lab.passwords.messaging.encode()).digest()
    assert lab.passwords.messaging not in str(definitions)
    assert [host["name"] for host in definitions["vhosts"]] == list(CloudName)
    assert {permission["vhost"] for permission in definitions["permissions"]} == set(CloudName)

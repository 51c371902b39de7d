"""Images with real bytes, made once: by the names that the blueprint gives them."""

from __future__ import annotations

from typing import Any

from openstack.connection import Connection
from openstack.exceptions import raise_from_response

from decamp.lab.seed import guest_bytes
from decamp.lab.seed.blueprint import Image
from decamp.model.errors import Failed


def ensure(connection: Connection, image: Image, name: str, *, public: bool) -> str:
    """Returns the image's id; one that an interrupted seed left without bytes is made again. Raises Failed where it does not become active.

    Over plain REST: the SDK's own upload adds properties of its own, which an image would carry with it for ever.
    """
    glance: Any = connection.image
    for found in glance.images(name=name, owner=connection.current_project_id):
        if found.status == "active":
            return found.id
        glance.delete_image(found)
    body = {
        "name": name,
        "disk_format": "raw",
        "container_format": "bare",
        "visibility": "public" if public else "private",
        "min_disk": 1,
        "min_ram": 256,
        "tags": ["golden"],
        **image.properties,
    }
    response = glance.post("/images", json=body)
    raise_from_response(response)
    image_id: str = response.json()["id"]
    # the label is the image's own name: an image of another name in another cloud has the same bytes
    data = guest_bytes.image(image.name, image.size_bytes)
    response = glance.put(f"/images/{image_id}/file", data=data, headers={"Content-Type": "application/octet-stream"})
    raise_from_response(response)
    made = glance.get_image(image_id)
    if made.status != "active":
        raise Failed(f"The image {name} is {made.status} after its upload.")
    return image_id

"""What is asked of Glance about images: listed, read, changed, deleted, waited for. Their bytes are in `image_bytes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from openstack.exceptions import raise_from_response

from decamp.clouds import Cloud
from decamp.model.errors import Failed
from decamp.resources import calls
from decamp.resources.calls import Json
from decamp.resources.waiting import wait_until

GONE_SECONDS = 600

RETRIES = 3
"""Of a reading call whose connection broke: what was streamed before it should not be lost for that."""


def listed(cloud: Cloud, **query: str) -> Iterator[Json]:
    """Images, page after page; hidden ones are in a listing of their own (os_hidden=true)."""
    marker: dict[str, str] = {}
    while True:
        with cloud.calling("list images"):
            response = cloud.connection.image.get("/images", params={**query, **marker, "limit": calls.PAGE})
            raise_from_response(response)
            answer = response.json()
        yield from answer["images"]
        if not answer.get("next") or not answer["images"]:
            return
        marker = {"marker": answer["images"][-1]["id"]}


def got(cloud: Cloud, id: str) -> Json | None:
    """Null where it is not there, or not to be seen with these credentials."""
    with cloud.calling(f"read image {id}"):
        response = cloud.connection.image.get(f"/images/{id}", connect_retries=RETRIES)
        if response.status_code == 404:
            return None
        raise_from_response(response)
        return response.json()


def patch(cloud: Cloud, id: str, values: Json) -> None:
    """Set attributes, whether or not the image has them already."""
    changes = [{"op": "add", "path": f"/{name}", "value": value} for name, value in values.items()]
    with cloud.calling(f"change image {id}"):
        headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        raise_from_response(cloud.connection.image.patch(f"/images/{id}", json=changes, headers=headers))


def delete(cloud: Cloud, id: str) -> None:
    """And wait until it is gone."""
    calls.deleted(cloud, "image", f"/images/{id}")

    def still_there() -> bool:
        image = got(cloud, id)
        return image is not None and image["status"] not in ("deleted", "pending_delete")

    calls.gone(f"{cloud.name}: image {id}", still_there, GONE_SECONDS)


def with_tag(cloud: Cloud, tag: str) -> Iterator[Json]:
    for hidden in ("false", "true"):
        yield from listed(cloud, tag=tag, os_hidden=hidden, owner=cloud.project_id)


def with_name(cloud: Cloud, name: str) -> list[Json]:
    """Those of the project that bear this very name."""
    return [image for image in listed(cloud, name=name, owner=cloud.project_id) if image["name"] == name]


def wait_active(cloud: Cloud, id: str, *, timeout_seconds: float, cancelled: Callable[[], bool]) -> Json:
    """Until Glance has all the bytes that Nova or Cinder send it. Raises Failed if they gave up."""

    def active() -> Json | None:
        image = got(cloud, id)
        if image is None or image["status"] in ("killed", "deleted", "pending_delete", "deactivated"):
            raise Failed(f"{cloud.name}: image {id} came to nothing: it is {image['status'] if image else 'gone'}")
        return image if image["status"] == "active" else None

    return wait_until(f"image {id} is active in {cloud.name}", active, timeout_seconds=timeout_seconds, cancelled=cancelled)


def hash_of(image: Json) -> dict[str, str]:
    """Algorithm -> hex digest, as Glance keeps it: os_hash_* since Rocky, md5 alone before; empty for an image that has none."""
    if image.get("os_hash_algo") and image.get("os_hash_value"):
        return {image["os_hash_algo"]: image["os_hash_value"]}
    if image.get("checksum"):
        return {"md5": image["checksum"]}
    return {}

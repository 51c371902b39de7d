"""What the SDK raises, told in Decamp's words: by what the operator does next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from keystoneauth1 import exceptions as ksa
from openstack import exceptions as sdk

from decamp.model.errors import BadInput, Changed, Error, Failed, Refused, Unanswered, Unreachable

BUSY = {408, 413, 425, 429, 500, 502, 503, 504}
"""Statuses after which the same call may succeed later; 413 with Retry-After is how old Nova says that a rate limit was hit."""
GIVEN_UP = {408, 500, 502, 504}
"""Of these, what is said by a proxy, or by a service of a part of its own, that has ceased to wait for who may still be at it."""


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn what the SDK raises in the block into one of ours. `where` names the cloud and what was tried: "old: list servers"."""
    try:
        yield
    except Error:
        raise
    except (sdk.SDKException, ksa.ClientException, requests.RequestException, ConnectionError, TimeoutError) as error:
        raise translate(error, where) from error


def translate(error: Exception, where: str) -> Error:
    text = _told(error)
    match error:
        case sdk.ConfigException() | ksa.MissingRequiredOptions() | ksa.NoMatchingPlugin() | ksa.MissingAuthPlugin():
            return BadInput(f"{where}: the entry in clouds.yaml cannot be used: {text}")
        case ksa.Unauthorized():
            return BadInput(f"{where}: the credentials were not accepted (401). Check the entry in clouds.yaml.")
        case ksa.DiscoveryFailure():
            return Unreachable(f"{where}: no answer: {text}")
        case ksa.ConnectFailure() | ksa.UnknownConnectionError() | ksa.RetriableConnectionFailure():
            return Unanswered(f"{where}: no answer: {text}")
        case ksa.EndpointNotFound() | sdk.ServiceDisabledException() | sdk.ServiceDiscoveryException() | sdk.NotSupported():
            return Unreachable(f"{where}: the service is not in the catalogue, or does not answer: {text}")
        case sdk.HttpException() | ksa.HttpError():
            return _by_status(error, where, text)
        case sdk.ResourceTimeout() | requests.RequestException() | ConnectionError() | TimeoutError():
            return Unanswered(f"{where}: no answer: {text}")
        case _:
            return Failed(f"{where}: {text}")


def _by_status(error: sdk.HttpException | ksa.HttpError, where: str, text: str) -> Error:
    status = getattr(error, "status_code", None) or getattr(error, "http_status", None) or 0
    if status == 401:
        return BadInput(f"{where}: the credentials were not accepted (401). Check the entry in clouds.yaml.")
    if status == 413 and not _says_when(error):
        return Failed(f"{where}: more than the service takes (413): {text}")
    if status == 403 and "quota" in text.lower():
        return Failed(f"{where}: {text} (403)")
    if status == 403:
        return Refused(f"{where}: not allowed with these credentials (403): {text}")
    if status == 404:
        return Changed(f"{where}: not there any more (404): {text}")
    if status in BUSY:
        kind = Unanswered if status in GIVEN_UP else Unreachable
        return kind(f"{where}: the service cannot answer now ({status}): {text}")
    return Failed(f"{where}: {status}: {text}")


def _says_when(error: sdk.HttpException | ksa.HttpError) -> bool:
    """Quotas, size limits and full stores are told with the same status in Cinder and Glance, at most with `Retry-After: 0`."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return headers.get("Retry-After", "0") != "0"


def _told(error: Exception) -> str:
    """The service's own sentence where there is one, in one line."""
    details = getattr(error, "details", None)
    message = details if isinstance(details, str) and details.strip() else str(error)
    return " ".join(message.split()).partition(": HTTPConnectionPool(")[0][:600] or type(error).__name__

import pytest
import requests
from keystoneauth1 import exceptions as ksa
from openstack import exceptions as sdk

from decamp.clouds import translated
from decamp.model.errors import BadInput, Changed, Error, Failed, Refused, Unanswered, Unreachable


def http(status: int, details: str, **headers: str) -> sdk.HttpException:
    response = requests.Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return sdk.HttpException(message="told", response=response, details=details)


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (http(401, "no"), BadInput),
        (http(403, "policy"), Refused),
        (http(403, "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"), Failed),
        (http(413, "VolumeLimitExceeded", retry_after="0"), Failed),
        (http(413, "There is not enough disk space on the image storage media"), Failed),
        (http(413, "This request was rate-limited.", retry_after="7"), Unreachable),
        (http(404, "gone"), Changed),
        (http(409, "in use"), Failed),
        (http(400, "bad"), Failed),
        (http(429, "slow down"), Unreachable),
        (http(500, "oops"), Unanswered),
        (http(502, "the proxy had no answer"), Unanswered),
        (http(503, "later"), Unreachable),
        (http(504, "the proxy waited in vain"), Unanswered),
        (ksa.Unauthorized("no"), BadInput),
        (ksa.ConnectFailure("refused"), Unanswered),
        (ksa.EndpointNotFound("none"), Unreachable),
        (ksa.MissingRequiredOptions([]), BadInput),
        (sdk.ConfigException("Cloud x was not found."), BadInput),
        (sdk.ResourceTimeout("slow"), Unanswered),
        (requests.exceptions.ChunkedEncodingError("cut"), Unanswered),
        (ConnectionResetError("reset"), Unanswered),
        (sdk.ResourceFailure("went to ERROR"), Failed),
    ],
)
def test_what_the_sdk_raises_becomes_what_the_operator_does_next(raised: Exception, ours: type[Error]) -> None:
    with pytest.raises(ours, match=r"^old: list servers: ") as caught, translated("old: list servers"):
        raise raised
    assert type(caught.value) is ours


def test_the_service_s_own_sentence_is_kept_in_one_line() -> None:
    with pytest.raises(Failed, match="Quota exceeded for cores: asked 2, 0 left"), translated("new: create"):
        raise http(409, "Quota exceeded\n  for cores:   asked 2, 0 left")


def test_our_own_errors_pass_untouched() -> None:
    with pytest.raises(Refused, match=r"^no$"), translated("old: x"):
        raise Refused("no")


def test_mistakes_in_our_code_are_not_dressed_up() -> None:
    with pytest.raises(KeyError), translated("old: x"):
        raise KeyError("x")

from test_needs import making

from decamp.model.plan import Action, MoveGoal, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource, Survey
from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, survey

GOAL = MoveGoal(project="p")
VOLUME = Resource(kind="volume", id="v", fingerprint="fv")
SNAPSHOT = Resource(kind="server_snapshot", id="s")
STOP = Action(id="stop", verb=Verb.STOP_SERVER, target=Ref("server", "s"))
LOCK = Action(id="lock", verb=Verb.LOCK_SERVER, target=Ref("server", "s"))


def cloud(status: str) -> Survey:
    return survey(resources=(VOLUME, server(status)))


def server(status: str = "ACTIVE") -> Resource:
    return Resource(kind="server", id="s", needs=(VOLUME.ref,), spec={"status": status}, fingerprint="fs")


def reading(*after: str) -> tuple[Action, Action]:
    volume = making(VOLUME, *after)
    return making(VOLUME, *after, args={**volume.args, "manner": "copy"}), making(SNAPSHOT, *after, expects=None)


def test_a_disk_is_read_after_its_server_is_stopped():
    old = cloud("ACTIVE")
    for read, read_in_time in zip(reading(), reading("stop"), strict=True):
        assert broken(by_hand(old, STOP, read, goal=GOAL), old) == {Rule.HAND_OVER}
        assert broken(by_hand(old, STOP, read_in_time, goal=GOAL), old) == set()


def test_a_disk_of_a_server_that_is_stopped_may_be_read_at_once():
    old = cloud("SHUTOFF")
    assert broken(by_hand(old, *reading(), goal=GOAL), old) == set()


def test_a_volume_whose_bytes_are_not_read_does_not_wait():
    old = cloud("ACTIVE")
    assert broken(by_hand(old, making(VOLUME), goal=GOAL), old) == set()


def test_an_old_server_is_locked_after_its_copy_is_there():
    old = cloud("SHUTOFF")
    volume = making(VOLUME)
    copy = making(server("SHUTOFF"), volume.id)
    assert broken(by_hand(old, volume, copy, LOCK, goal=GOAL), old) == {Rule.HAND_OVER}
    locked_in_time = Action(id="lock", verb=Verb.LOCK_SERVER, target=Ref("server", "s"), after=(copy.id,))
    assert broken(by_hand(old, volume, copy, locked_in_time, goal=GOAL), old) == set()

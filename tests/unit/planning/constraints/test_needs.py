from decamp.model.plan import MoveGoal, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, making, survey

NETWORK = Resource(kind="network", id="n", fingerprint="fn")
SUBNET = Resource(kind="subnet", id="s", needs=(NETWORK.ref,), fingerprint="fs")
OLD = survey(resources=(NETWORK, SUBNET))
GOAL = MoveGoal(project="p")


def test_what_is_needed_is_there_first_made_or_adopted():
    for verb in (Verb.CREATE, Verb.ADOPT):
        network = making(NETWORK, verb=verb)
        assert broken(by_hand(OLD, network, making(SUBNET, network.id), goal=GOAL), OLD) == set()


def test_a_need_that_may_be_made_later_is_caught():
    assert broken(by_hand(OLD, making(NETWORK), making(SUBNET), goal=GOAL), OLD) == {Rule.NEEDS}


def test_a_need_that_nobody_makes_is_caught():
    assert broken(by_hand(OLD, making(SUBNET), goal=GOAL), OLD) == {Rule.NEEDS}


def test_nothing_is_made_twice_nor_made_and_adopted():
    for verb in (Verb.CREATE, Verb.ADOPT):
        again = making(NETWORK, verb=verb, id="again")
        assert broken(by_hand(OLD, making(NETWORK), again, goal=GOAL), OLD) == {Rule.TWICE}


def test_a_resource_that_is_not_the_target_is_caught():
    assert Rule.VERBS in broken(by_hand(OLD, making(NETWORK, target=Ref("network", "other")), goal=GOAL), OLD)
    assert Rule.VERBS in broken(by_hand(OLD, making(NETWORK, args={"resource": "nonsense"}), goal=GOAL), OLD)


def test_a_copy_of_something_that_has_changed_is_caught():
    assert broken(by_hand(OLD, making(NETWORK, expects="other"), goal=GOAL), OLD) == {Rule.EXPECTS}


def test_a_copy_of_something_that_is_not_there_is_caught():
    assert broken(by_hand(OLD, making(Resource(kind="network", id="gone")), goal=GOAL), OLD) == {Rule.TARGETS}

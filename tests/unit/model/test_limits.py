"""What counts as a move, and how many have their turn at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decamp.model.limits import Limits, Move, Turn, admit, moves_of
from decamp.model.plan import Action, MoveGoal, Plan, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref


def on(verb: Verb, kind: str, id: str, *after: str, **args: object) -> Action:
    return Action(id=f"{verb}/{kind}/{id}", verb=verb, target=Ref(kind, id), after=after, args=args)


def hand_over(server: str, *after: str, host: str | None = "cmp-1") -> list[Action]:
    """With a volume whose bytes are carried."""
    needs = [["volume", f"v-{server}"], ["server_snapshot", server], ["network", "net"]]
    resource = {"kind": "server", "id": server, "project": "acme", "needs": needs, "info": {"host": host}}
    return [
        on(Verb.STOP_SERVER, "server", server, *after),
        on(Verb.CREATE, "server_snapshot", server, f"stop_server/server/{server}"),
        on(Verb.CREATE, "volume", f"v-{server}", f"stop_server/server/{server}", manner="copy"),
        on(Verb.CREATE, "server", server, f"create/server_snapshot/{server}", f"create/volume/v-{server}", resource=resource),
        on(Verb.LOCK_SERVER, "server", server, f"create/server/{server}"),
    ]


def plan(*actions: Action, goal: MoveGoal | VacateGoal | None = None) -> Plan:
    return Plan(goal=goal or MoveGoal(project="acme"), made_from={}, actions=actions)


def test_a_move_is_all_that_is_done_to_a_server_and_the_copying_of_its_disks() -> None:
    net = on(Verb.CREATE, "network", "net")
    floating = on(Verb.CREATE, "floating_ip", "f", "create/server/a")
    moves = moves_of(plan(net, *hand_over("a", net.id), *hand_over("b", net.id, host=None), floating))
    assert {action for action, move in moves.items() if move.name == "server/a"} == {action.id for action in hand_over("a")}
    assert {net.id, floating.id}.isdisjoint(moves)
    assert set(moves.values()) == {
        Move(name="server/a", project="acme", hosts=("cmp-1",)),
        Move(name="server/b", project="acme"),
    }


def test_servers_that_wait_for_each_other_are_one_move() -> None:
    stack = on(Verb.CREATE, "stack", "s", "stop_server/server/a", "stop_server/server/b")
    resource = {"kind": "server", "id": "b", "project": "acme", "needs": [], "info": {"host": "cmp-2"}}
    actions = [
        on(Verb.STOP_SERVER, "server", "a"),
        on(Verb.STOP_SERVER, "server", "b"),
        stack,
        on(Verb.TAKE_MEMBER, "server", "a", stack.id, resource={**resource, "id": "a", "info": {"host": "cmp-1"}}),
        on(Verb.TAKE_MEMBER, "server", "b", stack.id, resource=resource),
    ]
    moves = moves_of(plan(*actions, *hand_over("c")))
    assert {moves[action.id].name for action in actions if action is not stack} == {"server/a"}
    assert moves[actions[0].id].hosts == ("cmp-1", "cmp-2")
    assert moves["stop_server/server/c"].name == "server/c"


def test_what_is_adopted_is_not_moved_and_a_vacate_moves_nothing_to_the_new_cloud() -> None:
    assert moves_of(plan(on(Verb.ADOPT, "server", "a"))) == {}
    assert moves_of(plan(*hand_over("a"), goal=VacateGoal(max=True))) == {}


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.lists(st.integers(0, 30), max_size=3)), max_size=30))
def test_no_move_waits_for_another(drawn: list[tuple[int, bool, list[int]]]) -> None:
    actions: list[Action] = []
    for number, (server, is_of_server, before) in enumerate(drawn):
        after = tuple(actions[one % number].id for one in before if number)
        ref = Ref("server", f"s{server}") if is_of_server else Ref("port", f"p{number}")
        actions.append(Action(id=f"a{number}", verb=Verb.CREATE, target=ref, after=after))
    moves = moves_of(plan(*actions))
    behind: dict[str, set[str]] = {}
    for action in actions:
        behind[action.id] = set().union(*(behind[other] | {other} for other in action.after))
        if action.id in moves:
            assert {moves[other].name for other in behind[action.id] if other in moves} <= {moves[action.id].name}


def turn(name: str, project: str = "p", *hosts: str, run: str = "r") -> Turn:
    return Turn(run=run, move=Move(name=name, project=project, hosts=hosts))


def names(turns: tuple[Turn, ...]) -> list[str]:
    return [one.move.name for one in turns]


def test_each_limit_is_kept_and_says_what_is_full() -> None:
    asked = [turn("a", "p", "h1"), turn("b", "p", "h2"), turn("c", "q", "h1"), turn("d", "q", "h3"), turn("e", "s", "h4")]
    limits = Limits(moves=3, moves_per_project=1, moves_per_host=1)
    granted, waiting = admit(asked, [turn("x", "t", "h9", run="other")], [], limits, most=10)
    assert names(granted) == ["a", "d"]
    assert [(one.move.name, full.text) for one, full in waiting] == [
        ("b", "waits for its turn: 1 server is moved at a time of project p (policy.moves_per_project)"),
        ("c", "waits for its turn: 1 server is moved at a time of host h1 (policy.moves_per_host)"),
        ("e", "waits for its turn: 3 servers are moved at a time (policy.moves)"),
    ]
    assert [one.run for one in waiting[2][1].turns] == ["other", "r", "r"]


def test_a_server_whose_host_nobody_sees_counts_for_no_host() -> None:
    granted, _ = admit([turn("a"), turn("b")], [], [], Limits(moves_per_host=1), most=10)
    assert names(granted) == ["a", "b"]


def test_who_goes_first_has_the_places_that_he_could_have_and_no_others() -> None:
    ahead = [turn("x", "full", run="first"), turn("y", "q", run="first")]
    held = [turn("z", "full", run="other")]
    limits = Limits(moves=3, moves_per_project=1)
    granted, waiting = admit([turn("a"), turn("b", "t")], held, ahead, limits, most=10)
    assert (names(granted), [one.move.name for one, _ in waiting]) == (["a"], ["b"])


@given(
    st.lists(st.tuples(st.sampled_from("pqr"), st.lists(st.sampled_from("123"), unique=True, max_size=2)), max_size=20),
    st.lists(st.one_of(st.none(), st.integers(1, 4)), min_size=3, max_size=3),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_there_are_never_more_than_the_limits_and_everybody_has_his_turn(drawn, limits, most, random) -> None:
    left = [turn(str(number), project, *hosts) for number, (project, hosts) in enumerate(drawn)]
    these = Limits(moves=limits[0], moves_per_project=limits[1], moves_per_host=limits[2])
    held: list[Turn] = []
    while left or held:
        granted, _ = admit(left, held, [], these, most)
        assert granted or held, "nobody moves, and nobody may"
        held += granted
        left = [one for one in left if one not in granted]
        assert len(held) <= (these.moves or len(held))
        for project in "pqr":
            assert sum(one.move.project == project for one in held) <= (these.moves_per_project or len(held))
        for host in "123":
            assert sum(host in one.move.hosts for one in held) <= (these.moves_per_host or len(held))
        held.remove(random.choice(held))


def test_policy_says_the_limits_in_numbers() -> None:
    policy = Policy(moves=4, moves_per_host=1, copy_rate="100MB/s", copy_rate_per_project="10MiB/s")
    assert policy.limits == Limits(moves=4, moves_per_host=1, copy_rate=100_000_000, copy_rate_per_project=10 << 20)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("copy_rate", "fast", "copy_rate: 'fast' is no rate"),
        ("copy_rate_per_project", "0B/s", "copy_rate_per_project: '0B/s' lets nothing"),
        ("moves", 0, "moves: 0 would let nothing be moved: 1 at least, or leave it out"),
        ("moves_per_host", -1, "moves_per_host: -1 would let nothing"),
    ],
)
def test_a_limit_that_is_none_is_refused_by_its_name(field: str, value: str | int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Policy(**{field: value})

from decamp.model.amounts import Inventory
from decamp.planning.constraints import capacity
from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, host, migration, said, server, survey


def test_a_host_can_hold_what_placement_says_less_what_others_than_servers_hold():
    inventories = {"VCPU": Inventory(total=8, reserved=1, allocation_ratio=1.5), "DISK_GB": Inventory(total=100, reserved=10)}
    assert capacity.capacity(host("a", inventories=inventories, other_allocations={"VCPU": 2})) == {"VCPU": 8, "DISK_GB": 90}


def test_a_class_that_the_host_does_not_have_is_missing_whole():
    assert capacity.missing(host("a"), {}, {"VGPU": 1, "VCPU": 8}) == {"VGPU": 1}


def test_a_host_that_is_filled_to_the_last_unit_is_no_violation():
    s1, s2 = server("s1", "a", vcpus=4), server("s2", "b", vcpus=4)
    old = survey([host("a"), host("b")], [s1, s2])
    assert Rule.CAPACITY not in broken(by_hand(old, migration(s1, "b")), old)


def test_a_host_that_is_filled_beyond_is_a_violation_in_numbers():
    s1, s2 = server("s1", "a", vcpus=5), server("s2", "b", vcpus=4)
    old = survey([host("a"), host("b")], [s1, s2])
    assert said(by_hand(old, migration(s1, "b")), old, Rule.CAPACITY) == [
        "b may lack 1 VCPU: it can hold 8192 MEMORY_MB, 8 VCPU, and others may hold 2048 MEMORY_MB, 4 VCPU of it."
    ]


def test_room_that_another_migration_frees_may_be_used_only_after_it():
    s1, s2 = server("s1", "a", vcpus=8), server("s2", "b", vcpus=8)
    old = survey([host("a"), host("b"), host("c")], [s1, s2])
    frees = migration(s2, "c")
    assert Rule.CAPACITY in broken(by_hand(old, frees, migration(s1, "b")), old)
    assert Rule.CAPACITY not in broken(by_hand(old, frees, migration(s1, "b", after=[frees.id])), old)


def test_a_swap_of_two_full_hosts_is_caught_since_both_sides_are_held():
    s1, s2 = server("s1", "a", vcpus=8), server("s2", "b", vcpus=8)
    old = survey([host("a"), host("b")], [s1, s2])
    first = migration(s1, "b")
    assert Rule.CAPACITY in broken(by_hand(old, first, migration(s2, "a", after=[first.id])), old)


def test_servers_that_arrive_unordered_are_counted_together():
    servers = [server(f"s{n}", "a", vcpus=3) for n in range(2)]
    old = survey([host("a"), host("b"), host("c", vcpus=4)], servers)
    assert Rule.CAPACITY in broken(by_hand(old, *(migration(one, "c") for one in servers)), old)


def test_a_server_that_only_passes_through_holds_room_until_it_has_left():
    s1, s2 = server("s1", "a", vcpus=8), server("s2", "b", vcpus=8)
    old = survey([host("a"), host("b"), host("c"), host("d")], [s1, s2])
    into = migration(s1, "c")
    out = migration(server("s1", "c", vcpus=8), "d", after=[into.id], number=2)
    assert Rule.CAPACITY in broken(by_hand(old, into, out, migration(s2, "c", after=[into.id])), old)
    assert Rule.CAPACITY not in broken(by_hand(old, into, out, migration(s2, "c", after=[out.id])), old)


def test_an_overfull_host_is_no_violation_of_a_plan_that_brings_nothing_there():
    s1, s2 = server("s1", "a", vcpus=9), server("s2", "a", vcpus=1)
    old = survey([host("a"), host("b")], [s1, s2])
    assert Rule.CAPACITY not in broken(by_hand(old, migration(s2, "b")), old)

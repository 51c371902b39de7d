from decamp.model.policy import Policy
from decamp.planning.curve import vacate_curve
from decamp.planning.pace import Pace
from small_clouds import host, server, survey


def test_each_further_host_costs_no_less_and_no_point_undercuts_its_bound():
    hosts = [host(f"h{number}", vcpus=8) for number in range(6)]
    servers = [
        server(f"s{number}-{n}", f"h{number}", vcpus=1, memory_mib=64, migration_bytes=(number + 1) * 10**9)
        for number in range(5)
        for n in range(2)
    ]
    points = vacate_curve(survey(hosts, servers), Policy())
    assert [point.hosts for point in points] == [1, 2, 3, 4]
    assert [point.bytes for point in points] == sorted(point.bytes for point in points)
    assert all(point.bytes >= point.bytes_lower_bound for point in points)
    assert points[0].bytes == 0
    assert points[1].bytes == points[1].bytes_lower_bound == 2 * 10**9


def test_a_cloud_in_which_nothing_can_be_freed_has_no_curve():
    assert vacate_curve(survey([host("a")], [server("s", "a")]), Policy()) == ()
    assert vacate_curve(survey([], []), Policy()) == ()


def test_a_planner_without_time_has_no_curve():
    assert vacate_curve(survey([host("a"), host("b")], [server("s", "a")]), Policy(), pace=Pace(seconds_left=lambda: 0)) == ()

from decamp.hosts.live_migration import Progress

GIB = 2**30


def stalled(*seen: tuple[float, str, int | None]) -> float:
    """Seconds for which it has stalled at the last of these looks: (time, status, remaining bytes)."""
    progress, result = Progress(0), 0.0
    for now, status, remaining in seen:
        result = progress.stalled_for(status, remaining, now)
    return result


def test_a_migration_whose_rest_falls_does_not_stall() -> None:
    assert stalled((0, "running", 4 * GIB), (60, "running", 3 * GIB), (120, "running", 2 * GIB)) == 0


def test_a_rest_that_rises_again_in_each_round_counts_by_its_lowest_mark() -> None:
    assert stalled((0, "running", 4 * GIB), (60, "running", GIB), (120, "running", 3 * GIB), (180, "running", 2 * GIB)) == 120
    assert stalled((0, "running", 4 * GIB), (60, "running", GIB), (120, "running", 3 * GIB), (180, "running", GIB - 1)) == 0


def test_a_new_status_is_progress_also_where_no_figures_are_told() -> None:
    assert stalled((0, "running", None), (60, "running", None)) == 60
    assert stalled((0, "preparing", None), (60, "running", None), (90, "running", None)) == 30
    assert stalled((0, "running", GIB), (60, "running", GIB), (70, "post-migrating", None)) == 0


def test_what_waits_for_its_turn_or_is_prepared_does_not_stall() -> None:
    assert stalled((0, "queued", None), (60, "queued", None), (120, "preparing", None), (600, "preparing", None)) == 0
    assert stalled((0, "preparing", None), (600, "running", None), (630, "running", None)) == 30


def test_a_migration_in_post_copy_may_stall() -> None:
    assert stalled((0, "running (post-copy)", GIB), (60, "running (post-copy)", GIB)) == 60

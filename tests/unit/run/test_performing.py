"""One action, from its claim to its end, with a database and without DBOS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from clerk import QUICK, Clerk, a_plan, an_action, failing

from decamp.model.effects import Attempt
from decamp.model.errors import Changed, Failed, Refused, Unanswered, Unreachable
from decamp.model.plan import Action, ConfirmGoal, Plan, UndoGoal, VacateGoal, Verb
from decamp.model.refs import Ref
from decamp.model.run import ActionReport, ActionState
from decamp.model.setbacks import Failure, Setback
from decamp.run import chains, journal, workers
from decamp.run.attention import Attention
from decamp.run.database import Database, open_database
from decamp.run.pacing import Rations, Turnstile
from decamp.run.patience import Patience
from decamp.run.performing import Job, Office, Stopped, TakeBack, mark_of, perform_action
from decamp.run.runs import Runs


class Bench:
    """A run of one plan, whose actions a test performs one by one."""

    def __init__(self, database: Database, *actions: Action, goal: VacateGoal | UndoGoal | ConfirmGoal | None = None) -> None:
        self.database, self.clerk = database, Clerk()
        self.plan: Plan = a_plan(*actions, goal=goal)
        self.worker = workers.this_process()
        self.run = journal.begin(database, self.plan, 4, self.worker)
        self.round = 1
        self.stopping = threading.Event()

    def office(self, patience: Patience = QUICK, take_back: TakeBack | None = None) -> Office:
        return Office(
            database=self.database,
            performers=dict.fromkeys(Verb, self.clerk),
            worker=self.worker.id,
            old="old",
            new="new",
            patience=patience,
            attention=Attention(self.database),
            turnstile=Turnstile(self.database),
            rations=Rations(self.database),
            take_back=take_back,
            stopping=self.stopping.is_set,
        )

    def job(self, name: str, **fields: object) -> Job:
        action = next(action for action in self.plan.actions if action.id == name)
        sources = chains.bearings(self.database, self.run).sources
        return Job(run=self.run, round=self.round, action=action, plan=self.plan, sources=sources, **fields)  # type: ignore[arg-type]

    def perform(self, name: str = "a", **options: Patience) -> ActionState:
        return perform_action(self.office(**options), self.job(name))

    def resume(self) -> None:
        journal.end_run(self.database, self.run, self.round)
        self.round = journal.resume(self.database, self.run, self.worker)

    def dies(self) -> None:
        """A first attempt does, in the middle of its request."""

        def die(_attempt: Attempt) -> None:
            raise Stopped

        self.clerk.when["perform a"] = die
        with pytest.raises(Stopped):
            self.perform()
        del self.clerk.when["perform a"]

    def arriving(self, looks: int) -> Callable[[Attempt], None]:
        """What was asked for shows at so many looks for it."""

        def look(attempt: Attempt) -> None:
            if self.clerk.calls.count("find a") == looks:
                self.clerk.there[attempt.mark] = "new-a"

        return look

    def report(self, name: str = "a") -> ActionReport:
        return next(action for action in Runs(self.database).report(self.run).actions if action.id == name)


@pytest.fixture
def database(tmp_path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path}/decamp.sqlite", create=True)
    assert database
    yield database
    database.close()


def test_a_first_attempt_compares_performs_verifies_and_looks_for_nothing(database: Database) -> None:
    bench = Bench(database, an_action("a", expects="fp-1"))
    bench.clerk.fingerprints["a"] = "fp-1"
    assert bench.perform() is ActionState.DONE
    assert bench.clerk.calls == ["fingerprint a", "perform a", "verify a"]
    report = bench.report()
    assert (report.state, report.attempts, report.said, report.bytes) == (ActionState.DONE, 1, "made a", 5)
    assert report.started_at
    assert report.ended_at
    (entry,) = Runs(database).ledger.entries(bench.run)
    assert (entry.cloud, entry.ref, entry.new_id, entry.fingerprint, entry.facts) == ("old", Ref("thing", "a"), "new-a", "fp", {"was": "a"})
    assert entry.verified_at


@pytest.mark.parametrize(("now", "words"), [("fp-2", "has changed since"), (None, "is not there any more")])
def test_a_target_that_changed_since_the_plan_is_not_touched(database: Database, now: str | None, words: str) -> None:
    bench = Bench(database, an_action("a", expects="fp-1"))
    bench.clerk.fingerprints["a"] = now
    assert bench.perform() is ActionState.FAILED
    assert bench.clerk.performed() == []
    report = bench.report()
    assert report.error_kind == "changed"
    assert words in (report.error or "")


def test_no_answer_is_tried_again_until_there_is_one(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["perform a"] = failing(Unreachable("old: no answer"), times=3)
    assert bench.perform() is ActionState.DONE
    assert bench.clerk.performed() == ["a"] * 4
    assert bench.clerk.calls.count("find a") == 3


def test_a_call_that_arrived_though_no_answer_came_is_found_and_not_repeated(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["performed a"] = failing(Unreachable("new: connection lost"))
    assert bench.perform() is ActionState.DONE
    assert bench.clerk.performed() == ["a"]
    assert bench.report().said == "found"


ARRIVES_LATE = Patience(first_seconds=0.01, longest_seconds=0.02, total_seconds=60, arrives_seconds=60)


def test_what_a_request_without_an_answer_asked_for_is_looked_for_until_it_shows(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["perform a"] = failing(Unanswered("new: no answer"))
    bench.clerk.when["find a"] = bench.arriving(looks=2)
    assert bench.perform(patience=ARRIVES_LATE) is ActionState.DONE
    assert (bench.clerk.performed(), bench.clerk.calls.count("find a"), bench.report().said) == (["a"], 2, "found")


def test_after_a_crash_it_is_looked_for_as_well(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.dies()
    bench.clerk.when["find a"] = bench.arriving(looks=2)
    assert bench.perform(patience=ARRIVES_LATE) is ActionState.DONE
    assert (bench.clerk.performed(), bench.report().said) == (["a"], "found")


def test_long_after_a_crash_one_look_is_enough(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.dies()
    time.sleep(0.3)
    assert bench.perform(patience=msgspec.structs.replace(ARRIVES_LATE, arrives_seconds=0.2)) is ActionState.DONE
    assert (bench.clerk.performed(), bench.clerk.calls.count("find a")) == (["a", "a"], 1)


def test_an_action_that_failed_with_an_answer_has_nothing_on_its_way(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["perform a"] = failing(Failed("new: 409: the name is taken"), times=2)
    assert bench.perform(patience=ARRIVES_LATE) is ActionState.FAILED
    bench.resume()
    assert bench.perform(patience=ARRIVES_LATE) is ActionState.FAILED
    assert [call for call in bench.clerk.calls if call != "fingerprint a"] == ["perform a", "find a", "perform a"]


def test_an_action_that_is_given_up_without_an_answer_may_have_something_on_its_way(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["perform a"] = failing(Unanswered("new: no answer"))
    impatient = Patience(first_seconds=0.01, longest_seconds=0.01, total_seconds=0)
    assert bench.perform(patience=impatient) is ActionState.FAILED
    bench.resume()
    bench.clerk.when["find a"] = bench.arriving(looks=2)
    assert bench.perform(patience=ARRIVES_LATE) is ActionState.DONE
    assert (bench.clerk.performed(), bench.report().said) == (["a"], "found")


def test_a_service_that_answers_that_it_is_busy_has_begun_nothing_and_is_asked_again_at_once(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["perform a"] = failing(Unreachable("new: the service cannot answer now (503)"))
    assert bench.perform(patience=ARRIVES_LATE) is ActionState.DONE
    assert (bench.clerk.performed(), bench.clerk.calls.count("find a")) == (["a", "a"], 1)


def test_what_is_refused_because_the_request_before_has_made_it_is_found(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    errors = iter([Unanswered("new: no answer"), Failed("new: 409: it is there already")])
    bench.clerk.when["perform a"] = lambda attempt: failing(next(errors))(attempt)
    bench.clerk.when["find a"] = bench.arriving(looks=2)
    assert bench.perform() is ActionState.DONE
    assert (bench.clerk.performed(), bench.report().said) == (["a", "a"], "found")


def test_what_is_refused_though_nothing_was_made_fails(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    errors = iter([Unanswered("new: no answer"), Failed("new: 409: the name is taken")])
    bench.clerk.when["perform a"] = lambda attempt: failing(next(errors))(attempt)
    assert bench.perform() is ActionState.FAILED
    assert (bench.report().error, bench.clerk.calls.count("find a")) == ("new: 409: the name is taken", 2)


def test_patience_with_a_service_that_never_answers_ends(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["perform a"] = failing(Unreachable("old: no answer"), times=10_000)
    assert bench.perform(patience=Patience(first_seconds=0.01, longest_seconds=0.02, total_seconds=2)) is ActionState.FAILED
    assert bench.report().error_kind == "unreachable"
    assert len(bench.clerk.performed()) > 3


def test_an_error_fails_the_action_with_its_sentence_and_without_secrets(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["perform a"] = failing(Failed("new: 500: X-Auth-Token: gAAAAB is wrong"))
    assert bench.perform() is ActionState.FAILED
    assert (bench.report().error_kind, bench.report().error) == ("failed", "new: 500: X-Auth-Token: *** is wrong")


def test_a_defect_fails_the_action_and_is_called_one(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["perform a"] = failing(KeyError("flavor"))
    assert bench.perform() is ActionState.FAILED
    assert bench.report().error_kind == "bug"
    assert "defect in Decamp" in (bench.report().error or "")


def test_what_differs_from_the_plan_is_failed_and_after_resume_verified_again_and_not_made_again(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.differences["a"] = ("the mtu is 1400, not 1500",)
    assert bench.perform() is ActionState.FAILED
    assert "mtu is 1400" in (bench.report().error or "")
    assert Runs(database).ledger.entries(bench.run)[0].verified_at is None

    bench.clerk.differences.clear()
    bench.resume()
    assert bench.perform() is ActionState.DONE
    assert bench.clerk.performed() == ["a"]
    assert Runs(database).ledger.entries(bench.run)[0].verified_at


def test_after_a_failure_the_next_attempt_looks_first_for_what_the_failed_one_left(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["performed a"] = failing(Failed("timed out"))
    assert bench.perform() is ActionState.FAILED
    bench.resume()
    assert bench.perform() is ActionState.DONE
    assert bench.clerk.performed() == ["a"]


def test_the_mark_is_that_of_the_action_in_the_run_at_every_attempt(database: Database) -> None:
    bench = Bench(database, an_action("a"), an_action("b"))
    marks: list[str] = []

    def see(attempt: Attempt) -> None:
        marks.append(attempt.mark)
        raise Failed

    bench.clerk.when["perform a"] = bench.clerk.when["perform b"] = see
    bench.perform("a")
    bench.perform("b")
    bench.resume()
    bench.perform("a")
    assert marks[0] == marks[2] == mark_of(bench.run, "a")
    assert marks[0] != marks[1]
    assert mark_of("other-run", "a") != marks[0]


def test_when_the_process_ends_the_action_is_left_for_another(database: Database) -> None:
    bench = Bench(database, an_action("a"))

    def end(attempt: Attempt) -> None:
        bench.stopping.set()
        assert attempt.cancelled()
        raise Failed("I was told to stop")

    bench.clerk.when["performed a"] = end
    with pytest.raises(Stopped):
        bench.perform()
    assert bench.report().state is ActionState.RUNNING

    bench.stopping.clear()
    bench.clerk.when.clear()
    assert bench.perform() is ActionState.DONE
    assert bench.clerk.performed() == ["a"]


def test_an_action_that_stops_since_the_run_is_cancelled_is_cancelled_and_not_failed(database: Database) -> None:
    bench = Bench(database, an_action("a"))

    def cancel(attempt: Attempt) -> None:
        Runs(database).cancel(bench.run)
        while not attempt.cancelled():
            time.sleep(0.05)
        raise Failed("stopped at a safe point")

    bench.clerk.when["perform a"] = cancel
    assert bench.perform() is ActionState.CANCELLED
    assert bench.report().error == "stopped at a safe point"


def test_an_execution_that_another_has_taken_over_from_writes_nothing(database: Database) -> None:
    bench = Bench(database, an_action("a"))

    def take_over(_attempt: Attempt) -> None:
        bench.clerk.when.clear()
        assert perform_action(bench.office(), bench.job("a")) is ActionState.DONE

    bench.clerk.when["perform a"] = take_over
    with pytest.raises(Stopped):
        bench.perform()
    assert bench.report().state is ActionState.DONE
    assert len(Runs(database).ledger.entries(bench.run)) == 1


def test_an_action_of_an_earlier_round_does_nothing(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["perform a"] = failing(Failed("x"))
    bench.perform()
    bench.resume()
    bench.round -= 1
    assert bench.perform() is ActionState.CANCELLED
    assert bench.report().state is ActionState.WAITING


def test_later_actions_are_given_ids_and_facts_of_earlier_ones(database: Database) -> None:
    bench = Bench(database, an_action("a"), an_action("b", "a"))
    given: dict[str, object] = {}

    def look(attempt: Attempt) -> None:
        given.update(id=attempt.ids[Ref("thing", "a")], facts=attempt.facts["a"], count=len(attempt.ids))

    bench.perform("a")
    bench.clerk.when["perform b"] = look
    bench.perform("b")
    assert given == {"id": "new-a", "facts": {"was": "a"}, "count": 1}


def test_undoing_gives_the_facts_of_what_is_undone_and_takes_its_ids_out_of_the_ledger(database: Database) -> None:
    first = Bench(database, an_action("a"), an_action("b"))
    first.perform("a")
    first.perform("b")
    journal.end_run(database, first.run, 1)
    assert set(Runs(database).ledger.ids("old", "new").values()) == {"new-a", "new-b"}
    assert Runs(database).ledger.ids("old", "elsewhere") == {}

    remove = an_action("remove", verb=Verb.REMOVE, target=Ref("thing", "a"), args={"cloud": "new", "id": "new-a"})
    undo = Bench(database, remove, goal=UndoGoal(run=first.run))
    seen: list[object] = []
    undo.clerk.when["perform remove"] = lambda attempt: seen.append(attempt.facts["a"])
    assert perform_action(undo.office(), undo.job("remove")) is ActionState.DONE
    assert seen == [{"was": "a"}]
    assert Runs(database).ledger.ids("old", "new") == {Ref("thing", "b"): "new-b"}
    removed = {entry.action: entry.removed_at for entry in Runs(database).ledger.entries(first.run)}
    assert removed["a"]
    assert removed["b"] is None


def test_confirming_removes_the_old_one_and_keeps_the_ids(database: Database) -> None:
    first = Bench(database, an_action("a"))
    first.perform("a")
    journal.end_run(database, first.run, 1)
    remove = an_action("remove", verb=Verb.REMOVE, target=Ref("thing", "a"), args={"cloud": "old", "id": "a"})
    confirm = Bench(database, remove, goal=ConfirmGoal(run=first.run))
    assert confirm.perform("remove") is ActionState.DONE
    assert Runs(database).ledger.ids("old", "new") == {Ref("thing", "a"): "new-a"}


def test_a_lock_of_another_run_is_waited_for_and_that_is_told(database: Database) -> None:
    first = Bench(database, an_action("a", locks=("host:1", "host:2")))
    second = Bench(database, an_action("b", locks=("host:2", "host:3")))
    said: list[str] = []

    def meanwhile(_attempt: Attempt) -> None:
        waiting.start()
        deadline = time.monotonic() + 20
        while not said and time.monotonic() < deadline:
            said.extend(text for text in [second.report("b").said] if text)
            time.sleep(0.05)
        assert second.clerk.performed() == []

    waiting = threading.Thread(target=lambda: second.perform("b"))
    first.clerk.when["perform a"] = meanwhile
    assert first.perform("a") is ActionState.DONE
    waiting.join(timeout=20)
    assert said == [f"waits for host:2, which a of run {first.run} has"]
    assert second.report("b").state is ActionState.DONE


def test_a_lock_whose_run_was_interrupted_is_refused_and_the_way_out_is_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Bench(database, an_action("a", locks=("host:1",)))
    first.stopping.set()
    first.clerk.when["perform a"] = lambda _: None
    with pytest.raises(Stopped):
        first.perform("a")
    workers.leave(database, first.worker.id)
    monkeypatch.setattr(workers, "DEAD_AFTER_SECONDS", 0.1)
    second = Bench(database, an_action("b", locks=("host:1",)))
    assert second.perform("b") is ActionState.FAILED
    assert second.report("b").error_kind == "refused"
    assert f"decamp resume {first.run}" in (second.report("b").error or "")


def test_progress_is_in_the_report(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    seen: list[object] = []

    def copy(attempt: Attempt) -> None:
        attempt.progress(10, 100)
        seen.append(bench.report().progress)
        attempt.progress(20, 100)
        seen.append(bench.report().progress)
        attempt.progress(100, 100)
        seen.append(bench.report().progress)

    bench.clerk.when["perform a"] = copy
    bench.perform()
    assert seen == [(10, 100), (10, 100), (100, 100)]


def test_settling_journals_what_is_there_and_begins_nothing(database: Database) -> None:
    bench = Bench(database, an_action("a"), an_action("b"), an_action("c"))
    bench.clerk.when["performed a"] = failing(Failed("timed out"))
    bench.clerk.when["perform b"] = failing(Failed("no quota"))
    bench.perform("a")
    bench.perform("b")
    journal.end_run(database, bench.run, 1)
    assert journal.unsettled(database, bench.run) == ("a", "b")

    bench.round = journal.begin_settling(database, bench.run, bench.worker)
    for name in journal.unsettled(database, bench.run):
        perform_action(bench.office(), bench.job(name, settle=True))

    assert bench.clerk.performed() == ["a", "b"]
    assert bench.report("a").state is ActionState.DONE
    assert (bench.report("b").state, bench.report("b").error) == (ActionState.FAILED, "no quota")
    assert journal.unsettled(database, bench.run) == ()
    assert [entry.action for entry in Runs(database).ledger.entries(bench.run)] == ["a"]


def test_a_run_that_left_something_unknown_behind_is_not_undone_before_it_is_settled(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["perform a"] = failing(Failed("timed out"))
    bench.perform()
    journal.end_run(database, bench.run, 1)
    with pytest.raises(Refused, match="decamp cancel"):
        Bench(database, an_action("u"), goal=UndoGoal(run=bench.run))


def test_changed_from_within_a_performer_is_kept_as_such(database: Database) -> None:
    bench = Bench(database, an_action("a"))
    bench.clerk.when["perform a"] = failing(Changed("it is not there any more"))
    bench.perform()
    assert bench.report().error_kind == "changed"


def migration(**fields: object) -> Action:
    args = {"from": "h1", "to": "h2"}
    return an_action("a", **({"verb": Verb.LIVE_MIGRATE, "target": Ref("server", "s"), "args": args, "expects": "fp-1"} | fields))


@pytest.mark.parametrize("verb", [Verb.LIVE_MIGRATE, Verb.COLD_MIGRATE, Verb.SHELVE])
def test_a_server_that_is_gone_has_left_its_host(database: Database, verb: Verb) -> None:
    bench = Bench(database, migration(verb=verb))
    bench.clerk.fingerprints["a"] = None
    assert bench.perform() is ActionState.DONE
    assert bench.clerk.performed() == []
    assert "verify a" not in bench.clerk.calls
    assert bench.report().said == "server s is gone: nothing to migrate"
    assert Runs(database).chain(bench.run).links[0].gone == {"a"}


def test_a_server_that_is_deleted_while_it_is_migrated_has_left_its_host(database: Database) -> None:
    bench = Bench(database, migration())
    bench.clerk.fingerprints["a"] = "fp-1"

    def delete(_attempt: Attempt) -> None:
        bench.clerk.fingerprints["a"] = None
        raise Changed("it was deleted while it was migrated")

    bench.clerk.when["perform a"] = delete
    assert bench.perform() is ActionState.DONE


def test_a_server_that_is_deleted_before_its_migration_is_verified_has_left_its_host(database: Database) -> None:
    bench = Bench(database, migration())
    bench.clerk.fingerprints["a"] = "fp-1"
    bench.clerk.differences["a"] = ("it is not there any more",)
    bench.clerk.when["verify a"] = lambda _: bench.clerk.fingerprints.update(a=None)
    assert bench.perform() is ActionState.DONE


def test_a_setback_is_kept_for_those_who_plan_the_rest(database: Database) -> None:
    bench = Bench(database, migration())
    bench.clerk.fingerprints["a"] = "fp-1"
    setback = Setback(failure=Failure.NO_VALID_HOST, servers=("s",), host="h2")
    bench.clerk.when["perform a"] = failing(Failed("no valid host", setback=setback))
    assert bench.perform() is ActionState.FAILED
    assert bench.report().setback == setback
    bench.resume()
    assert bench.report().setback is None


def test_what_is_claimed_after_a_drain_or_a_cancel_does_not_begin(database: Database) -> None:
    for number, stop in enumerate((chains.drain, lambda database, run, _round: journal.ask_cancel(database, run))):
        bench = Bench(database, an_action("a"), an_action(f"b{number}"))
        stop(database, bench.run, bench.round)
        assert bench.perform() is ActionState.CANCELLED
        assert bench.clerk.calls == []


def test_a_worker_that_takes_over_a_failed_hook_goes_on_to_take_back_and_does_not_run_it_again(database: Database) -> None:
    target = Ref("server", "s")
    create, hook = an_action("c", target=target), an_action("h", "c", verb=Verb.RUN_HOOK, target=target)
    bench = Bench(database, create, hook)
    bench.perform("c")
    remove = an_action("remove", verb=Verb.REMOVE, target=target)
    office = bench.office(take_back=lambda *_: ((remove,), ()))
    bench.clerk.when["perform h"] = failing(Failed("it does not work"))
    bench.clerk.when["performed remove"] = lambda _: bench.stopping.set()
    with pytest.raises(Stopped):
        perform_action(office, bench.job("h"))

    bench.stopping.clear()
    bench.clerk.when.pop("performed remove")
    assert perform_action(office, bench.job("h")) is ActionState.FAILED
    assert bench.clerk.performed() == ["c", "h", "remove"]
    assert (bench.report("c").state, bench.report("h").attempts) == (ActionState.UNDONE, 2)
    assert "it does not work" in (bench.report("h").error or "")

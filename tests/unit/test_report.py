"""Who is shown what of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from clerk import Clerk

from decamp import app
from decamp.bootstrap import Place
from decamp.clouds import Cloud
from decamp.model.errors import Refused, Unreachable
from decamp.model.plan import Verb
from decamp.model.run import RunState
from decamp.run.engine import Engine
from decamp.run.succession import Follow
from decamp.settings import Settings
from small_projects import move, old, port, server


class Known(Cloud):
    """A cloud that only says who is asking."""

    def __init__(self, project: str, *, is_admin: bool, answers: bool = True) -> None:
        self.name, self._project, self._is_admin, self._answers = "c", project, is_admin, answers

    @property
    def project_id(self) -> str:  # type: ignore[override]
        return self._project

    @property
    def admin(self) -> bool:
        if not self._answers:
            raise Unreachable("c: no answer")
        return self._is_admin


class Asked(Place):
    def __init__(self, folder: Path, **clouds: Known) -> None:
        super().__init__(Settings(state=f"sqlite:///{folder}/decamp.sqlite"))
        self._known = clouds

    def cloud(self, word: str) -> Cloud:
        return self._known[word]

    def engine(self, follow: Follow | None = None) -> Engine:
        clerk = Clerk()
        clerk.fingerprint = lambda action: action.expects  # type: ignore[method-assign]
        return Engine(self.settings.state_url, dict.fromkeys(Verb, clerk), follow=follow, leave_seconds=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs are kept: one, which moved a server of the project alpha-id."""
    folder = tmp_path_factory.mktemp("state")
    with Asked(folder).engine() as engine:
        assert engine.wait(engine.begin(move(old(port("nic"), server("web", ["nic"])), None, "web"))).state is RunState.DONE
    return folder


def the_run(place: Place) -> str:
    return app.list_runs(place)[0].id


def test_an_administrator_sees_all_and_may_ask_for_one_project(folder: Path) -> None:
    place = Asked(folder, old=Known("admin", is_admin=True))
    whole = app.report(place, the_run(place))
    assert {item.kind for item in whole.items} >= {"server", "flavor", "image"}
    assert whole.project is None
    assert {item.project for item in app.report(place, the_run(place), project="alpha-id").items} == {"alpha-id"}


def test_a_tenant_sees_his_own_alone(folder: Path) -> None:
    place = Asked(folder, old=Known("alpha-id", is_admin=False))
    assert {item.project for item in app.report(place, the_run(place)).items} == {"alpha-id"}
    with pytest.raises(Refused, match="for administrators"):
        app.report(place, the_run(place), project="beta-id")


def test_another_tenant_sees_nothing(folder: Path) -> None:
    place = Asked(folder, old=Known("beta-id", is_admin=False))
    with pytest.raises(Refused, match="nothing that belongs to project beta-id"):
        app.report(place, the_run(place))


def test_when_the_old_cloud_is_gone_an_administrator_of_the_new_one_sees_all_and_nobody_else_anything(folder: Path) -> None:
    gone = Known("", is_admin=False, answers=False)
    place = Asked(folder, old=gone, new=Known("admin", is_admin=True))
    assert app.report(place, the_run(place)).project is None
    place = Asked(folder, old=gone, new=Known("alpha-id", is_admin=False))
    with pytest.raises(Unreachable):
        app.report(place, the_run(place))

"""Compute hosts, the machines behind them, and the verbs that empty the ones and deploy the others."""

from __future__ import annotations

from decamp.clouds import Cloud
from decamp.hosts.canary import Canary
from decamp.hosts.cold_migration import COLD
from decamp.hosts.compute_service import DeleteService, StopCompute
from decamp.hosts.cordon import DisableService, EnableService
from decamp.hosts.emptiness import ProveEmpty
from decamp.hosts.enrolling import Enroll, Inspect, Walk
from decamp.hosts.heat_role import ScaleOut
from decamp.hosts.joining import JoinHost
from decamp.hosts.live_migration import LIVE
from decamp.hosts.migrating import Migrate
from decamp.hosts.shelving import Shelve, Unshelve
from decamp.model.effects import Performer
from decamp.model.plan import Verb
from decamp.settings import Settings


def performers(old: Cloud, new: Cloud, undercloud: Cloud, *, settings: Settings) -> dict[Verb, Performer]:
    """Those of vacate and expand. No cloud is called before an action needs it."""
    policy, expand = settings.the_policy, settings.expand
    return {
        Verb.DISABLE_SERVICE: DisableService(old),
        Verb.ENABLE_SERVICE: EnableService(old),
        Verb.LIVE_MIGRATE: Migrate(old, policy, LIVE),
        Verb.COLD_MIGRATE: Migrate(old, policy, COLD),
        Verb.SHELVE: Shelve(old, policy),
        Verb.UNSHELVE: Unshelve(old, policy),
        Verb.PROVE_EMPTY: ProveEmpty(old),
        Verb.STOP_COMPUTE: StopCompute(old, undercloud, settings.stop_compute, policy),
        Verb.DELETE_SERVICE: DeleteService(old),
        Verb.ENROLL: Enroll(undercloud, old, expand),
        Verb.MANAGE: Walk(Verb.MANAGE, undercloud, old, policy),
        Verb.INSPECT: Inspect(undercloud, old, expand, policy),
        Verb.PROVIDE: Walk(Verb.PROVIDE, undercloud, old, policy),
        Verb.SCALE_OUT: ScaleOut(undercloud, expand, policy),
        Verb.JOIN_HOST: JoinHost(new, undercloud, expand, policy),
        Verb.CANARY: Canary(new, policy),
    }

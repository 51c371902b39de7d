"""The lab's hypervisor with faults on demand: whatever stands under `faults` in its machine's file happens, from the next call on.

What Nova's own fake drivers inject is done by them (nova/virt/fake.py); the rest is here. The kinds are explained in decamp.lab.machines.
"""

import time

import lab_machines
import lab_nova
from nova import exception
from nova.virt import fake

STALLED_AT = 0.9
"""Share of its memory that a live migration which does not converge gets across."""
SLOW_SECONDS = 20.0
LOOK_SECONDS = 0.2
SAVE_SECONDS = 1.0
"""libvirt's driver saves its figures every half a minute or so; a test cannot wait that long."""


class Killed(BaseException):
    """Ends what a killed nova-compute was doing. No handler of Nova's stops it, as none would run."""


class FaultyHypervisor(lab_nova.Hypervisor):
    def __init__(self, virtapi, read_only=False):
        super().__init__(virtapi, read_only)
        self.killed = False
        self._asked = {}  # server -> "abort" or "complete"
        # of FakeLiveMigrateDriver
        self._migrating = self._abort_migration = True

    def _fault(self, kind):
        """What the machine's file says of this kind of fault; None where there is none."""
        if self.killed:
            raise Killed
        return lab_machines.fault(lab_machines.folder(), self._machine, kind)

    # The source's side of a live migration

    def live_migration(self, context, instance, dest, post_method, recover_method, block_migration=False, migrate_data=None):
        arguments = (context, instance, dest, post_method, recover_method, block_migration, migrate_data)
        if self._fault("live_migration_waits"):
            fake.FakeLiveMigrateDriver.live_migration(self, *arguments)
            return
        if self._fault("live_migration_breaks"):
            raise exception.HypervisorUnavailable()
        stalls, seconds = self._fault("live_migration_stalls"), self._fault("live_migration_slow")
        if (stalls or seconds) and not self._transfer(instance, migrate_data.migration, seconds or SLOW_SECONDS, stalls):
            recover_method(context, instance, dest, migrate_data, migration_status="cancelled")
        elif self._fault("live_migration_rolls_back"):
            recover_method(context, instance, dest, migrate_data)
        else:
            super().live_migration(*arguments)

    def _transfer(self, instance, migration, seconds, stalls):
        """Let the guest's memory and disk go across, with figures as libvirt tells them. False where it was aborted."""
        memory, disk = instance.flavor.memory_mb * 2**20, instance.flavor.root_gb * 2**30
        self._asked.pop(instance.uuid, None)
        begun, saved = time.monotonic(), 0.0
        while True:
            if self.killed:
                raise Killed
            asked = self._asked.pop(instance.uuid, None)
            elapsed = time.monotonic() - begun
            share = 1.0 if asked == "complete" else min(elapsed / seconds, STALLED_AT if stalls else 1.0)
            if time.monotonic() - saved > SAVE_SECONDS or share == 1.0:
                saved = time.monotonic()
                # a guest that goes on writing sends its pages again and again
                _save(migration, "memory", memory, int(memory * elapsed / seconds), int(memory * (1 - share)))
                _save(migration, "disk", disk, int(disk * share), int(disk * (1 - share)))
                migration.save()
            if asked == "abort" or share == 1.0:
                return asked != "abort"
            time.sleep(LOOK_SECONDS)

    def live_migration_force_complete(self, instance):
        if self._fault("live_migration_waits"):
            fake.FakeLiveMigrateDriver.live_migration_force_complete(self, instance)
        else:
            self._asked[instance.uuid] = "complete"

    def live_migration_abort(self, instance):
        if self._fault("live_migration_waits"):
            fake.FakeLiveMigrateDriver.live_migration_abort(self, instance)
        else:
            self._asked[instance.uuid] = "abort"

    # The destination's side

    def pre_live_migration(self, context, instance, *arguments, **options):
        if self._fault("pre_live_migration_fails"):
            raise exception.VirtualInterfaceCreateException
        return super().pre_live_migration(context, instance, *arguments, **options)

    def finish_migration(self, context, migration, instance, *arguments, **options):
        if self._fault("finish_migration_fails"):
            fake.FakeFinishMigrationFailDriver.finish_migration(self)
        super().finish_migration(context, migration, instance, *arguments, **options)

    def spawn(self, context, instance, image_meta, *arguments, **options):
        if self._fault("spawn_fails"):
            fake.FakeBuildAbortDriver.spawn(self, context, instance, image_meta, None, None, None)
        super().spawn(context, instance, image_meta, *arguments, **options)

    # The source's side of a cold migration and of a shelving

    def migrate_disk_and_power_off(self, context, instance, *arguments, **options):
        if self._fault("cold_migration_rolls_back"):
            raise exception.InstanceFaultRollback(exception.ResizeError(reason="not able to execute ssh command"))
        return super().migrate_disk_and_power_off(context, instance, *arguments, **options)

    def confirm_migration(self, context, migration, instance, network_info):
        if self._fault("confirm_migration_fails"):
            raise exception.HypervisorUnavailable
        super().confirm_migration(context, migration, instance, network_info)

    def snapshot(self, context, instance, image_id, update_task_state):
        if self._fault("snapshot_fails"):
            raise exception.InstanceQuiesceFailed(reason="the guest agent does not answer")
        super().snapshot(context, instance, image_id, update_task_state)


def _save(migration, part, total, processed, remaining):
    for name, amount in {"total": total, "processed": processed, "remaining": remaining}.items():
        setattr(migration, f"{part}_{name}", amount)


def kill(running):
    """End a nova-compute as SIGKILL would: it tells nobody, cleans up nothing, and drops what it was doing."""
    manager = running.manager
    manager.driver.killed = True
    for server in (running.rpcserver, getattr(running, "rpcserver_alt", None)):
        if server is not None:
            server.stop()
    for _, future in manager._waiting_live_migrations.values():
        if future is not None:
            future.cancel()
    running.tg.stop()

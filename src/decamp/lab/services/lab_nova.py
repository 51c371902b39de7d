"""A Nova hypervisor driver whose guests are files with real bytes: boots, snapshots, migrations and resizes carry them from host to host.

It adds to Nova's own fake driver what that lacks: disks, machines of one size each, node ids that last, and memory of a restart.
A guest's disk is <disks>/<host>/<server id>.disk, in the format of the image that the server was booted from.
"""

import contextlib
import os
import pathlib
import shutil
import sys
import types
import uuid

import lab_machines
import nova.conf
import nova.context
import nova.virt
from nova import exception, objects
from nova.compute import power_state, task_states
from nova.image import glance
from nova.virt import fake, node

CONF = nova.conf.CONF
NAMESPACE = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122's for DNS names


def node_id(host):
    return str(uuid.uuid5(NAMESPACE, host))


class Hypervisor(fake.FakeDriver):
    capabilities = {**fake.FakeDriver.capabilities, "supports_image_type_qcow2": True}  # noqa: RUF012 as Nova has it

    def __init__(self, virtapi, read_only=False):
        machine = lab_machines.running_hosts(lab_machines.folder(), os.environ["LAB_CLOUD"])[CONF.host]
        self._machine, size = machine["name"], machine["size"]
        self.vcpus, self.memory_mb, self.local_gb = size["vcpus"], size["memory_mib"], size["disk_gib"]
        super().__init__(virtapi, read_only)

    def init_host(self, host):
        super().init_host(host)
        self._set_nodes([host])
        self._folder(host).mkdir(parents=True, exist_ok=True)
        context = nova.context.get_admin_context()
        for instance in objects.InstanceList.get_by_host(context, host, expected_attrs=["flavor"]):
            if instance.vm_state not in ("building", "shelved_offloaded"):
                # what ran before this process was restarted still runs: guests outlive nova-compute
                state = instance.power_state or power_state.RUNNING
                self.instances[instance.uuid] = fake.FakeInstance(instance.name, state, instance.uuid)

    def get_available_nodes(self, refresh=False):
        return [self._host]

    def get_nodenames_by_uuid(self, refresh=False):
        return {node_id(self._host): self._host}

    def get_available_resource(self, nodename):
        return {**super().get_available_resource(nodename), "uuid": node_id(nodename)}

    def get_volume_connector(self, instance):
        return {"ip": CONF.my_ip, "initiator": f"iqn.2026-11.org.decamp.lab:{self._host}", "host": self._host}

    def get_host_uptime(self):
        # what `uptime` prints, which Nova hands on as it is
        return " 12:00:00 up 100 days,  0:00,  1 user,  load average: 0.10, 0.10, 0.10"

    def get_host_ip_addr(self):
        return CONF.my_ip

    # Disks

    def _folder(self, host):
        return pathlib.Path(CONF.state_path) / "disks" / host

    def _disk(self, instance, host=None):
        return self._folder(host or self._host) / f"{instance.uuid}.disk"

    def _fetch(self, instance, host):
        source = self._disk(instance, host)
        if host != self._host and source.exists():
            shutil.copyfile(source, self._disk(instance))

    def spawn(self, context, instance, image_meta, *arguments, **options):
        super().spawn(context, instance, image_meta, *arguments, **options)
        if instance.image_ref and image_meta is not None and not self._disk(instance).exists():
            glance.API().download(context, instance.image_ref, dest_path=str(self._disk(instance)))

    def destroy(self, context, instance, network_info, block_device_info=None, destroy_disks=True, **options):
        super().destroy(context, instance, network_info, block_device_info, destroy_disks, **options)
        if destroy_disks:
            self._disk(instance).unlink(missing_ok=True)

    def snapshot(self, context, instance, image_id, update_task_state):
        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        images = glance.API()
        image = images.get(context, image_id)
        disk_format = instance.system_metadata.get("image_disk_format", "raw")
        metadata = {"name": image["name"], "disk_format": disk_format, "container_format": "bare", "properties": {}}
        update_task_state(task_state=task_states.IMAGE_UPLOADING, expected_state=task_states.IMAGE_PENDING_UPLOAD)
        with self._disk(instance).open("rb") as disk:
            images.update(context, image_id, metadata, disk, purge_props=False)

    def volume_snapshot_create(self, context, instance, volume_id, create_info):
        # Cinder made the overlay already; a guest that writes nothing has nothing to flush
        self._volume_api().update_snapshot_status(context, create_info["snapshot_id"], "creating")

    def volume_snapshot_delete(self, context, instance, volume_id, snapshot_id, delete_info):
        self._volume_api().update_snapshot_status(context, snapshot_id, "deleting")

    def _volume_api(self):
        from nova.volume import cinder

        return cinder.API()

    # Live migration, with the disk as libvirt's block migration carries it

    def check_can_live_migrate_destination(self, context, instance, *arguments, **options):
        data = super().check_can_live_migrate_destination(context, instance, *arguments, **options)
        data.is_shared_block_storage = data.is_shared_instance_path = False
        data.disk_available_mb = self.local_gb * 1024
        return data

    def check_can_live_migrate_source(self, context, instance, dest_check_data, block_device_info=None):
        local_disk = self._disk(instance).exists()
        asked = dest_check_data.block_migration if dest_check_data.obj_attr_is_set("block_migration") else None
        if asked is False and local_disk:
            reason = "Live migration without block migration requires shared storage or a server without local disks."
            raise exception.InvalidSharedStorage(reason=reason, path=str(self._folder(self._host)))
        if asked is None:
            dest_check_data.block_migration = local_disk
        return dest_check_data

    def pre_live_migration(self, context, instance, *arguments, **options):
        self._fetch(instance, instance.host)
        return super().pre_live_migration(context, instance, *arguments, **options)

    def rollback_live_migration_at_destination(self, context, instance, *arguments, **options):
        self._disk(instance).unlink(missing_ok=True)

    def post_live_migration_at_source(self, context, instance, network_info):
        self.destroy(context, instance, network_info)

    # Cold migration and resize

    def finish_migration(self, context, migration, instance, *arguments, **options):
        self._fetch(instance, migration.source_compute)
        super().finish_migration(context, migration, instance, *arguments, **options)

    def confirm_migration(self, context, migration, instance, network_info):
        if migration.source_compute != migration.dest_compute:
            self.instances.pop(instance.uuid, None)
            self._disk(instance).unlink(missing_ok=True)


def install(hypervisor):
    """Make the driver known as nova.virt.lab.Hypervisor: Nova loads drivers only from its own package."""
    module = types.ModuleType("nova.virt.lab")
    module.Hypervisor = hypervisor
    sys.modules["nova.virt.lab"] = nova.virt.lab = module
    # several hosts live in one process: none of them may read the identity that a nova-compute of its own would keep in a file
    node.read_local_node_uuid = lambda: node_id(CONF.host)
    with contextlib.suppress(ImportError):  # 2023.1 has none
        from nova import thread_pool_factory

        # the pools are the process's, and a service that stops shuts them all: the other hosts, and the API, go on here
        thread_pool_factory.shutdown_all_executors = lambda: None


@contextlib.contextmanager
def acting_as(host):
    """Nova reads its host's name from the configuration while a service is made."""
    before = CONF.host
    CONF.set_override("host", host)
    try:
        yield
    finally:
        CONF.set_override("host", before)

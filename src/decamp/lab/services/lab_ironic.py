"""What Ironic's fake-hardware type finds and does on the lab's simulated machines: a node's machine has the MAC of one of its ports."""

import lab_machines
from ironic.common import exception, states
from ironic.drivers import base
from ironic.drivers.modules import fake, inspect_utils

NEW_CLOUD = "new"
"""What this undercloud deploys becomes a compute host of this cloud."""


def machine_of(task):
    """None for a node without a port, or with one that no machine has."""
    return lab_machines.find(lab_machines.folder(), {port.address.lower() for port in task.ports})


def change(task, edit):
    machine = machine_of(task)
    if machine is not None:
        lab_machines.change(lab_machines.folder(), machine["name"], edit)


def failure(task, verb):
    machine = machine_of(task)
    return machine.get("fails", {}).get(verb) if machine else None


class MachinePower(fake.FakePower):
    def get_power_state(self, task):
        machine = machine_of(task)
        if machine is None:
            return super().get_power_state(task)
        if sentence := machine.get("fails", {}).get("power"):
            raise exception.IronicException(sentence)
        return states.POWER_ON if machine["power"] == "on" else states.POWER_OFF

    def set_power_state(self, task, power_state, timeout=None):
        super().set_power_state(task, power_state, timeout)
        off = power_state in (states.POWER_OFF, states.SOFT_POWER_OFF)
        change(task, lambda machine: machine.update(power="off" if off else "on"))

    def reboot(self, task, timeout=None):
        change(task, lambda machine: machine.update(power="on"))


class MachineInspect(fake.FakeInspect):
    """Finds what is really in the machine, as out-of-band inspection does: its system goes on running."""

    def inspect_hardware(self, task):
        if sentence := failure(task, "inspect"):
            raise exception.HardwareInspectionFailure(error=sentence)
        result = super().inspect_hardware(task)
        machine = machine_of(task)
        if machine is None:
            raise exception.HardwareInspectionFailure(error="the machine does not answer: no known MAC")
        size = machine["size"]
        node = task.node
        found = {"cpus": size["vcpus"], "memory_mb": size["memory_mib"], "local_gb": size["disk_gib"], "cpu_arch": "x86_64"}
        node.properties = {**node.properties, **found}
        node.save()
        inventory = {
            "cpu": {"count": size["vcpus"], "architecture": "x86_64"},
            "memory": {"physical_mb": size["memory_mib"]},
            "disks": [{"name": "/dev/sda", "size": size["disk_gib"] * 2**30}],
            "interfaces": [{"name": "eth0", "mac_address": machine["mac"]}],
            "bmc_address": machine["bmc_address"],
        }
        inspect_utils.store_inspection_data(node, inventory, {}, task.context)
        return result


class MachineDeploy(fake.FakeDeploy):
    @base.deploy_step(priority=100)
    def deploy(self, task):
        if sentence := failure(task, "deploy"):
            raise exception.InstanceDeployFailure(sentence)
        host = task.node.instance_info.get("display_name") or task.node.name
        super().deploy(task)
        system = {"cloud": NEW_CLOUD, "host": host}
        change(task, lambda machine: machine.update(system=system, power="on", ramdisk=False, compute_enabled=True))
        task.node.power_state = states.POWER_ON
        task.node.save()

    def tear_down(self, task):
        change(task, lambda machine: machine.update(power="off"))
        return super().tear_down(task)

    def prepare_cleaning(self, task):
        """Boot the ramdisk that cleans: whatever system the machine ran is gone from now on."""
        if sentence := failure(task, "clean"):
            raise exception.NodeCleaningFailure(node=task.node.uuid, reason=sentence)
        change(task, lambda machine: machine.update(ramdisk=True, power="on"))

    @base.clean_step(priority=10)
    def erase_devices(self, task):
        change(task, lambda machine: machine.update(system=None))

    def tear_down_cleaning(self, task):
        change(task, lambda machine: machine.update(ramdisk=False, power="off"))
        task.node.power_state = states.POWER_OFF
        task.node.save()


def install():
    """Let the fake-hardware type use these. Its list of interfaces is read from the module each time."""
    fake.FakePower, fake.FakeInspect, fake.FakeDeploy = MachinePower, MachineInspect, MachineDeploy

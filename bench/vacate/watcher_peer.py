"""Watcher's own strategy vm_workload_consolidation on a survey, without its service: run by the Python of a venv with python-watcher.

    python watcher_peer.py SURVEY OUT

The strategy, its compute model and its solution are Watcher's, unchanged. What a running service would bring is given here: the model is
built from the survey instead of Nova's answers, and the metrics say that servers use what they were given, so that Watcher keeps what
Placement promised. Servers that are pinned are excluded (`watcher_exclude`), as an operator would by an audit's scope.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from pathlib import Path

from oslo_config import cfg
from watcher.common import utils
from watcher.decision_engine.model import element, model_root
from watcher.decision_engine.strategy.strategies.vm_workload_consolidation import VMWorkloadConsolidation

STATES = {"ACTIVE": "active", "PAUSED": "paused", "SHUTOFF": "stopped"}


class AllIsUsed:
    """A metrics backend by which every server uses all that it was given; of hosts it knows nothing but their servers."""

    def get_instance_cpu_usage(self, resource, **asked) -> float:
        return 100.0

    def get_instance_ram_usage(self, resource, **asked) -> int:
        return resource.memory

    def get_instance_root_disk_size(self, resource, **asked) -> int:
        return resource.disk

    def get_host_cpu_usage(self, *asked) -> None:
        return None

    def get_host_ram_usage(self, *asked) -> None:
        return None


def model(survey: dict) -> model_root.ModelRoot:
    root = model_root.ModelRoot()
    nodes = {}
    for host in survey["hosts"]:
        cpu, memory, disk = (host["inventories"][name] for name in ("VCPU", "MEMORY_MB", "DISK_GB"))
        nodes[host["name"]] = element.ComputeNode(
            uuid=host["provider"],
            hostname=host["name"],
            status=host["status"],
            state=host["state"],
            vcpus=cpu["total"],
            vcpu_reserved=cpu["reserved"],
            vcpu_ratio=cpu["allocation_ratio"],
            memory=memory["total"],
            memory_mb_reserved=memory["reserved"],
            memory_ratio=memory["allocation_ratio"],
            disk=disk["total"],
            disk_gb_reserved=disk["reserved"],
            disk_ratio=disk["allocation_ratio"],
        )
        root.add_node(nodes[host["name"]])
    for server in survey["servers"]:
        instance = element.Instance(
            uuid=server["id"],
            name=server["name"],
            state=STATES[server["status"]],
            vcpus=server["allocations"]["VCPU"],
            memory=server["allocations"]["MEMORY_MB"],
            disk=server["allocations"].get("DISK_GB", 0),
            metadata={},
            watcher_exclude=server["pinned"] is not None,
        )
        root.add_instance(instance)
        root.map_instance(instance, nodes[server["host"]])
    return root


def main() -> None:
    survey = json.loads(Path(sys.argv[1]).read_bytes())
    logging.disable()
    cfg.CONF([], project="watcher")
    strategy = VMWorkloadConsolidation(config=utils.Struct(datasources=None), osc=object())
    strategy._compute_model = model(survey)
    strategy._datasource_backend = AllIsUsed()
    strategy.input_parameters = utils.Struct(period=3600, granularity=300)
    began, began_cpu = time.perf_counter(), time.process_time()
    solution = strategy.execute()
    wall_seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    moves = [
        (
            action["input_parameters"]["resource_id"],
            action["input_parameters"]["source_node"],
            action["input_parameters"]["destination_node"],
        )
        for action in solution.actions
        if action["action_type"] == strategy.MIGRATION
    ]
    told = {
        "moves": moves,
        "wall_seconds": wall_seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    Path(sys.argv[2]).write_text(json.dumps(told))


if __name__ == "__main__":
    main()

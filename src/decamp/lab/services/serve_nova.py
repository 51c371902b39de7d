"""Run a cloud's whole Nova in one process: API, conductor, scheduler, and a nova-compute for each machine that runs one.

serve_nova.py --config-file nova.conf, with the environment LAB_CLOUD, LAB_PORT and DECAMP_LAB_FOLDER. The machines' files say which
hosts there are, and are looked at all the time: a host that a machine no longer runs is stopped, a new one is started. For the
undercloud there is one nova-compute, with the Ironic driver. Nothing else starts or stops a nova-compute.
"""

import contextlib
import os
import sys
import threading
import time
import traceback

from nova import monkey_patch

EVENTLET = not hasattr(monkey_patch, "is_patched")  # 2023.1 patches on import
if not EVENTLET:
    monkey_patch.patch(backend="threading")

import shlex  # noqa: E402
import signal  # noqa: E402

import lab_faults  # noqa: E402
import lab_machines  # noqa: E402
import lab_nova  # noqa: E402
import nova.conf  # noqa: E402
import nova.context  # noqa: E402
import nova.exception  # noqa: E402
import os_brick  # noqa: E402
import os_vif  # noqa: E402
from nova import config, objects, service, utils  # noqa: E402
from nova.compute import rpcapi as compute_rpcapi  # noqa: E402
from nova.conductor import rpcapi as conductor_rpcapi  # noqa: E402
from nova.objects import host_mapping  # noqa: E402
from nova.scheduler import rpcapi as scheduler_rpcapi  # noqa: E402
from oslo_log import log as logging  # noqa: E402
from oslo_privsep import priv_context  # noqa: E402

CONF = nova.conf.CONF
LOOK_SECONDS = 0.5
CLOUD = os.environ["LAB_CLOUD"]
STATE = lab_machines.folder().parent / CLOUD / "nova" / "running"
"""One file for each host whose nova-compute runs now: how others see that it really started, or ended."""


def prepare():
    config.parse_args(sys.argv)
    logging.setup(CONF, "nova")
    if EVENTLET:
        from oslo_service import _options

        CONF.register_opts(_options.service_opts)
    else:
        from oslo_service import opts

        opts.register_service_opts(CONF)
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    objects.register_all()
    if hasattr(os_brick, "setup"):
        os_brick.setup(CONF)
    os_vif.initialize()
    objects.Service.enable_min_version_cache()
    lab_nova.install(lab_faults.FaultyHypervisor)
    STATE.mkdir(parents=True, exist_ok=True)
    for left_over in STATE.iterdir():
        left_over.unlink()


def start(host, binary, topic, **options):
    with lab_nova.acting_as(host):
        running = service.Service.create(host=host, binary=binary, topic=topic, **options)
        running.start()
    return running


def start_compute(host):
    options = {"topic_alt": compute_rpcapi.RPC_TOPIC_ALT} if hasattr(compute_rpcapi, "RPC_TOPIC_ALT") else {}
    running = start(host, "nova-compute", compute_rpcapi.RPC_TOPIC, **options)
    (STATE / host).touch()
    print(f"nova-compute of {host} started", flush=True)
    return running


def stop_compute(host, running):
    killed = lab_machines.was_killed(lab_machines.folder(), host)
    if killed:
        lab_faults.kill(running)
    else:
        running.stop()
    (STATE / host).unlink(missing_ok=True)
    print(f"nova-compute of {host} {'killed' if killed else 'stopped'}", flush=True)


def follow_machines(computes):
    """Start and stop what the machines' files say, once."""
    wanted = lab_machines.running_hosts(lab_machines.folder(), CLOUD)
    for host in [host for host in computes if host not in wanted]:
        stop_compute(host, computes.pop(host))
    fresh = [host for host in wanted if host not in computes]
    for host in fresh:
        computes[host] = start_compute(host)
    if fresh:
        # what an installer does after it added hosts: `nova-manage cell_v2 discover_hosts --by-service`
        with contextlib.suppress(nova.exception.HostMappingExists):  # the scheduler looks for hosts too, and finds the rest
            host_mapping.discover_hosts(nova.context.get_admin_context(), by_service=True)


def serve_api():
    port = int(os.environ["LAB_PORT"])
    if EVENTLET:
        service.WSGIService("osapi_compute").start()
        return
    from cheroot import wsgi
    from nova.api.openstack import wsgi_app
    from paste import deploy

    wsgi_app._setup_service(CONF.host, "osapi_compute")
    application = deploy.loadapp(f"config:{CONF.find_file('api-paste.ini')}", name="osapi_compute")
    server = wsgi.Server(("127.0.0.1", port), application, numthreads=8, request_queue_size=64)
    threading.Thread(target=server.safe_start, daemon=True).start()


def main():
    prepare()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    start(CONF.host, "nova-conductor", conductor_rpcapi.RPC_TOPIC)
    start(CONF.host, "nova-scheduler", scheduler_rpcapi.RPC_TOPIC)
    computes = {}
    if CONF.compute_driver.startswith("ironic"):
        start_compute(CONF.host)
    else:
        follow_machines(computes)
    serve_api()
    print("API started", flush=True)
    while True:
        time.sleep(LOOK_SECONDS)
        if not CONF.compute_driver.startswith("ironic"):
            try:
                follow_machines(computes)
            except Exception:  # noqa: BLE001 the loop must outlive a host that fails to start: it is tried again
                traceback.print_exc()


main()

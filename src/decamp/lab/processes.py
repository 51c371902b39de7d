"""Which processes make up the lab's clouds, and how each is started."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import msgspec

from decamp.lab.configuration import SWIFT_DEVICE
from decamp.lab.layout import CLOUDS, CloudName, Lab, Release
from decamp.lab.supervise import Supervisor

SERVICES = Path(str(resources.files("decamp.lab"))) / "services"

ENTRY_POINTS = """\
[neutron.ml2.mechanism_drivers]
lab = lab_neutron:LabMechanismDriver
"""

MOUNT_STUB = """\
#!/bin/sh
# Cinder's NFS driver looks whether this program is there. The lab mounts the share before Cinder starts.
echo "usage: mount.nfs remotetarget dir" >&2
exit 1
"""
SUDO_STUB = """\
#!/bin/sh
# Everything that Cinder does to its files belongs to the lab's own user: no rights are needed.
exec "$@"
"""

WITHOUT_THREADS = {"EVENTLET_THREADPOOL_SIZE": "0"}
"""Of eventlet's own, which Swift reads disks and Nova uploads images in. With greenlet 1.1.3, which 2023.1 has, on Python 3.11 Swift
crashes among them, and Nova forgets to wake up who waits for one."""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    cloud: CloudName
    service: str
    """The OpenStack service that it is a part of."""
    role: str
    """`api` answers HTTP on the service's port; others do the work behind it."""
    arguments: tuple[str, ...]
    environment: dict[str, str] = {}
    log: Path | None = None
    """Where the service writes its log, where that is not the process's output."""

    @property
    def name(self) -> str:
        return f"{self.cloud}-{self.service}" if self.role == "api" else f"{self.cloud}-{self.service}-{self.role}"


def processes(lab: Lab, cloud: CloudName, venv: Path) -> list[Process]:
    """In the order of their start. Keystone is the first."""
    apis = _apis_of_antelope if CLOUDS[cloud].release is Release.ANTELOPE else _apis_of_current
    return [*apis(lab, cloud, venv), _nova(lab, cloud, venv), *_swift(lab, cloud, venv), *_workers(lab, cloud, venv)]


def start(lab: Lab, supervisor: Supervisor, process: Process) -> None:
    supervisor.start(process.name, process.arguments, {**_base_environment(lab), **process.environment})


def write_plugins(lab: Lab) -> None:
    """What the services find on their PYTHONPATH and PATH: the entry point of the network driver, and the stubs."""
    metadata = _plugins(lab) / "decamp_lab_services-1.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: decamp-lab-services\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    stubs = _stubs(lab)
    stubs.mkdir(parents=True, exist_ok=True)
    for name, text in {"mount.nfs": MOUNT_STUB, "sudo": SUDO_STUB}.items():
        (stubs / name).write_text(text)
        (stubs / name).chmod(0o755)


def _plugins(lab: Lab) -> Path:
    return lab.folder / "plugins"


def _stubs(lab: Lab) -> Path:
    return lab.folder / "plugins" / "bin"


def _base_environment(lab: Lab) -> dict[str, str]:
    dropped = ("OS_", "PYTHON", "DECAMP_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {
        **kept,
        "PYTHONPATH": f"{SERVICES}:{_plugins(lab)}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        # stevedore caches entry points there
        "XDG_CACHE_HOME": str(lab.folder / "cache"),
        # one thread a library: two cores serve two dozen processes
        "OPENBLAS_NUM_THREADS": "1",
    }


def _python(venv: Path) -> str:
    return str(venv / "bin" / "python")


def _wsgi(lab: Lab, cloud: CloudName, venv: Path, service: str, application: str, *flags: str) -> tuple[str, ...]:
    return (_python(venv), str(SERVICES / "serve_wsgi.py"), application, str(lab.port(cloud, service)), *flags)


def _script(lab: Lab, cloud: CloudName, venv: Path, script: str, config: str, *more: str) -> tuple[str, ...]:
    return (str(venv / "bin" / script), "--config-file", str(lab.etc(cloud) / config), *more)


def _log(lab: Lab, cloud: CloudName, name: str) -> Path:
    return lab.log_folder / f"{cloud}-{name}.log"


def _apis_of_antelope(lab: Lab, cloud: CloudName, venv: Path) -> list[Process]:
    etc = lab.etc(cloud)
    return [
        Process(
            cloud=cloud,
            service="keystone",
            role="api",
            arguments=_wsgi(lab, cloud, venv, "keystone", "keystone.server.wsgi:initialize_public_application", "--factory"),
            environment={"OS_KEYSTONE_CONFIG_DIR": f"{etc}/keystone/"},
            log=_log(lab, cloud, "keystone"),
        ),
        Process(
            cloud=cloud,
            service="placement",
            role="api",
            arguments=_wsgi(lab, cloud, venv, "placement", "placement.wsgi:init_application", "--factory"),
            environment={"OS_PLACEMENT_CONFIG_DIR": f"{etc}/placement"},
            log=_log(lab, cloud, "placement"),
        ),
        Process(
            cloud=cloud,
            service="neutron",
            role="api",
            arguments=_script(lab, cloud, venv, "neutron-server", "neutron/neutron.conf", "--config-file", f"{etc}/neutron/ml2_conf.ini"),
            log=_log(lab, cloud, "neutron"),
        ),
        Process(
            cloud=cloud,
            service="glance",
            role="api",
            arguments=_script(lab, cloud, venv, "glance-api", "glance/glance-api.conf"),
            log=_log(lab, cloud, "glance"),
        ),
        Process(
            cloud=cloud,
            service="cinder",
            role="api",
            arguments=_script(lab, cloud, venv, "cinder-api", "cinder/cinder.conf", "--log-file", str(_log(lab, cloud, "cinder"))),
            log=_log(lab, cloud, "cinder"),
        ),
        Process(
            cloud=cloud,
            service="heat",
            role="api",
            arguments=_script(lab, cloud, venv, "heat-api", "heat/heat.conf", "--log-file", str(_log(lab, cloud, "heat"))),
            log=_log(lab, cloud, "heat"),
        ),
    ]


def _apis_of_current(lab: Lab, cloud: CloudName, venv: Path) -> list[Process]:
    etc = lab.etc(cloud)
    modules = {
        "keystone": "keystone.wsgi.api",
        "placement": "placement.wsgi.api",
        "neutron": "neutron.wsgi.api",
        "glance": "glance.wsgi.api",
        "cinder": "cinder.wsgi.api",
        "heat": "heat.wsgi.api",
    }
    environments = {
        "keystone": {"OS_KEYSTONE_CONFIG_DIR": f"{etc}/keystone/"},
        "placement": {"OS_PLACEMENT_CONFIG_DIR": f"{etc}/placement"},
        "glance": {"OS_GLANCE_CONFIG_DIR": f"{etc}/glance"},
        "neutron": {"OS_NEUTRON_CONFIG_DIR": f"{etc}/neutron", "OS_NEUTRON_CONFIG_FILES": "neutron.conf;ml2_conf.ini"},
    }
    arguments = {
        service: ("--", "--config-file", f"{etc}/{service}/{service}.conf", "--log-file", str(_log(lab, cloud, service)))
        for service in ("cinder", "heat")
    }
    found = [
        Process(
            cloud=cloud,
            service=service,
            role="api",
            arguments=_wsgi(lab, cloud, venv, service, f"{module}:application", *arguments.get(service, ())),
            environment=environments.get(service, {}),
            log=_log(lab, cloud, service),
        )
        for service, module in modules.items()
        if service in CLOUDS[cloud].services
    ]
    if "ironic" in CLOUDS[cloud].services:
        found.append(
            Process(
                cloud=cloud,
                service="ironic",
                role="api",
                arguments=(_python(venv), str(SERVICES / "serve_ironic.py"), "--config-file", f"{etc}/ironic/ironic.conf"),
                log=_log(lab, cloud, "ironic"),
            )
        )
    return found


def _nova(lab: Lab, cloud: CloudName, venv: Path) -> Process:
    return Process(
        cloud=cloud,
        service="nova",
        role="api",
        arguments=(_python(venv), str(SERVICES / "serve_nova.py"), "--config-file", str(lab.etc(cloud) / "nova" / "nova.conf")),
        environment={"LAB_CLOUD": cloud, "LAB_PORT": str(lab.port(cloud, "nova")), **WITHOUT_THREADS},
        log=_log(lab, cloud, "nova"),
    )


def _swift(lab: Lab, cloud: CloudName, venv: Path) -> list[Process]:
    """The proxy and the servers that it asks, in one process."""
    if "swift" not in CLOUDS[cloud].services:
        return []
    arguments = (_python(venv), str(SERVICES / "serve_swift.py"), str(lab.etc(cloud) / "swift"), SWIFT_DEVICE)
    return [Process(cloud=cloud, service="swift", role="api", arguments=arguments, environment=WITHOUT_THREADS)]


def _workers(lab: Lab, cloud: CloudName, venv: Path) -> list[Process]:
    scripts = [("cinder", "scheduler", "cinder-scheduler"), ("cinder", "volume", "cinder-volume"), ("heat", "engine", "heat-engine")]
    path = f"{_stubs(lab)}:{venv / 'bin'}:{os.environ.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}"
    return [
        Process(
            cloud=cloud,
            service=service,
            role=role,
            arguments=_script(
                lab, cloud, venv, script, f"{service}/{service}.conf", "--log-file", str(_log(lab, cloud, f"{service}-{role}"))
            ),
            environment={"PATH": path} if service == "cinder" else {},
            log=_log(lab, cloud, f"{service}-{role}"),
        )
        for service, role, script in scripts
        if service in CLOUDS[cloud].services
    ]

"""The configuration files of every OpenStack service of the lab, written afresh at each start from the lab's settings."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from decamp.lab.layout import CLOUDS, LOOPBACK, SWIFT_STORAGE, CloudName, Lab, Release

Section = dict[str, str | int | bool | Path]
Ini = dict[str, Section]

POOL: Section = {"max_pool_size": 5, "max_overflow": 30, "connection_recycle_time": 3600}
OLD_NEUTRON_POOL: Section = {"max_pool_size": 20, "max_overflow": 80, "connection_recycle_time": 3600}
"""2023.1's neutron runs everything in one process: a smaller pool fails bulk boots."""

DATABASES = {
    "keystone": ("keystone",),
    "glance": ("glance",),
    "placement": ("placement",),
    "nova": ("nova_api", "nova_cell0", "nova_cell1"),
    "neutron": ("neutron",),
    "cinder": ("cinder",),
    "heat": ("heat",),
    "ironic": ("ironic",),
    "swift": (),
}

SWIFT_PIPELINE = (
    "catch_errors", "gatekeeper", "healthcheck", "cache", "listing_formats", "bulk", "tempurl", "authtoken", "keystoneauth", "staticweb",
    "copy", "container-quotas", "account-quotas", "slo", "dlo", "versioned_writes", "symlink",
)  # fmt: skip
"""Before Swift's proxy: those of its sample configuration, in its order, but for limits of requests and their log."""
SWIFT_FILTERS = {"cache": "memcache", "container-quotas": "container_quotas", "account-quotas": "account_quotas"}
"""Name in the pipeline -> name of the program, where they differ."""
SWIFT_DEVICE = "disk"

FAKE_HARDWARE_INTERFACES = (
    "bios", "boot", "console", "deploy", "firmware", "inspect", "management", "power", "raid", "rescue", "vendor",
)  # fmt: skip


def render(ini: Mapping[str, Mapping[str, str | int | bool | Path]]) -> str:
    lines: list[str] = []
    for section, options in ini.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {str(value).lower() if isinstance(value, bool) else value}" for name, value in options.items()]
        lines.append("")
    return "\n".join(lines)


def database_name(cloud: CloudName, database: str) -> str:
    return f"{cloud}_{database}"


def database_names(cloud: CloudName) -> list[str]:
    return [database_name(cloud, database) for service in CLOUDS[cloud].services for database in DATABASES[service]]


def database_url(lab: Lab, cloud: CloudName, database: str) -> str:
    name = database_name(cloud, database)
    return f"mysql+pymysql://lab:{lab.passwords.database}@{LOOPBACK}:{lab.database_port}/{name}?charset=utf8"


def write_all(lab: Lab, cloud: CloudName, venv: Path) -> None:
    """Write the configuration of one cloud. Files that hold passwords are readable by their owner only."""
    etc = lab.etc(cloud)
    etc.mkdir(parents=True, exist_ok=True)
    etc.chmod(0o700)
    writers = {
        "keystone": _keystone,
        "glance": _glance,
        "placement": _placement,
        "nova": _nova,
        "neutron": _neutron,
        "cinder": _cinder,
        "heat": _heat,
        "ironic": _ironic,
        "swift": _swift,
    }
    for service in CLOUDS[cloud].services:
        (etc / service).mkdir(exist_ok=True)
        for name, ini in writers[service](lab, cloud, venv).items():
            (etc / service / name).write_text(render(ini))
        for name in ("api-paste.ini", "glance-api-paste.ini", "rootwrap.conf"):
            shipped = venv / "etc" / service / name
            if shipped.exists():
                shutil.copyfile(shipped, etc / service / name)
    if "cinder" in CLOUDS[cloud].services:
        (etc / "cinder" / "nfs_shares").write_text(f"{nfs_share(lab, cloud)}\n")
        rootwrap = etc / "cinder" / "rootwrap.conf"
        moved = rootwrap.read_text().replace("/etc/cinder", f"{venv}/etc/cinder").replace("exec_dirs=", f"exec_dirs={venv}/bin,")
        rootwrap.write_text(moved)
    for folder in (
        "lock",
        "glance/images",
        "glance/staging",
        "glance/tasks",
        "nova/disks",
        "cinder/share",
        "cinder/conversion",
        "ironic/tmp",
        f"swift/devices/{SWIFT_DEVICE}",
    ):
        if folder.split("/")[0] in {*CLOUDS[cloud].services, "lock"}:
            (lab.cloud_folder(cloud) / folder).mkdir(parents=True, exist_ok=True)


def nfs_share(lab: Lab, cloud: CloudName) -> str:
    return f"{LOOPBACK}:{lab.cloud_folder(cloud)}/cinder/share"


def _credentials(lab: Lab, cloud: CloudName, user: str) -> Section:
    return {
        "auth_type": "password",
        "auth_url": f"{lab.url(cloud, 'keystone')}/v3",
        "project_domain_id": "default",
        "user_domain_id": "default",
        "project_name": "service",
        "username": user,
        "password": lab.passwords.service,
        "region_name": CLOUDS[cloud].region,
    }


def _client(lab: Lab, cloud: CloudName, user: str) -> Section:
    return {**_credentials(lab, cloud, user), "valid_interfaces": "public"}


def _token_check(lab: Lab, cloud: CloudName, user: str) -> Section:
    return {
        **_credentials(lab, cloud, user),
        "www_authenticate_uri": f"{lab.url(cloud, 'keystone')}/v3",
        "service_token_roles_required": True,
        "service_token_roles": "service",
        "interface": "public",
    }


def _common(lab: Lab, cloud: CloudName, venv: Path, user: str) -> Ini:
    return {
        "oslo_concurrency": {"lock_path": lab.cloud_folder(cloud) / "lock"},
        "oslo_policy": {"enforce_scope": True},
        "oslo_messaging_rabbit": {"heartbeat_in_pthread": False, "rpc_conn_pool_size": 10},
        "oslo_messaging_notifications": {"driver": "noop"},
        "privsep": {"helper_command": venv / "bin" / "privsep-helper"},
        "keystone_authtoken": _token_check(lab, cloud, user),
    }


def _messaging_url(lab: Lab, cloud: CloudName) -> str:
    return f"rabbit://lab:{lab.passwords.messaging}@{LOOPBACK}:{lab.messaging_port}/{cloud}"


def _keystone(lab: Lab, cloud: CloudName, _venv: Path) -> dict[str, Ini]:
    folder = lab.cloud_folder(cloud)
    return {
        "keystone.conf": {
            "DEFAULT": {"log_file": lab.log_folder / f"{cloud}-keystone.log"},
            "database": {"connection": database_url(lab, cloud, "keystone"), **POOL},
            "token": {"provider": "fernet", "expiration": 86400},
            "fernet_tokens": {"key_repository": folder / "fernet"},
            "fernet_receipts": {"key_repository": folder / "fernet"},
            "credential": {"key_repository": folder / "credential-keys"},
            # the lowest that bcrypt takes: a lab's passwords are random and live on loopback
            "identity": {"password_hash_rounds": 4},
            "cache": {"enabled": True, "backend": "dogpile.cache.memory"},
            "oslo_policy": {"enforce_scope": True},
        }
    }


def _glance(lab: Lab, cloud: CloudName, venv: Path) -> dict[str, Ini]:
    folder = lab.cloud_folder(cloud) / "glance"
    port = lab.port(cloud, "glance")
    return {
        "glance-api.conf": {
            "DEFAULT": {
                "log_file": lab.log_folder / f"{cloud}-glance.log",
                "bind_host": LOOPBACK,
                "bind_port": port,
                "workers": 0,
                "enabled_backends": "file:file",
                "enabled_import_methods": "[glance-direct,web-download,copy-image]",
                "show_image_direct_url": False,
                "worker_self_reference_url": f"http://{LOOPBACK}:{port}",
                "node_staging_uri": f"file://{folder}/staging/",
            },
            "os_glance_staging_store": {"filesystem_store_datadir": folder / "staging"},
            "os_glance_tasks_store": {"filesystem_store_datadir": folder / "tasks"},
            "glance_store": {"default_backend": "file"},
            "file": {"filesystem_store_datadir": folder / "images"},
            "paste_deploy": {"flavor": "keystone", "config_file": lab.etc(cloud) / "glance" / "glance-api-paste.ini"},
            "database": {"connection": database_url(lab, cloud, "glance"), **POOL},
            **_common(lab, cloud, venv, "glance"),
        }
    }


def _placement(lab: Lab, cloud: CloudName, _venv: Path) -> dict[str, Ini]:
    return {
        "placement.conf": {
            "DEFAULT": {"log_file": lab.log_folder / f"{cloud}-placement.log"},
            "api": {"auth_strategy": "keystone"},
            "placement_database": {"connection": database_url(lab, cloud, "placement"), **POOL},
            "keystone_authtoken": _token_check(lab, cloud, "placement"),
        }
    }


def _nova(lab: Lab, cloud: CloudName, venv: Path) -> dict[str, Ini]:
    folder = lab.cloud_folder(cloud) / "nova"
    bare_metal = cloud is CloudName.UNDERCLOUD
    old = CLOUDS[cloud].release is Release.ANTELOPE
    default: Section = {
        "log_file": lab.log_folder / f"{cloud}-nova.log",
        # all of this cloud's Nova lives in one process: see services/serve_nova.py
        "transport_url": "fake://",
        "my_ip": LOOPBACK,
        "state_path": folder,
        "osapi_compute_listen": LOOPBACK,
        "osapi_compute_listen_port": lab.port(cloud, "nova"),
        "osapi_compute_workers": 1,
        "enabled_apis": "osapi_compute",
        "vif_plugging_timeout": 0,
        "vif_plugging_is_fatal": False,
        "report_interval": 10,
        "service_down_time": 60,
        "rpc_response_timeout": 60,
        # half an hour by default; RabbitMQ's transport notices a dead callee after rpc_response_timeout, the one in memory does not
        "long_rpc_timeout": 60,
        "force_config_drive": False,
    }
    if bare_metal:
        # a new node is free in Placement after at most update_resources_interval
        default |= {"compute_driver": "ironic.IronicDriver", "host": "undercloud-compute", "reserved_host_memory_mb": 0}
        default |= {"update_resources_interval": 5, "sync_power_state_interval": 60}
    else:
        default |= {"compute_driver": "lab.Hypervisor", "host": f"{cloud}-control", "sync_power_state_interval": -1}
    default |= {"default_green_pool_size": 50} if old else {"default_thread_pool_size": 5, "manager_shutdown_timeout": 0}
    ini: Ini = {
        "DEFAULT": default,
        "database": {"connection": database_url(lab, cloud, "nova_cell1"), **POOL},
        "api_database": {"connection": database_url(lab, cloud, "nova_api"), **POOL},
        "api": {"auth_strategy": "keystone"},
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 10},
        "quota": {"instances": 2000, "cores": 8000, "ram": 10_000_000},
        "vnc": {"enabled": False},
        "spice": {"enabled": False},
        "cache": {"enabled": True, "backend": "dogpile.cache.memory"},
        "glance": {"num_retries": 3, **_client(lab, cloud, "nova")},
        "placement": _client(lab, cloud, "placement"),
        "neutron": {
            **_client(lab, cloud, "nova"),
            "metadata_proxy_shared_secret": lab.passwords.metadata,
            "service_metadata_proxy": True,
        },
        "service_user": {**_client(lab, cloud, "nova"), "send_service_user_token": True},
        **_common(lab, cloud, venv, "nova"),
    }
    if bare_metal:
        ini["ironic"] = {**_client(lab, cloud, "nova"), "api_max_retries": 30, "api_retry_interval": 1}
    else:
        ini["cinder"] = {**_client(lab, cloud, "nova"), "os_region_name": CLOUDS[cloud].region}
    return {"nova.conf": ini}


def _neutron(lab: Lab, cloud: CloudName, venv: Path) -> dict[str, Ini]:
    old = CLOUDS[cloud].release is Release.ANTELOPE
    return {
        "neutron.conf": {
            "DEFAULT": {
                "transport_url": "fake://",
                "log_file": lab.log_folder / f"{cloud}-neutron.log",
                "bind_host": LOOPBACK,
                "bind_port": lab.port(cloud, "neutron"),
                "core_plugin": "ml2",
                "service_plugins": "router,trunk,qos,port_forwarding",
                "dns_domain": f"{cloud}.lab.example.",
                "auth_strategy": "keystone",
                "notify_nova_on_port_status_changes": True,
                "notify_nova_on_port_data_changes": True,
                "api_workers": 1,
                "rpc_workers": 0,
                "rpc_state_report_workers": 0,
                "dhcp_agent_notification": False,
                "state_path": lab.cloud_folder(cloud) / "neutron",
                "host": f"{cloud}-network",
            },
            "quotas": {
                f"quota_{kind}": -1
                for kind in ("port", "network", "subnet", "router", "floatingip", "security_group", "security_group_rule")
            },
            "database": {"connection": database_url(lab, cloud, "neutron"), **(OLD_NEUTRON_POOL if old else POOL)},
            "nova": _client(lab, cloud, "nova"),
            "placement": _client(lab, cloud, "placement"),
            **_common(lab, cloud, venv, "neutron"),
        },
        "ml2_conf.ini": {
            "ml2": {
                "type_drivers": "flat,vlan,vxlan,local",
                "tenant_network_types": "vxlan",
                "mechanism_drivers": "lab",
                "extension_drivers": "port_security,qos,subnet_dns_publish_fixed_ip",
            },
            "ml2_type_flat": {"flat_networks": "*"},
            "ml2_type_vlan": {"network_vlan_ranges": "physnet1:100:4000"},
            "ml2_type_vxlan": {"vni_ranges": "1:100000"},
            "securitygroup": {"enable_security_group": True},
        },
    }


def _cinder(lab: Lab, cloud: CloudName, venv: Path) -> dict[str, Ini]:
    folder = lab.cloud_folder(cloud) / "cinder"
    etc = lab.etc(cloud) / "cinder"
    return {
        "cinder.conf": {
            "DEFAULT": {
                "transport_url": _messaging_url(lab, cloud),
                "osapi_volume_listen": LOOPBACK,
                "osapi_volume_listen_port": lab.port(cloud, "cinder"),
                "osapi_volume_workers": 1,
                "auth_strategy": "keystone",
                "enabled_backends": "nfs",
                "default_volume_type": "nfs",
                "glance_api_servers": lab.url(cloud, "glance"),
                "state_path": folder,
                "my_ip": LOOPBACK,
                "host": f"{cloud}-volume",
                "rootwrap_config": etc / "rootwrap.conf",
                "resource_query_filters_file": venv / "etc" / "cinder" / "resource_filters.json",
                "api_paste_config": etc / "api-paste.ini",
                "volume_clear": "none",
                "enable_force_upload": True,
                "image_conversion_dir": folder / "conversion",
            },
            "database": {"connection": database_url(lab, cloud, "cinder"), **POOL},
            "nfs": {
                "volume_driver": "cinder.volume.drivers.nfs.NfsDriver",
                "volume_backend_name": "nfs",
                "nfs_shares_config": etc / "nfs_shares",
                "nfs_mount_point_base": folder / "mnt",
                "nfs_snapshot_support": True,
                # snapshots need this one false
                "nas_secure_file_operations": False,
                "nas_secure_file_permissions": False,
                "nfs_sparsed_volumes": True,
                "image_upload_use_cinder_backend": False,
            },
            "coordination": {"backend_url": f"file://{folder}/coordination"},
            "nova": _client(lab, cloud, "nova"),
            "service_user": {**_client(lab, cloud, "cinder"), "send_service_user_token": True},
            **_common(lab, cloud, venv, "cinder"),
        }
    }


def _heat(lab: Lab, cloud: CloudName, venv: Path) -> dict[str, Ini]:
    # with a project in it, 2023.1 answers 500 to a stack's PATCH
    trustee = {name: value for name, value in _client(lab, cloud, "heat").items() if not name.startswith("project_")}
    return {
        "heat.conf": {
            "DEFAULT": {
                "transport_url": _messaging_url(lab, cloud),
                "stack_user_domain_name": "heat",
                "stack_domain_admin": "heat_domain_admin",
                "stack_domain_admin_password": lab.passwords.heat_domain,
                "num_engine_workers": 1,
                # a server without a host fails at once instead of after a minute of retries
                "action_retry_limit": 0,
                "auth_encryption_key": lab.passwords.encryption,
                "environment_dir": venv / "etc" / "heat" / "environment.d",
                "template_dir": venv / "etc" / "heat" / "templates",
                "region_name_for_services": CLOUDS[cloud].region,
                "server_keystone_endpoint_type": "public",
                "host": f"{cloud}-heat",
            },
            "heat_api": {"bind_host": LOOPBACK, "bind_port": lab.port(cloud, "heat"), "workers": 1},
            "paste_deploy": {"api_paste_config": lab.etc(cloud) / "heat" / "api-paste.ini"},
            "database": {"connection": database_url(lab, cloud, "heat"), **POOL},
            "clients": {"endpoint_type": "publicURL", "region_name": CLOUDS[cloud].region},
            "clients_keystone": {"auth_uri": f"{lab.url(cloud, 'keystone')}/v3"},
            "trustee": trustee,
            **_common(lab, cloud, venv, "heat"),
        }
    }


def _ironic(lab: Lab, cloud: CloudName, venv: Path) -> dict[str, Ini]:
    folder = lab.cloud_folder(cloud) / "ironic"
    return {
        "ironic.conf": {
            "DEFAULT": {
                "log_file": lab.log_folder / f"{cloud}-ironic.log",
                "auth_strategy": "keystone",
                "rpc_transport": "none",
                # without it Nova sees no node
                "rbac_service_role_elevated_access": True,
                "host": f"{cloud}-ironic",
                "my_ip": LOOPBACK,
                "state_path": folder,
                "tempdir": folder / "tmp",
                "enabled_hardware_types": "fake-hardware",
                **{f"enabled_{interface}_interfaces": "fake" for interface in FAKE_HARDWARE_INTERFACES},
                "enabled_network_interfaces": "noop",
                "enabled_storage_interfaces": "noop,fake",
                "default_network_interface": "noop",
            },
            "api": {"host_ip": LOOPBACK, "port": lab.port(cloud, "ironic"), "api_workers": 1},
            "conductor": {
                "automated_clean": True,
                "power_state_sync_max_retries": 3,
                "workers_pool_size": 100,
                "sync_power_state_interval": 15,
            },
            "inventory": {"data_backend": "database"},
            "fake": {"inspect_delay": 2, "deploy_delay": 1, "power_delay": 0},
            "database": {"connection": database_url(lab, cloud, "ironic"), **POOL},
            "dhcp": {"dhcp_provider": "none"},
            "vnc": {"enabled": False},
            "service_catalog": _client(lab, cloud, "ironic"),
            **_common(lab, cloud, venv, "ironic"),
        }
    }


def _swift(lab: Lab, cloud: CloudName, _venv: Path) -> dict[str, Ini]:
    """One replica of everything on one device, which is a folder: its file system has to keep extended attributes."""
    etc = lab.etc(cloud) / "swift"
    keystone: Section = {
        **_token_check(lab, cloud, "swift"),
        "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
        # others than members are let in by what a container says of them
        "delay_auth_decision": True,
        "include_service_catalog": False,
    }
    filters: Ini = {f"filter:{name}": {"use": f"egg:swift#{SWIFT_FILTERS.get(name, name)}"} for name in SWIFT_PIPELINE}
    filters["filter:authtoken"] = keystone
    filters["filter:keystoneauth"] |= {"operator_roles": "admin, member", "project_reader_roles": "reader"}
    filters["filter:versioned_writes"] |= {"allow_versioned_writes": True, "allow_object_versioning": True}
    files: dict[str, Ini] = {
        "swift.conf": {
            "swift-hash": {"swift_hash_path_suffix": lab.passwords.encryption},
            "storage-policy:0": {"name": "Policy-0", "default": True},
        },
        "proxy-server.conf": {
            "DEFAULT": {"bind_ip": LOOPBACK, "bind_port": lab.port(cloud, "swift"), "swift_dir": etc},
            "pipeline:main": {"pipeline": " ".join([*SWIFT_PIPELINE, "proxy-server"])},
            "app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": True},
            **filters,
        },
    }
    for server in SWIFT_STORAGE:
        files[f"{server}-server.conf"] = {
            "DEFAULT": {
                "bind_ip": LOOPBACK,
                "bind_port": lab.storage_port(cloud, server),
                "swift_dir": etc,
                "devices": lab.cloud_folder(cloud) / "swift" / "devices",
                "mount_check": False,
                "fallocate_reserve": 0,
                "disable_fallocate": True,
            },
            "pipeline:main": {"pipeline": f"{server}-server"},
            f"app:{server}-server": {"use": f"egg:swift#{server}"},
        }
    return files

"""Templates as documents: where they name things of their cloud, and the same documents with other names in these places."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec
import yaml

Json = dict[str, Any]

HIDDEN = "******"
"""What Heat shows in place of a hidden parameter's value."""

KINDS_OF_TYPES = {
    "OS::Cinder::Volume": "volume",
    "OS::Neutron::AddressScope": "address_scope",
    "OS::Neutron::FloatingIP": "floating_ip",
    "OS::Neutron::Net": "network",
    "OS::Neutron::Port": "port",
    "OS::Neutron::Router": "router",
    "OS::Neutron::SecurityGroup": "security_group",
    "OS::Neutron::SecurityGroupRule": "security_group_rule",
    "OS::Neutron::Subnet": "subnet",
    "OS::Neutron::SubnetPool": "subnet_pool",
    "OS::Neutron::Trunk": "trunk",
    "OS::Nova::KeyPair": "keypair",
    "OS::Nova::Server": "server",
    "OS::Nova::ServerGroup": "server_group",
    "OS::Swift::Container": "container",
}
"""Of things that stand in a survey too. All other types are Heat's own, or ties between things: a new stack makes them anew."""

PLACES = {
    "availability_zone": "zone",
    "flavor": "flavor",
    "floating_network": "network",
    "floating_network_id": "network",
    "floatingip_id": "floating_ip",
    "image": "image",
    "image_id": "image",
    "key_name": "keypair",
    "network": "network",
    "network_id": "network",
    "port": "port",
    "port_id": "port",
    "qos_policy": "qos_policy",
    "remote_group": "security_group",
    "remote_group_id": "security_group",
    "router": "router",
    "router_id": "router",
    "security_group": "security_group",
    "security_groups": "security_group",
    "snapshot_id": "volume_snapshot",
    "source_volid": "volume",
    "subnet": "subnet",
    "subnet_id": "subnet",
    "subnetpool": "subnet_pool",
    "volume_id": "volume",
    "volume_type": "volume_type",
}
"""Property, of whatever type -> the kind of what it names, by id or name (Heat's "OpenStack Resource Types")."""

HINTS = {"group": "server_group"}
"""The same, among a server's `scheduler_hints`: elsewhere a group is something else."""

CONSTRAINTS = {
    "cinder.snapshot": "volume_snapshot",
    "cinder.volume": "volume",
    "cinder.vtype": "volume_type",
    "glance.image": "image",
    "neutron.network": "network",
    "neutron.port": "port",
    "neutron.qos_policy": "qos_policy",
    "neutron.router": "router",
    "neutron.security_group": "security_group",
    "neutron.subnet": "subnet",
    "neutron.subnetpool": "subnet_pool",
    "nova.flavor": "flavor",
    "nova.keypair": "keypair",
}
"""Custom constraint of a parameter -> the kind of what its value names."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Naming(msgspec.Struct, frozen=True, order=True):
    """Something of the cloud that a stack uses, and how it is called: by id or name."""

    kind: str
    value: str


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """All that a stack is made from."""

    template: Json
    files: dict[str, str]
    environment: Json
    """With HIDDEN where Heat says no more."""


Rename = Callable[[Naming], str]


def is_native(definition: Definition) -> bool:
    """Whether it is a HOT template, and none of CloudFormation's."""
    return "heat_template_version" in definition.template


def hidden(definition: Definition) -> tuple[str, ...]:
    """The parameters whose values Heat keeps to itself."""
    given = {**_table(definition.environment.get("parameter_defaults")), **_table(definition.environment.get("parameters"))}
    return tuple(sorted(name for name, value in given.items() if value == HIDDEN))


def namings(definition: Definition) -> tuple[Naming, ...]:
    """What it names of its cloud, each once; what it makes itself has no name there."""
    found: set[Naming] = set()

    def note(naming: Naming) -> str:
        found.add(naming)
        return naming.value

    renamed(definition, note)
    return tuple(sorted(found))


def externals(definition: Definition) -> frozenset[str]:
    """The ids of resources that the stack has and does not own (`external_id`)."""
    documents = [definition.template, *_parsed(definition.files).values()]
    values = (resource.get("external_id") for document in documents for resource in _resources(document).values())
    return frozenset(value for value in values if isinstance(value, str))


def renamed(definition: Definition, rename: Rename) -> Definition:
    """The same stack, with everything that it names called as `rename` says: in properties and in the parameters that they take."""
    return _Renaming(definition, rename).whole()


def with_ids(value: Any, ids: Mapping[str, str]) -> Any:
    """With ids replaced wherever they stand, in scripts and lists too: a UUID means one thing only."""
    match value:
        case str():
            return _UUID.sub(lambda found: ids.get(found[0], found[0]), value)
        case list():
            return [with_ids(one, ids) for one in cast("list[Any]", value)]
        case dict():
            return {with_ids(key, ids): with_ids(one, ids) for key, one in cast(Json, value).items()}
        case _:
            return value


class _Renaming:
    """One pass over a template, the templates among its files, and the environment."""

    def __init__(self, definition: Definition, rename: Rename) -> None:
        self._definition = definition
        self._rename = rename
        self._templates = _parsed(definition.files)
        self._aliases = _table(definition.environment.get("resource_registry"))
        self._parameters: dict[str, dict[str, str]] = {}

    def whole(self) -> Definition:
        environment = self._definition.environment
        kinds = self._kinds_of_parameters(self._definition.template)
        schemas = _table(self._definition.template.get("parameters"))
        changed = {
            section: {
                name: self._given(value, kinds.get(name), schemas.get(name)) for name, value in _table(environment.get(section)).items()
            }
            for section in ("parameters", "parameter_defaults")
            if section in environment
        }
        texts = self._definition.files
        templates = {name: self._template(template) for name, template in self._templates.items()}
        files = {
            name: texts[name] if template == self._templates[name] else yaml.safe_dump(template, sort_keys=False)
            for name, template in templates.items()
        }
        return Definition(
            template=self._template(self._definition.template), files={**texts, **files}, environment={**environment, **changed}
        )

    def _template(self, template: Json) -> Json:
        kinds = self._kinds_of_parameters(template)
        parameters = {
            name: {**schema, "default": self._given(schema["default"], kinds[name], schema)}
            if name in kinds and "default" in schema
            else schema
            for name, schema in _table(template.get("parameters")).items()
        }
        resources = {name: self._resource(resource) for name, resource in _resources(template).items()}
        return {**template, **({"parameters": parameters} if parameters else {}), **({"resources": resources} if resources else {})}

    def _resource(self, resource: Json) -> Json:
        properties = _table(resource.get("properties"))
        changed = {**resource, "properties": self._properties(properties, self._places(resource))} if properties else dict(resource)
        external, kind = resource.get("external_id"), KINDS_OF_TYPES.get(str(resource.get("type")))
        return {**changed, "external_id": self._value(external, kind)} if isinstance(external, str) else changed

    def _properties(self, properties: Json, places: Mapping[str, str]) -> Json:
        return {
            name: self._value(value, places.get(name), HINTS if name == "scheduler_hints" else places) for name, value in properties.items()
        }

    def _given(self, value: Any, kind: str | None, schema: Any) -> Any:
        """To a parameter. Lists may be given as text."""
        if isinstance(value, str) and _table(schema).get("type") == "comma_delimited_list":
            return ",".join(str(self._value(one, kind)) for one in value.split(","))
        return self._value(value, kind)

    def _value(self, value: Any, kind: str | None, places: Mapping[str, str] | None = None) -> Any:
        """Functions are gone through for what is inside of them; what a parameter or a resource gives is looked at where that is."""
        match value:
            case str() if kind and value and value != HIDDEN:
                return self._rename(Naming(kind, value))
            case list():
                return [self._value(one, kind, places) for one in cast("list[Any]", value)]
            case {"get_param": _} | {"get_resource": _} | {"get_attr": _} | {"get_file": _}:
                return cast(Json, value)
            case {"if": [condition, *branches]}:
                return {"if": [condition, *(self._value(one, kind, places) for one in cast("list[Any]", branches))]}
            case {"type": str(), "properties": _}:
                return self._resource(cast(Json, value))
            case dict():
                return self._properties(cast(Json, value), PLACES if places is None else places)
            case _:
                return value

    def _places(self, resource: Json) -> Mapping[str, str]:
        """The properties of a nested stack are its template's parameters."""
        template = self._template_of(str(resource.get("type")))
        return {**PLACES, **self._kinds_of_parameters(template)} if template else PLACES

    def _template_of(self, type: str) -> Json | None:
        name = self._aliases.get(type, type)
        return self._templates.get(name) if isinstance(name, str) else None

    def _kinds_of_parameters(self, template: Json) -> dict[str, str]:
        """What the parameters name, as far as they say, or it can be seen where they are used."""
        key = str(id(template))
        if key not in self._parameters:
            self._parameters[key] = {}  # for templates that hold themselves, which Heat ends at a depth
            found = dict(self._used(_resources(template).values()))
            for name, schema in _table(template.get("parameters")).items():
                for constraint in _table(schema).get("constraints") or ():
                    if kind := CONSTRAINTS.get(str(_table(constraint).get("custom_constraint"))):
                        found[name] = kind
            self._parameters[key] = found
        return self._parameters[key]

    def _used(self, values: Iterable[Any], kind: str | None = None, places: Mapping[str, str] = PLACES) -> Iterator[tuple[str, str]]:
        for value in values:
            match value:
                case {"get_param": str() as name}:
                    if kind:
                        yield name, kind
                case {"type": str(), "properties": dict() as properties}:
                    yield from self._used([properties], None, self._places(cast(Json, value)))
                case {"if": [_, *branches]}:
                    yield from self._used(cast("list[Any]", branches), kind, places)
                case list():
                    yield from self._used(cast("list[Any]", value), kind, places)
                case dict():
                    for name, one in cast(Json, value).items():
                        yield from self._used([one], places.get(name), HINTS if name == "scheduler_hints" else places)
                case _:
                    pass


def _parsed(files: Mapping[str, str]) -> dict[str, Json]:
    """Those that are templates."""
    found: dict[str, Json] = {}
    for name, text in files.items():
        if "heat_template_version" in text:
            try:
                document = yaml.safe_load(text)
            except yaml.YAMLError:
                continue
            if isinstance(document, dict) and "heat_template_version" in document:
                found[name] = cast(Json, document)
    return found


def _resources(template: Json) -> dict[str, Json]:
    return {name: resource for name, resource in _table(template.get("resources")).items() if isinstance(resource, dict)}


def _table(value: Any) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}

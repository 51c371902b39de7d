"""Neutron's drivers for a network without agents: ports are bound at once and set ACTIVE, trunks and QoS are taken as they are."""

from neutron.services.trunk.drivers import base as trunk
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api
from neutron_lib.services.qos import base as qos
from neutron_lib.services.qos import constants as qos_constants
from neutron_lib.services.trunk import constants as trunk_constants

UNBOUND = (portbindings.VIF_TYPE_UNBOUND, portbindings.VIF_TYPE_BINDING_FAILED)


class LabMechanismDriver(api.MechanismDriver):
    def initialize(self):
        # the service plugins ask for their drivers when they start, which is after this
        self.trunks = LabTrunkDriver("lab", (portbindings.VIF_TYPE_OVS,), (trunk_constants.SEGMENTATION_TYPE_VLAN,))
        self.qos = qos.DriverBase("lab", [portbindings.VIF_TYPE_OVS], portbindings.VNIC_TYPES, QOS_RULES)

    @property
    def connectivity(self):
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        segment = context.segments_to_bind[0]
        details = {
            portbindings.CAP_PORT_FILTER: True,
            portbindings.OVS_HYBRID_PLUG: False,
            portbindings.VIF_DETAILS_CONNECTIVITY: self.connectivity,
        }
        context.set_binding(segment[api.ID], portbindings.VIF_TYPE_OVS, details, status=constants.PORT_STATUS_ACTIVE)

    def update_port_postcommit(self, context):
        # At the end of a live migration the binding for the new host is activated, which leaves the port DOWN until an agent reports it up.
        if context.host and context.vif_type not in UNBOUND and context.current["status"] == constants.PORT_STATUS_DOWN:
            directory.get_plugin().update_port_status(context.plugin_context, context.current["id"], constants.PORT_STATUS_ACTIVE)


class LabTrunkDriver(trunk.DriverBase):
    @property
    def is_loaded(self):
        return True


QOS_RULES = {
    qos_constants.RULE_TYPE_BANDWIDTH_LIMIT: {qos_constants.DIRECTION: {"type:values": constants.VALID_DIRECTIONS}},
    qos_constants.RULE_TYPE_DSCP_MARKING: {qos_constants.DSCP_MARK: {"type:values": constants.VALID_DSCP_MARKS}},
}
"""Rule type -> its parameters with their values: one without parameters counts as unknown."""

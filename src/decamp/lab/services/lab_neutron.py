"""An ML2 mechanism driver for a network without agents: binds every port at once and sets it ACTIVE."""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api

UNBOUND = (portbindings.VIF_TYPE_UNBOUND, portbindings.VIF_TYPE_BINDING_FAILED)


class LabMechanismDriver(api.MechanismDriver):
    def initialize(self):
        pass

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

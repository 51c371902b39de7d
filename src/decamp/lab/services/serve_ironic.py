"""Run Ironic's API and conductor in one process, as its own `ironic` command does, with hardware that is the lab's machines."""

from ironic.command import singleprocess
from ironic.common import service

prepare = service.prepare_service


def prepare_with_machines(*arguments):
    prepare(*arguments)
    # only after the configuration is read: periodic tasks take their spacing from it when they are defined
    import lab_ironic

    lab_ironic.install()


service.prepare_service = prepare_with_machines
singleprocess.main()

from decamp.hosts.placement import merged
from decamp.model.amounts import Inventory


def test_a_tree_of_providers_offers_what_its_members_offer_together() -> None:
    root = {"VCPU": Inventory(total=32, allocation_ratio=4.0), "MEMORY_MB": Inventory(total=1000, reserved=100)}
    card = {"VGPU": Inventory(total=8, reserved=1)}
    offered = merged([root, card, card])
    assert offered["VCPU"] == root["VCPU"]
    assert offered["VGPU"].usable() == 14

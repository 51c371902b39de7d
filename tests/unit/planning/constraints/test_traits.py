from decamp.planning.constraints import traits
from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, host, migration, server, survey

S1 = server("s1", "a", traits=("HW_CPU_X86_AVX2", "CUSTOM_SSD"))


def test_every_required_trait_has_to_be_there():
    assert traits.missing(S1, host("b", traits=("HW_CPU_X86_AVX2",))) == ("CUSTOM_SSD",)
    old = survey([host("a"), host("b", traits=("HW_CPU_X86_AVX2",))], [S1])
    assert Rule.TRAITS in broken(by_hand(old, migration(S1, "b")), old)


def test_traits_that_nobody_requires_do_not_matter():
    old = survey([host("a"), host("b", traits=("CUSTOM_SSD", "HW_CPU_X86_AVX2", "X"))], [S1])
    assert Rule.TRAITS not in broken(by_hand(old, migration(S1, "b")), old)

from decamp.hosts.heat_role import count_of, without_secrets


def test_nothing_that_looks_secret_is_told_of_a_stack() -> None:
    parameters = {
        "ComputeCount": "2",
        "NtpServer": "ntp.example",
        "AdminPassword": "hunter2",
        "SomethingHidden": "******",
        "SnmpdReadonlyUserPassword": "x",
        "ExtraConfig": '{"nova::db_password": "hunter2"}',
        "Certificate": "-----BEGIN CERTIFICATE-----",
        "OS::stack_name": "overcloud",
    }
    assert without_secrets(parameters) == {"ComputeCount": "2", "NtpServer": "ntp.example"}


def test_a_count_is_a_number_whatever_type_heat_shows_it_as() -> None:
    assert count_of({"parameters": {"ComputeCount": "2"}}, "ComputeCount") == 2
    assert count_of({"parameters": {"ComputeCount": 2}}, "ComputeCount") == 2
    assert count_of({"parameters": {}}, "ComputeCount") is None

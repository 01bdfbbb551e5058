"""The library of the scripts: loaded when it is missing, and removed when its release is gone."""

from redis import Redis

from tests.builders import a_claimant, a_job
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.library import Library, library, remove_others
from workplatform.store.records import Grant


def loaded(client: Redis) -> set[str]:
    return {facts[1].decode() for facts in client.function_list()}


def of_another_release(own: Library) -> Library:
    other = f"{own.name.rpartition('_')[0]}_0123456789ab"
    return Library(other, own.code.replace(own.name.encode(), other.encode()))


def test_a_server_that_has_lost_the_scripts_is_given_them_again(store: JobStore, connector: Connector) -> None:
    first, second = a_job(), a_job()
    connector.client.function_flush()
    store.create([first, second])
    connector.client.function_flush()
    claim = store.begin_claim(first.id, a_claimant(), claim="c", message=first.message)
    assert isinstance(claim(), Grant)
    assert loaded(connector.client) == {library("test:").name}
    assert store.get(first.id).status is Status.RUNNING


def test_releases_side_by_side_have_their_own_and_the_last_ones_go(store: JobStore, connector: Connector) -> None:
    store.create([a_job()])
    own, elsewhere = library("test:"), library("elsewhere:")
    other = of_another_release(own)
    for each in (other, elsewhere):
        connector.client.function_load(each.code.decode(), replace=True)
    assert loaded(connector.client) >= {own.name, other.name, elsewhere.name}
    remove_others(connector.client, "test:")
    assert loaded(connector.client) & {own.name, other.name, elsewhere.name} == {own.name, elsewhere.name}
    connector.client.function_delete(elsewhere.name)

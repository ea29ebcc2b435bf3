"""gRPC end to end: a client and the example service tally, both on grpcio, with Stoa between them.
Each kind of call, both streams at the same time, trailers, errors, deadlines, and what it costs."""

import importlib.machinery
import importlib.util
import queue
import threading

import grpc
import pytest
import yaml
from books import check_books, settle
from cloud import PLAIN_CONFIG
from example_program import EXAMPLES
from market import Market


def module_of(path):
    loader = importlib.machinery.SourceFileLoader("tally", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tally", loader))
    loader.exec_module(module)
    return module


TALLY = EXAMPLES / "tally"
tally = module_of(TALLY / "tally")
CODED = {"request_serializer": tally.encode, "response_deserializer": tally.decode}


class Client:
    """The methods of Tally as a caller with a key has them."""

    def __init__(self, market, **more):
        self.channel = grpc.insecure_channel(market.cloud.gateway, options=[
            ("grpc.default_authority", "tally.localhost"), *more.items()])
        self.metadata = (("x-api-key", market.key),)
        name = "/stoa.example.Tally/"
        self.square = self.channel.unary_unary(name + "Square", **CODED)
        self.count = self.channel.unary_stream(name + "Count", **CODED)
        self.total = self.channel.stream_unary(name + "Total", **CODED)
        self.running = self.channel.stream_stream(name + "Running", **CODED)
        self.nothing = self.channel.unary_unary(name + "Nothing", **CODED)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()


@pytest.fixture
def market(clouds):
    manifest = yaml.safe_load((TALLY / "service.yaml").read_text())
    return Market(clouds(PLAIN_CONFIG), manifest, folder=TALLY, plan="payg")


def fields_of(call):
    """Of head and trailers: a charge stands where the answer's end was known in time."""
    return {**dict(call.initial_metadata()), **dict(call.trailing_metadata())}


def records_of(market, count):
    """So many new records, as soon as they are there."""
    found = []
    while len(found) < count:
        found += market.new_records()
    assert len(found) == count
    return found


def test_every_kind_of_call_passes_with_its_trailers(market):
    with Client(market) as client:
        answer, call = client.square.with_call(12, metadata=client.metadata)
        assert answer == 144
        assert "stoa-call" in fields_of(call)
        assert fields_of(call)["stoa-charge"] == "0.00001 USD"

        stream = client.count(1000, metadata=client.metadata)
        assert list(stream) == list(range(1, 1001))
        assert stream.code() == grpc.StatusCode.OK

        answer, call = client.total.with_call(iter(range(50_000)), metadata=client.metadata)
        assert answer == sum(range(50_000))
        assert fields_of(call)["stoa-charge"] == "0.50 USD"

        stream = client.running(iter([1, 2, 3]), metadata=client.metadata)
        assert list(stream) == [1, 3, 6]
        assert fields_of(stream)["stoa-charge"] == "0.00003 USD"
    records = records_of(market, 4)
    assert [record["outcome"] for record in records] == ["answered"] * 4
    settle(market.cloud)
    check_books(market.cloud)


def test_both_sides_stream_at_the_same_time(market):
    sent = queue.Queue()
    with Client(market) as client:
        stream = client.running(iter(sent.get, None), metadata=client.metadata)
        so_far = 0
        for number in range(200):  # each is sent only once the one before was answered
            sent.put(number)
            so_far += number
            assert next(stream) == so_far
        sent.put(None)
        with pytest.raises(StopIteration):
            next(stream)
    record, = records_of(market, 1)
    assert record["outcome"] == "answered"


def test_what_a_service_says_went_wrong_reaches_the_caller(market):
    with Client(market) as client:
        with pytest.raises(grpc.RpcError) as told:
            client.square(1 << 40, metadata=client.metadata)
        assert told.value.code() == grpc.StatusCode.OUT_OF_RANGE
        assert told.value.details() == "the square has more than 64 bits"
        with pytest.raises(grpc.RpcError) as told:
            list(client.count(2_000_000, metadata=client.metadata))
        assert told.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as told:
            client.nothing(1, metadata=client.metadata)
        assert told.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_what_stoa_refuses_has_a_status_of_grpc(market):
    with Client(market) as client:
        with pytest.raises(grpc.RpcError) as told:
            client.square(2, metadata=(("x-api-key", "nobody's"),))
        assert told.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert client.square(2, metadata=client.metadata) == 4


def test_a_deadline_ends_the_call_on_both_sides(market):
    waits = threading.Event()
    with Client(market) as client:
        stream = client.running(iter(lambda: waits.wait() and 1, 1), timeout=0.5,
                                metadata=client.metadata)
        with pytest.raises(grpc.RpcError) as told:
            next(stream)
        assert told.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        record, = records_of(market, 1)
        assert record["outcome"] == "aborted"
        waits.set()
        # The service's places are free: more calls at once than it has would wait for them.
        for _ in range(20):
            assert client.square(3, metadata=client.metadata) == 9


def test_a_caller_that_cancels_ends_the_stream_at_the_service(market):
    with Client(market) as client:
        for _ in range(20):  # more than the service has places
            stream = client.count(1_000_000, metadata=client.metadata)
            assert next(stream) == 1
            stream.cancel()
        assert client.square(5, metadata=client.metadata) == 25


def test_many_clients_at_once_and_no_answer_is_crossed(market):
    wrong = []

    def talk(number):
        with Client(market, **{"grpc.use_local_subchannel_pool": 1}) as client:
            for turn in range(25):
                value = 1000 * number + turn
                if client.square(value, metadata=client.metadata) != value * value:
                    wrong.append(value)

    talkers = [threading.Thread(target=talk, args=(number,)) for number in range(1, 5)]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    assert not wrong
    settle(market.cloud)
    check_books(market.cloud)

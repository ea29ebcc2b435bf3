"""A gRPC service of another make (grpcio), and clients of it; messages are bytes as they are.

    with GrpcService() as service: ... a manifest with service.address and `protocol: h2` ...

/test.Echo/ has Unary, ServerStream (each byte of the request as a message), ClientStream (all
messages joined), BothStreams (each message back), Fails (ABORTED with a text) and Waits (until
its caller leaves).
"""

import threading
from concurrent import futures

import grpc

STREAMS = {  # method: (request streams, answer streams)
    "Unary": (False, False), "ServerStream": (False, True), "ClientStream": (True, False),
    "BothStreams": (True, True), "Fails": (False, False), "Waits": (False, False)}
KINDS = {(False, False): "unary_unary", (False, True): "unary_stream",
         (True, False): "stream_unary", (True, True): "stream_stream"}


class GrpcService:
    def __init__(self):
        self.left = threading.Event()  # a caller of Waits has left
        self.metadata = []  # of each call, as it came
        self.server = grpc.server(futures.ThreadPoolExecutor(16))
        handlers = {name: getattr(grpc, f"{KINDS[streams]}_rpc_method_handler")(
            self._noting(getattr(self, f"_{name.lower()}"))) for name, streams in STREAMS.items()}
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Echo", handlers),))
        self.address = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(0).wait()

    def _noting(self, handler):
        def noted(request, context):
            self.metadata.append(dict(context.invocation_metadata()))
            return handler(request, context)

        return noted

    def _unary(self, request, context):
        context.set_trailing_metadata((("x-noted", "yes"),))
        return request

    def _serverstream(self, request, context):
        for byte in request:
            yield bytes([byte])

    def _clientstream(self, requests, context):
        return b"".join(requests)

    def _bothstreams(self, requests, context):
        yield from requests

    def _fails(self, request, context):
        context.abort(grpc.StatusCode.ABORTED, "it was not to be")

    def _waits(self, request, context):
        over = threading.Event()
        context.add_callback(over.set)
        over.wait()
        self.left.set()
        return b""


def channel_of(gateway, service, authority=None):
    """By TLS where the certificate of an authority is given, in PEM."""
    options = (("grpc.default_authority", f"{service}.localhost"), ("grpc.enable_retries", 0))
    if authority is None:
        return grpc.insecure_channel(gateway, options=options)
    credentials = grpc.ssl_channel_credentials(authority)
    return grpc.secure_channel(gateway, credentials, options=(
        *options, ("grpc.ssl_target_name_override", f"{service}.localhost")))


def stub(channel, method):
    """A function of a request (or an iterator of them), with metadata= and timeout=."""
    return getattr(channel, KINDS[STREAMS[method]])(f"/test.Echo/{method}")

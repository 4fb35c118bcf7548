"""Calls and services of the protocol by their names: no stubs are generated, only messages.

The messages come from server/proto through protoc; their directory is on PYTHONPATH.
"""

import grpc

import content_pb2
import control_pb2
import filesync_pb2
import fsutil_pb2
import gateway_pb2
import health_pb2
import ops_pb2
import secrets_pb2
import ssh_pb2
import upload_pb2

CONTROL = "/moby.buildkit.v1.Control/"
BRIDGE = "/moby.buildkit.v1.frontend.LLBBridge/"

# Largest message, as both sides of the protocol agree on it.
MAX_MESSAGE = 16 << 20

OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
]


class Daemon:
    """The daemon's services, as a client calls them."""

    def __init__(self, address, credentials=None):
        if credentials is None:
            self.channel = grpc.insecure_channel(address, options=OPTIONS)
        else:
            self.channel = grpc.secure_channel(address, credentials, options=OPTIONS)

    def call(self, method, request, answer, **more):
        return self._one(CONTROL + method, answer)(request, **more)

    def begin(self, method, request, answer, **more):
        return self._one(CONTROL + method, answer).future(request, **more)

    def bridge(self, method, request, answer, build):
        metadata = [("buildkit-controlapi-buildid", build)]
        return self._one(BRIDGE + method, answer)(request, metadata=metadata)

    def stream(self, method, request, answer):
        return self.channel.unary_stream(
            CONTROL + method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )(request)

    def session(self, messages, metadata):
        return self.channel.stream_stream(
            CONTROL + "Session",
            request_serializer=control_pb2.BytesMessage.SerializeToString,
            response_deserializer=control_pb2.BytesMessage.FromString,
        )(messages, metadata=metadata)

    def _one(self, path, answer):
        return self.channel.unary_unary(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )


def handlers(services):
    """Generic handlers for (service, method) pairs: `services` maps paths to (kind, function, request, answer)."""
    by_service = {}
    for path, (kind, function, request, answer) in services.items():
        _, service, method = path.split("/")
        handler = getattr(grpc, kind + "_rpc_method_handler")(
            function,
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        by_service.setdefault(service, {})[method] = handler
    return [grpc.method_handlers_generic_handler(name, methods) for name, methods in by_service.items()]


SYNC = "/moby.filesync.v1.FileSync/DiffCopy"
SEND = "/moby.filesync.v1.FileSend/DiffCopy"
CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
HEALTH = "/grpc.health.v1.Health/Check"
TOKEN = "/moby.filesync.v1.Auth/FetchToken"
TOKEN_AUTHORITY = "/moby.filesync.v1.Auth/GetTokenAuthority"
VERIFY_TOKEN_AUTHORITY = "/moby.filesync.v1.Auth/VerifyTokenAuthority"
AGENT = "/moby.sshforward.v1.SSH/CheckAgent"
FORWARD = "/moby.sshforward.v1.SSH/ForwardAgent"
UPLOAD = "/moby.upload.v1.Upload/Pull"
INFO = "/containerd.services.content.v1.Content/Info"
READ = "/containerd.services.content.v1.Content/Read"
WRITE = "/containerd.services.content.v1.Content/Write"

__all__ = [
    "Daemon", "handlers", "OPTIONS", "SYNC", "SEND", "CREDENTIALS", "SECRET", "HEALTH", "TOKEN", "TOKEN_AUTHORITY",
    "VERIFY_TOKEN_AUTHORITY", "AGENT", "FORWARD", "UPLOAD", "INFO", "READ", "WRITE",
    "content_pb2", "control_pb2", "filesync_pb2", "fsutil_pb2", "gateway_pb2", "health_pb2", "ops_pb2", "secrets_pb2",
    "ssh_pb2", "upload_pb2",
]

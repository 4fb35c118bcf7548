"""A session: the client becomes a server on the daemon's connection.

The bytes of the session's messages are an HTTP/2 connection on which the daemon calls. They are carried to and from a
server of the usual kind, at a socket of its own.
"""

import os
import queue
import socket
import tempfile
import threading
import uuid
from concurrent import futures

import grpc

import files
from wire import (
    CREDENTIALS, HEALTH, OPTIONS, SECRET, SEND, SYNC, filesync_pb2, fsutil_pb2, handlers, health_pb2, control_pb2,
    secrets_pb2,
)

PIECE = 64 << 10


class Raw:
    """A message that is passed on as it is: what it means depends on the output."""

    def __init__(self, data):
        self.data = data

    @staticmethod
    def FromString(data):
        return Raw(data)

    def SerializeToString(self):
        return self.data


class Session:
    """Directories, secrets and outputs that are offered to one daemon."""

    def __init__(self, daemon, directories, secrets, outputs, shared_key):
        self.id = uuid.uuid4().hex
        self.directories, self.secrets, self.outputs = directories, secrets, outputs
        self.sent = {name: [] for name in directories}
        self.asked_for_logins = []
        services = {
            SYNC: ("stream_stream", self._sync, fsutil_pb2.Packet, fsutil_pb2.Packet),
            SEND: ("stream_stream", self._send, Raw, Raw),
            SECRET: ("unary_unary", self._secret, secrets_pb2.GetSecretRequest, secrets_pb2.GetSecretResponse),
            CREDENTIALS: (
                "unary_unary", self._login, filesync_pb2.CredentialsRequest, filesync_pb2.CredentialsResponse,
            ),
            HEALTH: ("unary_unary", self._health, health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse),
        }
        self._home = tempfile.TemporaryDirectory(prefix="session-")
        path = os.path.join(self._home.name, "s")
        self._server = grpc.server(futures.ThreadPoolExecutor(16), options=OPTIONS)
        self._server.add_generic_rpc_handlers(handlers(services))
        self._server.add_insecure_port("unix:" + path)
        self._server.start()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._over = queue.Queue()
        metadata = [("x-docker-expose-session-uuid", self.id), ("x-docker-expose-session-name", "test")]
        metadata += [("x-docker-expose-session-sharedkey", shared_key)]
        metadata += [("x-docker-expose-session-grpc-method", path) for path in services]
        self._call = daemon.session(self._outgoing(), metadata)
        threading.Thread(target=self._incoming, daemon=True).start()

    def close(self):
        self._call.cancel()
        self._socket.close()
        self._server.stop(None)
        self._home.cleanup()

    def _outgoing(self):
        while True:
            try:
                data = self._socket.recv(PIECE)
            except OSError:
                return
            if not data:
                return
            yield control_pb2.BytesMessage(data=data)

    def _incoming(self):
        try:
            for message in self._call:
                self._socket.sendall(message.data)
        except (grpc.RpcError, OSError):
            pass

    def _sync(self, requests, context):
        metadata = [(key, value) for key, value in context.invocation_metadata()]
        name = dict(metadata).get("dir-name", "")
        if name not in self.directories:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no access allowed to dir {name!r}")
        yield from files.send(self.directories[name], requests, metadata, self.sent[name])

    def _send(self, requests, context):
        number = int(dict(context.invocation_metadata()).get("buildkit-attachable-exporter-id", "0"))
        output = self.outputs[number]
        if os.path.basename(output).startswith("dir"):
            packets = (fsutil_pb2.Packet.FromString(message.data) for message in requests)
            for answer in files.receive(output, packets):
                yield Raw(answer.SerializeToString())
            yield Raw(files.packet(files.FIN).SerializeToString())
        else:
            with open(output, "wb") as file:
                for message in requests:
                    file.write(filesync_pb2.BytesMessage.FromString(message.data).data)

    def _secret(self, request, context):
        if request.ID not in self.secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no secret {request.ID!r}")
        return secrets_pb2.GetSecretResponse(data=self.secrets[request.ID].encode())

    def _login(self, request, _context):
        self.asked_for_logins.append(request.Host)
        return filesync_pb2.CredentialsResponse()

    def _health(self, _request, _context):
        return health_pb2.HealthCheckResponse(status=1)

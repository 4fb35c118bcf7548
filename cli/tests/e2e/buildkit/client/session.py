"""A session: the client becomes a server on the daemon's connection.

The bytes of the session's messages are an HTTP/2 connection on which the daemon calls. They are carried to and from a
server of the usual kind, at a socket of its own.
"""

import os
import socket
import tempfile
import threading
import uuid
from concurrent import futures

import grpc

import files
from content import Stores
from services import Services
from wire import OPTIONS, SEND, SYNC, control_pb2, filesync_pb2, fsutil_pb2, handlers

PIECE = 64 << 10

# How long a daemon may take to ask whether the client is there: it does so from time to time.
ALIVE_WITHIN = 60


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
    """What is offered to one daemon: `offered` is the document that build.py describes."""

    def __init__(self, daemon, offered):
        self.id = offered.get("session") or uuid.uuid4().hex
        self.directories = offered.get("directories", {})
        self.outputs = [output.get("to") for output in offered.get("outputs", [])]
        self.sent = {name: [] for name in self.directories}
        self.asked, self._counting = {}, threading.Lock()
        self._dies_after = offered.get("dies_after")
        self._services = Services(offered, self._note)
        services = {
            SYNC: ("stream_stream", self._sync, fsutil_pb2.Packet, fsutil_pb2.Packet),
            SEND: ("stream_stream", self._send, Raw, Raw),
            **self._services.table(),
            **Stores(offered.get("stores", {}), self._note).table(),
        }
        self._home = tempfile.TemporaryDirectory(prefix="session-")
        path = os.path.join(self._home.name, "s")
        self._server = grpc.server(futures.ThreadPoolExecutor(16), options=OPTIONS)
        self._server.add_generic_rpc_handlers(handlers(services))
        self._server.add_insecure_port("unix:" + path)
        self._server.start()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        metadata = [("x-docker-expose-session-uuid", self.id), ("x-docker-expose-session-name", "test")]
        metadata += [("x-docker-expose-session-sharedkey", offered.get("shared_key", ""))]
        metadata += [("x-docker-expose-session-grpc-method", path) for path in services]
        self._call = daemon.session(self._outgoing(), metadata)
        threading.Thread(target=self._incoming, daemon=True).start()

    def wait_for_sign(self):
        """Waits until the daemon has asked whether the client is there."""
        if not self._services.is_alive.wait(ALIVE_WITHIN):
            raise RuntimeError("the daemon did not ask whether the client is there")

    def close(self):
        self._call.cancel()
        self._socket.close()
        self._server.stop(None)
        self._home.cleanup()

    def _note(self, service, what):
        with self._counting:
            self.asked.setdefault(service, []).append(what)

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
        packets = files.send(self.directories[name], requests, metadata, self.sent[name])
        for number, packet in enumerate(packets):
            if name == "context" and number == self._dies_after:
                os._exit(0)
            yield packet

    def _send(self, requests, context):
        number = int(dict(context.invocation_metadata()).get("buildkit-attachable-exporter-id", "0"))
        output = self.outputs[number]
        if output is None:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"output {number} is not taken")
        if os.path.basename(output).startswith("dir"):
            packets = (fsutil_pb2.Packet.FromString(message.data) for message in requests)
            for answer in files.receive(output, packets):
                yield Raw(answer.SerializeToString())
            yield Raw(files.packet(files.FIN).SerializeToString())
        else:
            with open(output, "wb") as file:
                for message in requests:
                    file.write(filesync_pb2.BytesMessage.FromString(message.data).data)

"""The small services of a session: secrets, logins, agents, uploads, and a sign of life.

Each tells what it was asked for in `asked`, a list of texts by the service's name.
"""

import socket
import threading

import grpc

from wire import (
    AGENT, CREDENTIALS, FORWARD, HEALTH, SECRET, TOKEN, TOKEN_AUTHORITY, UPLOAD, VERIFY_TOKEN_AUTHORITY, filesync_pb2,
    health_pb2, secrets_pb2, ssh_pb2, upload_pb2,
)

PIECE = 32 << 10


class Services:
    """Everything but files and content stores."""

    def __init__(self, offered, asked):
        self.secrets = offered.get("secrets", {})
        self.logins = offered.get("logins", {})
        self.agents = offered.get("agents", {})
        self.uploads = offered.get("uploads", {})
        self.asked = asked
        self.is_alive = threading.Event()

    def table(self):
        unary, stream = "unary_unary", "stream_stream"
        token = filesync_pb2.FetchTokenRequest, filesync_pb2.FetchTokenResponse
        authority = filesync_pb2.GetTokenAuthorityRequest, filesync_pb2.GetTokenAuthorityResponse
        verify = filesync_pb2.VerifyTokenAuthorityRequest, filesync_pb2.VerifyTokenAuthorityResponse
        return {
            SECRET: (unary, self._secret, secrets_pb2.GetSecretRequest, secrets_pb2.GetSecretResponse),
            CREDENTIALS: (
                unary, self._login, filesync_pb2.CredentialsRequest, filesync_pb2.CredentialsResponse,
            ),
            TOKEN: (unary, self._none, *token),
            TOKEN_AUTHORITY: (unary, self._none, *authority),
            VERIFY_TOKEN_AUTHORITY: (unary, self._none, *verify),
            AGENT: (unary, self._agent, ssh_pb2.CheckAgentRequest, ssh_pb2.CheckAgentResponse),
            FORWARD: (stream, self._forward, ssh_pb2.BytesMessage, ssh_pb2.BytesMessage),
            UPLOAD: (stream, self._upload, upload_pb2.BytesMessage, upload_pb2.BytesMessage),
            HEALTH: (unary, self._health, health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse),
        }

    def _secret(self, request, context):
        self.asked("secrets", request.ID)
        if request.ID not in self.secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no secret {request.ID!r}")
        return secrets_pb2.GetSecretResponse(data=self.secrets[request.ID].encode())

    def _login(self, request, context):
        self.asked("logins", request.Host)
        login = self.logins.get(request.Host, {})
        if "fails" in login:
            context.abort(grpc.StatusCode.INTERNAL, login["fails"])
        return filesync_pb2.CredentialsResponse(
            Username=login.get("username", ""), Secret=login.get("secret", "")
        )

    def _none(self, _request, context):
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "no tokens are made here")

    def _agent(self, request, context):
        self.asked("agents", request.ID)
        if request.ID not in self.agents:
            context.abort(grpc.StatusCode.NOT_FOUND, f"unset ssh forward key {request.ID!r}")
        return ssh_pb2.CheckAgentResponse()

    def _forward(self, requests, context):
        name = dict(context.invocation_metadata()).get("buildkit.ssh.id", "default")
        self.asked("forwarded", name)
        agent = socket.socket(socket.AF_UNIX)
        agent.connect(self.agents[name])

        def pump():
            for message in requests:
                agent.sendall(message.data)
            agent.shutdown(socket.SHUT_WR)

        threading.Thread(target=pump, daemon=True).start()
        with agent:
            while data := agent.recv(PIECE):
                yield ssh_pb2.BytesMessage(data=data)

    def _upload(self, _requests, context):
        metadata = dict(context.invocation_metadata())
        path = metadata.get("urlpath", "")
        self.asked("uploads", metadata.get("urlhost", "") + path)
        if path not in self.uploads:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no http response from session for {path}")
        with open(self.uploads[path], "rb") as file:
            while data := file.read(PIECE):
                yield upload_pb2.BytesMessage(data=data)

    def _health(self, _request, _context):
        self.asked("health", "")
        self.is_alive.set()
        return health_pb2.HealthCheckResponse(status=1)

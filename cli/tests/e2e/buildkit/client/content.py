"""Content stores of a session: directories of blobs, as in an OCI layout, by the names that the daemon knows them by."""

import hashlib
import os
import tempfile

import grpc

from wire import INFO, READ, WRITE, content_pb2

PIECE = 256 << 10

# What a message of the writing side is for.
STAT, WRITES, COMMIT = range(3)


class Stores:
    """All stores; `asked` is told of the blobs that are read and written."""

    def __init__(self, directories, asked):
        self.directories, self.asked = directories, asked

    def table(self):
        return {
            INFO: ("unary_unary", self._info, content_pb2.InfoRequest, content_pb2.InfoResponse),
            READ: ("unary_stream", self._read, content_pb2.ReadContentRequest, content_pb2.ReadContentResponse),
            WRITE: (
                "stream_stream", self._write, content_pb2.WriteContentRequest, content_pb2.WriteContentResponse,
            ),
        }

    def _blob(self, digest, context, is_new=False):
        name = dict(context.invocation_metadata()).get("buildkit-attachable-store-id", "")
        if name not in self.directories:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no content store {name!r}")
        path = os.path.join(self.directories[name], "blobs", *digest.split(":"))
        if not is_new and not os.path.exists(path):
            context.abort(grpc.StatusCode.NOT_FOUND, f"content {digest}: not found")
        return path

    def _info(self, request, context):
        path = self._blob(request.digest, context)
        return content_pb2.InfoResponse(info=content_pb2.Info(digest=request.digest, size=os.path.getsize(path)))

    def _read(self, request, context):
        path, offset = self._blob(request.digest, context), request.offset
        self.asked("read", request.digest)
        with open(path, "rb") as file:
            file.seek(offset)
            while data := file.read(PIECE):
                yield content_pb2.ReadContentResponse(offset=offset, data=data)
                offset += len(data)

    def _write(self, requests, context):
        file, path, digest = None, None, hashlib.sha256()
        for request in requests:
            if file is None:
                path = self._blob(request.expected, context, is_new=True)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                file = tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False)
            if request.data:
                file.write(request.data)
                digest.update(request.data)
            answer = content_pb2.WriteContentResponse(action=request.action, offset=file.tell(), total=request.total)
            if request.action == COMMIT:
                file.close()
                answer.digest = f"sha256:{digest.hexdigest()}"
                if answer.digest != request.expected:
                    context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"unexpected digest {answer.digest}")
                os.rename(file.name, path)
                self.asked("written", answer.digest)
            yield answer

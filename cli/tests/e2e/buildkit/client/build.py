"""Builds once, as a JSON document on standard input says, and tells in JSON on standard output what came of it.

address     where the daemon is: unix:///PATH or HOST:PORT
tls         optional: {"ca", "cert", "key"} files
driven      true: the client asks for the frontend itself and returns its result, as buildx and buildctl do
attributes  of the frontend
outputs     [{"type", "attrs", "to"}]: what has no "to" is not taken; a name that begins with dir is a directory
caches      {"imports", "exports"}, each [{"type", "attrs"}]
directories, secrets, logins ({host: {"username", "secret"}}), agents (sockets), uploads (files by path),
            stores (directories of blobs), entitlements, shared_key, session (its id)
source      optional: {"identifier", "attrs"} of a source that is the whole graph, in place of a Dockerfile
dies_after  optional: the client is gone before this packet of its context
at_once     optional: so many builds at once, each with a session of its own; the answer is a list
question    optional: one of info, workers, usage, prune, in place of a build
"""

import hashlib
import json
import sys
import threading
import uuid
from concurrent import futures

import grpc
from google.protobuf.json_format import MessageToDict

from session import Session
from wire import Daemon, control_pb2, gateway_pb2, ops_pb2

QUESTIONS = {
    "info": ("Info", control_pb2.InfoRequest, control_pb2.InfoResponse),
    "workers": ("ListWorkers", control_pb2.ListWorkersRequest, control_pb2.ListWorkersResponse),
    "usage": ("DiskUsage", control_pb2.DiskUsageRequest, control_pb2.DiskUsageResponse),
}


def main():
    asked = json.load(sys.stdin)
    credentials = None
    if tls := asked.get("tls"):
        read = lambda name: open(tls[name], "rb").read() if name in tls else None
        credentials = grpc.ssl_channel_credentials(read("ca"), read("key"), read("cert"))
    daemon = Daemon(asked["address"], credentials)
    try:
        if "question" in asked:
            report = answer(daemon, asked["question"])
        elif "at_once" in asked:
            with futures.ThreadPoolExecutor(asked["at_once"]) as pool:
                report = list(pool.map(lambda _: build(daemon, asked), range(asked["at_once"])))
        else:
            report = build(daemon, asked)
    except grpc.RpcError as error:
        report = failure(error)
    json.dump(report, sys.stdout)


def failure(error):
    return {"error": error.details(), "code": error.code().name}


def answer(daemon, question):
    if question == "prune":
        went = daemon.stream("Prune", control_pb2.PruneRequest(all=True), control_pb2.UsageRecord)
        return {"answer": [MessageToDict(record) for record in went]}
    method, request, response = QUESTIONS[question]
    return {"answer": MessageToDict(daemon.call(method, request(), response))}


def build(daemon, asked):
    outputs = asked.get("outputs", [])
    session = Session(daemon, asked)
    reference, attributes = uuid.uuid4().hex, asked.get("attributes", {})
    request = control_pb2.SolveRequest(
        Ref=reference,
        Session=session.id,
        Exporters=[
            control_pb2.Exporter(Type=output["type"], Attrs=output.get("attrs", {})) for output in outputs
        ],
        Entitlements=asked.get("entitlements", []),
        Cache=control_pb2.CacheOptions(
            **{
                name.capitalize(): [control_pb2.CacheOptionsEntry(Type=it["type"], Attrs=it["attrs"]) for it in them]
                for name, them in asked.get("caches", {}).items()
            }
        ),
    )
    if source := asked.get("source"):
        getattr(request.Definition, "def").extend(graph(source))
    elif not asked.get("driven"):
        request.Frontend = "dockerfile.v0"
        request.FrontendAttrs.update(attributes)
    report = {"vertexes": {}, "logs": "", "warnings": []}
    watching = threading.Thread(target=watch, args=(daemon, reference, report))
    watching.start()
    solving = daemon.begin("Solve", request, control_pb2.SolveResponse)
    try:
        if asked.get("driven"):
            drive(daemon, reference, attributes, report)
        report["response"] = dict(solving.result().ExporterResponse)
    except grpc.RpcError as error:
        report.update(failure(error))
    watching.join()
    session.wait_for_sign()
    session.close()
    report["sent"] = {name: sorted(paths) for name, paths in session.sent.items()}
    report["asked"] = {name: sorted(what) for name, what in session.asked.items()}
    return report


def graph(source):
    """A graph of one source, as its encoded operations."""
    op = ops_pb2.Op(source=ops_pb2.SourceOp(**source)).SerializeToString()
    digest = "sha256:" + hashlib.sha256(op).hexdigest()
    return [op, ops_pb2.Op(inputs=[ops_pb2.Input(digest=digest, index=0)]).SerializeToString()]


def drive(daemon, reference, attributes, report):
    pong = daemon.bridge("Ping", gateway_pb2.PingRequest(), gateway_pb2.PongResponse, reference)
    report["capabilities"] = [cap.ID for cap in pong.FrontendAPICaps]
    solve = gateway_pb2.SolveRequest(Frontend="dockerfile.v0", FrontendOpt=attributes, allowResultArrayRef=True)
    returning = gateway_pb2.ReturnRequest()
    try:
        solved = daemon.bridge("Solve", solve, gateway_pb2.SolveResponse, reference)
        returning.result.CopyFrom(solved.result)
    except grpc.RpcError as error:
        returning.error.code, returning.error.message = error.code().value[0], error.details()
    daemon.bridge("Return", returning, gateway_pb2.ReturnResponse, reference)


def watch(daemon, reference, report):
    request = control_pb2.StatusRequest(Ref=reference)
    logs = b""
    try:
        for status in daemon.stream("Status", request, control_pb2.StatusResponse):
            for vertex in status.vertexes:
                report["vertexes"][vertex.digest] = {
                    "name": vertex.name,
                    "cached": vertex.cached,
                    "error": vertex.error,
                    "completed": vertex.HasField("completed"),
                }
            logs += b"".join(log.msg for log in status.logs)
            report["logs"] = logs.decode(errors="replace")
            report["warnings"] += [warning.short.decode() for warning in status.warnings]
    except grpc.RpcError as error:
        report["status_error"] = error.details()


main()

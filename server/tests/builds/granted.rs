//! Builds that may not begin, what builds are told of themselves, and several platforms at once.

use std::collections::HashMap;

use kiln_registry::testing::TestRegistry;
use kiln_server::api::control::control_client::ControlClient;
use kiln_server::api::control::{
    CacheOptions, CacheOptionsEntry, SolveRequest, StatusRequest, StatusResponse,
};
use kiln_server::api::gateway::PingRequest;
use kiln_server::api::gateway::llb_bridge_client::LlbBridgeClient;
use tonic::Request;

use crate::client::{Daemon, context, directory, output};

/// The account of a build, from its beginning to its end.
async fn told(daemon: &Daemon, build: &str) -> Vec<StatusResponse> {
    let mut control = ControlClient::new(daemon.connect().await);
    let mut account = control.status(StatusRequest { r#ref: build.to_owned() }).await.unwrap().into_inner();
    let mut told = Vec::new();
    while let Some(message) = account.message().await.unwrap() {
        told.push(message);
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_refused_has_ended_for_all_calls_about_it() {
    let daemon = Daemon::start().await;
    let dir = directory(&[("Dockerfile", "FROM scratch\n")]);
    let request = SolveRequest {
        r#ref: "refused".to_owned(),
        entitlements: vec!["network.host".to_owned()],
        ..SolveRequest::default()
    };
    let refused = daemon.solve(&context(dir.path()), request).await.answer.unwrap_err();
    assert!(refused.message().contains("network.host is not allowed"), "{refused}");
    assert!(told(&daemon, "refused").await.is_empty());
    let mut ping = Request::new(PingRequest {});
    ping.metadata_mut().insert("buildkit-controlapi-buildid", "refused".parse().unwrap());
    let over = LlbBridgeClient::new(daemon.connect().await).ping(ping).await.unwrap_err();
    assert_eq!(over.message(), refused.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_s_network_by_name_has_to_be_granted() {
    let daemon = Daemon::allowing(&["network.host"]).await;
    let dir = directory(&[("Dockerfile", "FROM scratch\nRUN --network=host true\n")]);
    let refused = daemon.build(&context(dir.path()), &[], Vec::new()).await.answer.unwrap_err();
    assert!(refused.message().contains("RUN --network=host needs the entitlement"), "{refused}");
    let plain = directory(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    let named = [("force-network-mode", "host")];
    let refused = daemon.build(&context(plain.path()), &named, Vec::new()).await.answer.unwrap_err();
    assert_eq!(refused.message(), "network.host is not allowed");
    let granted = SolveRequest {
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: named.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        entitlements: vec!["network.host".to_owned()],
        ..SolveRequest::default()
    };
    daemon.solve(&context(plain.path()), granted).await.answer.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_several_platforms_read_is_sent_once() {
    let daemon = Daemon::start().await;
    let dir = directory(&[
        ("Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY both bin-$TARGETARCH /\n"),
        ("both", "1"),
        ("bin-amd64", "2"),
        ("bin-arm64", "3"),
        ("bin-s390x", "4"),
    ]);
    let platforms = [("platform", "linux/amd64,linux/arm64")];
    let done = daemon.build(&context(dir.path()), &platforms, vec![output("oci", &[])]).await;
    done.answer.unwrap();
    assert_eq!(done.sent, ["Dockerfile", "bin-amd64", "bin-arm64", "both"]);
    let account = told(&daemon, &done.build).await;
    let transfers: Vec<_> = account
        .iter()
        .flat_map(|message| &message.vertexes)
        .filter(|vertex| vertex.name == "[internal] load build context" && vertex.completed.is_some())
        .collect();
    assert_eq!(transfers.len(), 1);
    let mut statuses = account.iter().flat_map(|message| &message.statuses);
    let transfer = statuses.rfind(|status| status.vertex == transfers[0].digest).unwrap();
    assert_eq!((transfer.id.as_str(), transfer.current, transfer.total), ("transferring context:", 3, 0));
    assert!(transfer.completed.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_cache_has_what_all_platforms_used() {
    let registry = TestRegistry::start().await;
    let files = [("amd64", "1"), ("arm64", "2"), ("both", "3")];
    let dir = directory(&files);
    let text = "FROM scratch\nARG TARGETARCH\nCOPY both /\nCOPY $TARGETARCH /file\n";
    crate::client::write(dir.path(), "Dockerfile", text);
    let entry = |mode: &str| {
        let reference = format!("{}/cache:{mode}", registry.host());
        let attrs = [("ref", reference.as_str()), ("mode", mode)];
        CacheOptionsEntry {
            r#type: "registry".to_owned(),
            attrs: attrs.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        }
    };
    let attributes = HashMap::from([("platform".to_owned(), "linux/amd64,linux/arm64".to_owned())]);
    let request = |cache| SolveRequest {
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: attributes.clone(),
        exporters: vec![output("oci", &[])],
        cache: Some(cache),
        ..SolveRequest::default()
    };
    let exports = vec![entry("min"), entry("max")];
    let daemon = Daemon::start().await;
    let first = request(CacheOptions { exports, ..CacheOptions::default() });
    daemon.solve(&context(dir.path()), first).await.answer.unwrap();
    for mode in ["min", "max"] {
        let daemon = Daemon::start().await;
        let cache = CacheOptions { imports: vec![entry(mode)], ..CacheOptions::default() };
        let done = daemon.solve(&context(dir.path()), request(cache)).await;
        done.answer.unwrap();
        let account = told(&daemon, &done.build).await;
        let steps = account.iter().flat_map(|message| &message.vertexes);
        let copies: Vec<_> =
            steps.filter(|step| step.name.contains("COPY") && step.completed.is_some()).collect();
        assert_eq!(copies.len(), 4, "{mode}: {copies:?}");
        assert!(copies.iter().all(|step| step.cached), "{mode}: {copies:?}");
    }
}

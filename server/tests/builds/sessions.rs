//! Clients that go, that say nothing, that say what they must not, that are slow, and two that are called the same.

use std::sync::Arc;

use kiln_server::api::control::control_client::ControlClient;
use kiln_server::api::files::packet::PacketType;
use kiln_server::api::files::{Packet, Stat};
use tonic::{Code, Request};

use crate::client::{Daemon, Offer, context, directory, output};
use crate::manners::{Gate, Manner, end};

/// A context that is sent in whole.
fn small() -> tempfile::TempDir {
    directory(&[("Dockerfile", "FROM scratch\nCOPY . /\n"), ("a", "1"), ("b", "2")])
}

/// A build of the same directory by a client that does as it should.
async fn is_well(daemon: &Daemon, dir: &tempfile::TempDir) {
    let offer = Offer { takes_directory: true, ..context(dir.path()) };
    let done = daemon.build(&offer, &[], vec![output("local", &[])]).await;
    done.answer.unwrap();
    assert_eq!(done.taken.files.keys().collect::<Vec<_>>(), ["Dockerfile", "a", "b"]);
    assert_eq!(daemon.leftovers(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_ends_with_its_client() {
    let daemon = Daemon::start().await;
    let dir = small();
    for (manner, stays) in [
        // The session is gone, and with it the call.
        (Manner::Silent, false),
        // The call is given up, the session is there.
        (Manner::Silent, true),
        (Manner::CutAfter(2), false),
        (Manner::CutAfter(2), true),
    ] {
        let offer = Offer { manner, stays, ..context(dir.path()) };
        let done = daemon.build(&offer, &[], vec![output("tar", &[])]).await;
        assert_eq!(done.answer.unwrap_err().message(), "hung up");
        assert!(daemon.ended(&done.build).await.is_some(), "the daemon knows that it is over");
        is_well(&daemon, &dir).await;
    }
}

fn packet(kind: PacketType, id: u32, data: &[u8]) -> Packet {
    Packet { r#type: kind.into(), id, data: data.to_vec().into(), ..Packet::default() }
}

fn entry(path: &str) -> Packet {
    let stat = Stat { path: path.into(), mode: 0o644, size: 1, ..Stat::default() };
    Packet { stat: Some(stat), ..Packet::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_must_not_send_is_told_to_it() {
    let daemon = Daemon::start().await;
    let dir = small();
    let listed = Packet::default;
    let too_large = vec![0; 17 << 20];
    for (packets, told) in [
        (vec![packet(PacketType::PacketReq, 0, b"")], "the client sent a request, which was not asked for"),
        (
            vec![packet(PacketType::PacketData, 7, b"x")],
            "the client sent data of a file, which was not asked for",
        ),
        (
            vec![entry("a"), listed(), entry("b")],
            "the client sent an entry after the end of the list, which was not asked for",
        ),
        (vec![entry("../a")], "`../a` is not a path inside the directory"),
        (vec![entry("/etc/passwd")], "`/etc/passwd` is not a path inside the directory"),
        (vec![entry("b"), entry("a")], "`a` is out of order"),
        (vec![entry("a"), entry("a")], "`a` is out of order"),
        (vec![entry("a"), entry("a/b")], "`a/b` is in a directory that was not listed"),
        (vec![packet(PacketType::PacketErr, 0, b"no disk")], "the client could not send `context`: no disk"),
        (vec![packet(PacketType::PacketFin, 0, b"")], "the client stopped sending `context` in the middle"),
        (vec![end()], "the client stopped sending `context` in the middle"),
        (vec![entry("a"), end()], "the client stopped sending `context` in the middle"),
        (
            vec![entry("a"), listed(), packet(PacketType::PacketData, 0, &too_large)],
            "the client does not send `context`",
        ),
    ] {
        let offer = Offer { manner: Manner::Packets(packets), ..context(dir.path()) };
        let status = daemon.build(&offer, &[], vec![]).await.answer.unwrap_err();
        assert!(status.message().contains(told), "{told}: {status}");
    }
    is_well(&daemon, &dir).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_keeps_nobody_waiting() {
    let daemon = Arc::new(Daemon::start().await);
    let dir = small();
    // More than fits into what waits on the way.
    let large = directory(&[("Dockerfile", "FROM scratch\nCOPY large /\n")]);
    std::fs::write(large.path().join("large"), vec![7; 40 << 20]).unwrap();
    let (sending, taking) = (Gate::closed(), Gate::closed());
    let offers = [
        Offer { manner: Manner::Held(Arc::clone(&sending)), ..context(dir.path()) },
        Offer { taking: Some(Arc::clone(&taking)), ..context(large.path()) },
    ];
    let slow = offers.map(|offer| {
        let daemon = Arc::clone(&daemon);
        tokio::spawn(async move { daemon.build(&offer, &[], vec![output("tar", &[])]).await })
    });
    sending.reached().await;
    taking.reached().await;
    // Its directory is in use, so it has one of its own.
    let offer = Offer { takes_directory: true, ..context(dir.path()) };
    daemon.build(&offer, &[], vec![output("local", &[])]).await.answer.unwrap();
    sending.open();
    taking.open();
    for (build, least) in slow.into_iter().zip([1024, 40 << 20]) {
        let done = build.await.unwrap();
        done.answer.unwrap();
        assert!(done.taken.bytes.len() > least);
    }
    is_well(&daemon, &dir).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_its_name_alone() {
    let daemon = Arc::new(Daemon::start().await);
    let dir = small();
    let gate = Gate::closed();
    let offer = Offer {
        manner: Manner::Held(Arc::clone(&gate)),
        session: Some("taken".to_owned()),
        ..context(dir.path())
    };
    let first = {
        let daemon = Arc::clone(&daemon);
        tokio::spawn(async move { daemon.build(&offer, &[], vec![output("tar", &[])]).await })
    };
    gate.reached().await;
    let mut control = ControlClient::new(daemon.connect().await);
    for (name, code, told) in [
        (Some("taken"), Code::AlreadyExists, "a session `taken` is open already"),
        (None, Code::InvalidArgument, "the session has no x-docker-expose-session-uuid"),
    ] {
        let mut request = Request::new(tokio_stream::pending());
        if let Some(name) = name {
            request.metadata_mut().insert("x-docker-expose-session-uuid", name.parse().unwrap());
        }
        let refused = control.session(request).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (code, told));
    }
    gate.open();
    let done = first.await.unwrap();
    done.answer.unwrap();
    assert!(!done.taken.bytes.is_empty(), "the first one has not noticed");
}

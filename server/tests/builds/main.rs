//! Builds as a client has them: a daemon in this process, a store of its own, and a client that is served over the
//! reversed stream. Nothing is executed here; what steps execute is tested with the command line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod client;
mod entries;
mod files;
mod granted;
#[path = "../execs/graph.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod graph;
mod manners;
mod many;
mod policies;
mod services;
mod sessions;

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{Daemon, Offer, context, directory, output, write};
use entries::Entry;
use kiln_registry::testing::{Login, TestRegistry};
use manners::Manner;

/// Type of the detail that shows lines of a Dockerfile.
const SOURCE: &str = "github.com/moby/buildkit/errdefs.Source+json";

fn names(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap();
    entries.map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_copied_and_has_changed_is_sent() {
    let daemon = Daemon::start().await;
    let dir =
        directory(&[("Dockerfile", "FROM scratch\nCOPY a b/c /\n"), ("a", "1"), ("b/c", "2"), ("b/d", "3")]);
    let offer = Offer { takes_directory: true, ..context(dir.path()) };
    let local = || vec![output("local", &[])];
    let first = daemon.build(&offer, &[], local()).await;
    first.answer.unwrap();
    assert_eq!(first.sent, ["Dockerfile", "a", "b/c"]);
    let expected = [("a", "1"), ("c", "2")].map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    assert_eq!(first.taken.files, BTreeMap::from(expected));
    write(dir.path(), "b/c", "22");
    let second = daemon.build(&offer, &[], local()).await;
    assert_eq!(second.sent, ["Dockerfile", "b/c"]);
    assert_eq!(second.taken.files["c"], b"22");
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_each_kind_reach_the_client() {
    let daemon = Daemon::start().await;
    let dir = directory(&[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "1")]);
    let offer = context(dir.path());
    let tar = daemon.build(&offer, &[], vec![output("tar", &[])]).await;
    assert_eq!(names(&tar.taken.bytes), ["a"]);
    let oci = daemon.build(&offer, &[], vec![output("oci", &[("name", "app:1")])]).await;
    let answer = oci.answer.unwrap();
    let members = names(&oci.taken.bytes);
    let manifest = answer["containerimage.digest"].replace("sha256:", "blobs/sha256/");
    let config = answer["containerimage.config.digest"].replace("sha256:", "blobs/sha256/");
    for member in ["oci-layout", "index.json", manifest.as_str(), config.as_str()] {
        assert!(members.iter().any(|name| name == member), "{member} is not among {members:?}");
    }
    assert_eq!(answer["image.name"], "docker.io/library/app:1");
    let docker = daemon.build(&offer, &[], vec![output("docker", &[("name", "app:1")])]).await;
    assert!(names(&docker.taken.bytes).iter().any(|name| name == "manifest.json"));
    let packed = [("compression", "zstd"), ("annotation.a", "b")];
    let docker = daemon.build(&offer, &[], vec![output("docker", &packed)]).await;
    let members = names(&docker.taken.bytes);
    for member in ["oci-layout", "manifest.json"] {
        assert!(members.iter().any(|name| name == member), "{member} is not among {members:?}");
    }
    let stated = [("attest:provenance", "mode=min,inline-only=true")];
    let tar = daemon.build(&offer, &stated, vec![output("tar", &[])]).await;
    assert_eq!(names(&tar.taken.bytes), ["a"], "little is stated, and of images only");
    let platforms = ("platform", "linux/amd64,linux/arm64");
    let oci = daemon.build(&offer, &[stated[0], platforms], vec![output("oci", &[])]).await;
    let members = names(&oci.taken.bytes).len();
    let plain = daemon.build(&offer, &[platforms], vec![output("oci", &[])]).await;
    assert!(members > names(&plain.taken.bytes).len(), "an index has room for it");
    let merged = Offer { takes_directory: true, ..offer.clone() };
    let merged =
        daemon.build(&merged, &[platforms], vec![output("local", &[("platform-split", "false")])]).await;
    let refused = merged.answer.unwrap_err();
    assert!(refused.message().contains("output/a: another platform has a file of that name"), "{refused}");
    let stated = [("attest:provenance", "mode=min,filename=said.json")];
    let tar = daemon.build(&offer, &stated, vec![output("tar", &[])]).await;
    assert_eq!(names(&tar.taken.bytes), ["a", "said.json"]);
    for (key, value) in [("annotation-layer.a", "b"), ("compression", "estargz"), ("push", "true")] {
        let wrong = daemon.build(&offer, &[], vec![output("oci", &[(key, value)])]).await;
        assert!(wrong.answer.unwrap_err().message().contains(&format!("{key}={value}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_no_text_come_and_go() {
    let daemon = Daemon::start().await;
    let dir = directory(&[("Dockerfile", "FROM scratch\nCOPY . /\n")]);
    let mut entry = Entry::file(String::new(), "latin".to_owned(), 1);
    entry.stat.path = b"caf\xe9".to_vec();
    let manner = Manner::Listed(Arc::new(vec![entry]));
    let offer = Offer { manner, takes_directory: true, ..context(dir.path()) };
    let done = daemon.build(&offer, &[], vec![output("local", &[])]).await;
    done.answer.unwrap();
    let files = BTreeMap::from([("caf\u{fffd}".to_owned(), b"latin".to_vec())]);
    assert_eq!(done.taken.files, files, "as this client shows them");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_for_several_platforms_is_pushed_with_the_client_s_login() {
    let daemon = Daemon::start().await;
    let registry = TestRegistry::with_login(Login::Basic("user", "word")).await;
    let text = "FROM scratch\nARG TARGETARCH\nCOPY a /$TARGETARCH\n";
    let dir = directory(&[("Dockerfile", text), ("a", "1")]);
    let name = format!("{}/app:1", registry.host());
    let push = || vec![output("image", &[("name", name.as_str()), ("push", "true")])];
    let platforms = [("platform", "linux/amd64,linux/arm64")];
    let stranger = daemon.build(&context(dir.path()), &platforms, push()).await;
    assert!(stranger.answer.is_err());
    let offer = Offer { login: Some(("user", "word")), ..context(dir.path()) };
    let answer = daemon.build(&offer, &platforms, push()).await.answer.unwrap();
    let (_, index) = registry.manifest("app", "1").unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let shown = |number: usize| index["manifests"][number]["platform"]["architecture"].as_str();
    assert_eq!((shown(0), shown(1)), (Some("amd64"), Some("arm64")));
    let manifest = index["manifests"][0]["digest"].as_str().unwrap();
    assert!(registry.manifest("app", manifest).is_some());
    assert!(answer.contains_key("containerimage.digest"));
    assert!(!answer.contains_key("containerimage.config.digest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tar_is_a_context() {
    let daemon = Daemon::start().await;
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in
        [("Dockerfile", "FROM scratch\nCOPY . /\n"), (".dockerignore", "no*\n"), ("not", ""), ("yes", "1")]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let offer = Offer { upload: tar.into_inner().unwrap(), takes_directory: true, ..Offer::default() };
    let url = [("context", "http://buildkit-session/upload")];
    let done = daemon.build(&offer, &url, vec![output("local", &[])]).await;
    done.answer.unwrap();
    assert_eq!(done.taken.files.keys().collect::<Vec<_>>(), [".dockerignore", "Dockerfile", "yes"]);
    // A Dockerfile that comes alone has an empty context.
    for (copied, told) in [(".", None), ("a", Some("\"/a\": not found"))] {
        let upload = format!("FROM scratch\nCOPY {copied} /\n").into_bytes();
        let alone = Offer { upload, ..offer.clone() };
        let done = daemon.build(&alone, &url, vec![output("local", &[])]).await;
        assert_eq!(done.taken.files.len(), 0);
        match told {
            None => assert!(done.answer.is_ok(), "{:?}", done.answer),
            Some(told) => assert!(done.answer.unwrap_err().message().contains(told)),
        }
    }
    let none = [("context", "http://buildkit-session/none")];
    assert!(daemon.build(&offer, &none, vec![]).await.answer.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_in_the_middle_leaves_nothing_wrong() {
    let daemon = Daemon::start().await;
    let dir = directory(&[("Dockerfile", "FROM scratch\nCOPY . /\n"), ("a", "1"), ("b", "2"), ("c", "3")]);
    for cut in 0..5 {
        let offer = Offer { manner: Manner::CutAfter(cut), ..context(dir.path()) };
        assert!(daemon.build(&offer, &[], vec![output("tar", &[])]).await.answer.is_err() || cut == 4);
    }
    let offer = Offer { takes_directory: true, ..context(dir.path()) };
    let done = daemon.build(&offer, &[], vec![output("local", &[])]).await;
    done.answer.unwrap();
    assert_eq!(done.taken.files.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_builds_at_once_have_their_own_results() {
    let daemon = Arc::new(Daemon::start().await);
    let mut builds = tokio::task::JoinSet::new();
    for number in 0..50 {
        let daemon = Arc::clone(&daemon);
        builds.spawn(async move {
            let text = format!("{}", number / 2);
            let dir = directory(&[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", &text)]);
            let offer = Offer { takes_directory: true, ..context(dir.path()) };
            let done = daemon.build(&offer, &[], vec![output("local", &[])]).await;
            done.answer.unwrap();
            assert_eq!(done.taken.files["a"], text.as_bytes());
        });
    }
    while let Some(build) = builds.join_next().await {
        build.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn named_contexts_are_directories_of_the_client() {
    let daemon = Daemon::start().await;
    let dir = directory(&[("Dockerfile", "FROM scratch\nCOPY --from=other . /\n")]);
    let other = directory(&[(".dockerignore", "*.o\n"), ("x.o", ""), ("y", "1")]);
    let mut offer = Offer { takes_directory: true, ..context(dir.path()) };
    offer.directories.insert("place".to_owned(), other.path().to_owned());
    let done = daemon.build(&offer, &[("context:other", "local:place")], vec![output("local", &[])]).await;
    done.answer.unwrap();
    assert_eq!(done.taken.files.keys().collect::<Vec<_>>(), [".dockerignore", "y"]);
    let wrong = daemon.build(&offer, &[("context:other", "what")], vec![]).await;
    assert!(wrong.answer.unwrap_err().message().starts_with("context:other=what: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_show_their_lines_and_questions_are_answered() {
    let daemon = Daemon::start().await;
    let dir = directory(&[("Dockerfile", "FROM scratch\nCOPY none /\n"), ("Wrong", "FROM scratch\nFOO\n")]);
    let missing = daemon.build(&context(dir.path()), &[], vec![]).await.answer.unwrap_err();
    let wrong =
        daemon.build(&context(dir.path()), &[("filename", "Wrong")], vec![]).await.answer.unwrap_err();
    assert!(missing.message().contains("\"/none\": not found"), "{missing}");
    assert!(wrong.message().starts_with("dockerfile parse error on line 2: "), "{wrong}");
    for status in [&missing, &wrong] {
        assert_eq!(status.code(), tonic::Code::Unknown, "{status}");
        let details = String::from_utf8_lossy(status.details()).into_owned();
        assert!(details.contains(SOURCE) && details.contains("\"line\":2"), "{details}");
    }
    let lint = daemon.build(&context(dir.path()), &[("requestid", "frontend.lint")], vec![]).await;
    let answer = lint.answer.unwrap();
    assert_eq!(answer["result.statuscode"], "0");
    assert!(answer["result.json"].contains("\"sources\""));
    let refused = daemon.build(&context(dir.path()), &[("requestid", "frontend.x")], vec![]).await;
    assert_eq!(refused.answer.unwrap_err().message(), "unsupported request frontend.x");
}

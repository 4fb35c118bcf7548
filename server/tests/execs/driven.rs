//! Builds that a client drives itself: what it asks about sources, results and their files, and what it returns.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use kiln_registry::testing::{GitServer, Page, TestImage, TestRegistry, WebServer};
use kiln_server::api::control::SolveRequest;
use kiln_server::api::gateway::result::Result as Refs;
use kiln_server::api::gateway::{
    EvaluateRequest, FileRange, InputsRequest, PingRequest, ReadDirRequest, ReadFileRequest, Ref, RefMap,
    ResolveImageConfigRequest, ResolveSourceGitRequest, ResolveSourceMetaRequest, ResolveSourceMetaResponse,
    SolveRequest as SolveMessage, StatFileRequest, WarnRequest,
};
use kiln_server::api::pb;
use tonic::Status;

use crate::client::output;
use crate::graph::{Graph, shell};
use crate::tests;
use crate::world::{Driver, PROGRAMS, World, run};

tests!("driven":
    sources_are_known_before_they_are_built,
    images_of_the_client_s_layouts_are_known_and_built_on,
    files_of_results_are_read_in_parts,
    results_for_several_platforms_are_returned,
    inputs_are_given_back,
    an_old_client_ends_its_build_with_a_solve,
    warnings_are_shown_beside_their_operations,
    a_graph_is_solved_when_its_result_is_needed,
    what_is_announced_has_its_calls,
);

/// Go's bit for directories.
const DIRECTORY: u32 = 1 << 31;

async fn meta(
    driver: &mut Driver,
    identifier: &str,
    attributes: &[(&str, &str)],
) -> Result<ResolveSourceMetaResponse, Status> {
    let attrs = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let source = Some(pb::SourceOp { identifier: identifier.to_owned(), attrs });
    let request = driver.about(ResolveSourceMetaRequest { source, ..ResolveSourceMetaRequest::default() });
    Ok(driver.client.resolve_source_meta(request).await?.into_inner())
}

fn git(dir: &Path, args: &[&str]) -> String {
    let names = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
    let mut command = Command::new("git");
    command.args(args).current_dir(dir).envs(names.map(|name| (name, "a@b")));
    let output = command.env("GIT_CONFIG_GLOBAL", "/dev/null").output().expect("git is installed");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn sources_are_known_before_they_are_built() {
    run(async {
        let mut world = World::new().await;
        world.offer.secrets.insert("mine".to_owned(), b"word".to_vec());
        let repositories = tempfile::tempdir().unwrap();
        let origin = repositories.path().join("origin");
        std::fs::create_dir(&origin).unwrap();
        git(&origin, &["init", "-q", "-b", "main"]);
        std::fs::write(origin.join("file"), "text").unwrap();
        git(&origin, &["add", "-A"]);
        git(&origin, &["commit", "-q", "-m", "one"]);
        git(&origin, &["tag", "-a", "-m", "told", "v1"]);
        let (commit, tag) = (git(&origin, &["rev-parse", "HEAD"]), git(&origin, &["rev-parse", "v1"]));
        // `x-access-token:word`
        let server = GitServer::start(repositories.path(), Some("basic eC1hY2Nlc3MtdG9rZW46d29yZA=="));
        let web = WebServer::start();
        web.serve("/f.txt", [Page::new("hello").header("Last-Modified", "Sat, 03 Feb 2001 04:05:06 GMT")]);
        let registry = TestRegistry::start().await;
        registry.put_image("app", "1", &TestImage::new("linux/amd64", &[b"layer"]));
        let app = format!("{}/app:1", registry.host());

        let url = server.url("/origin");
        let (full, secret) = (("git.fullurl", url.as_str()), ("git.authtokensecret", "mine"));
        let done = world.drive(SolveRequest::default(), async |mut driver| {
            let found = meta(&mut driver, "git://h.example/origin", &[full, secret]).await.unwrap();
            let found = found.git.unwrap();
            assert_eq!((found.checksum, found.r#ref.as_str()), (commit.clone(), "refs/heads/main"));
            let found = meta(&mut driver, "git://h.example/origin#v1", &[full, secret]).await.unwrap();
            let found = found.git.unwrap();
            assert_eq!((found.checksum, found.commit_checksum), (tag.clone(), commit.clone()));
            let kept = [full, secret, ("git.keepgitdir", "true")];
            let found = meta(&mut driver, "git://h.example/origin#v1", &kept).await.unwrap().git.unwrap();
            assert_eq!((found.checksum, found.commit_checksum.as_str()), (tag, ""));
            let denied = meta(&mut driver, "git://h.example/origin", &[full]).await.unwrap_err();
            assert!(denied.message().contains("git cannot read"), "{denied}");

            let found = meta(&mut driver, &web.url("/f.txt"), &[]).await.unwrap().http.unwrap();
            assert_eq!(found.filename, "f.txt");
            assert!(found.checksum.starts_with("sha256:2cf24dba"), "{}", found.checksum);
            assert_eq!(found.last_modified.unwrap().seconds, 981_173_106);

            let found = meta(&mut driver, &format!("docker-image://{app}"), &[]).await.unwrap();
            let image = found.image.unwrap();
            assert!(image.digest.starts_with("sha256:") && !image.config.is_empty());
            let request =
                ResolveImageConfigRequest { r#ref: app.clone(), ..ResolveImageConfigRequest::default() };
            let config =
                driver.client.resolve_image_config(driver.about(request)).await.unwrap().into_inner();
            assert_eq!((config.digest, config.config), (image.digest, image.config));

            for (identifier, attributes, words) in [
                ("local://context", &[][..], "before it is built"),
                ("git://h.example/r", &[("git.sig.pubkey", "k")][..], "git.sig.pubkey"),
                ("ftp://h.example/r", &[][..], "scheme `ftp`"),
                ("docker-image://UPPER", &[][..], "is not an image reference"),
            ] {
                let refused = meta(&mut driver, identifier, attributes).await.unwrap_err();
                assert!(refused.message().contains(words), "{identifier}: {refused}");
            }
            let source =
                Some(pb::SourceOp { identifier: "git://h.example/r".into(), ..pb::SourceOp::default() });
            let git = Some(ResolveSourceGitRequest { return_object: true });
            let request = ResolveSourceMetaRequest { source, git, ..ResolveSourceMetaRequest::default() };
            let refused = driver.client.resolve_source_meta(driver.about(request)).await.unwrap_err();
            assert!(refused.message().starts_with("Git.ReturnObject"), "{refused}");
            driver.returns(None).await;
        });
        done.await.answer.unwrap();
    });
}

fn images_of_the_client_s_layouts_are_known_and_built_on() {
    run(async {
        let mut world = World::new().await;
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o644);
        tar.append_data(&mut header, "from-layout", b"text\n".as_slice()).unwrap();
        let image = TestImage::new("linux/amd64", &[&tar.into_inner().unwrap()]);
        for document in [&image.manifest, &image.config] {
            world.offer.blobs.insert(document.digest.to_string(), document.bytes.to_vec());
        }
        for (layer, bytes) in image.descriptors().iter().zip(&image.layers) {
            world.offer.blobs.insert(layer.digest().to_string(), bytes.to_vec());
        }
        let digest = image.manifest.digest.to_string();
        let identifier = format!("oci-layout://store/app@{digest}");
        let mut graph = Graph::default();
        let (programs, layout) = (graph.source(PROGRAMS), graph.source(&identifier));
        let mut copied = shell("cat /layout/from-layout > /made");
        copied.mounts.push(crate::graph::mount("/layout", 1, -1));
        let made = graph.exec(copied, &[&programs, &layout]);
        let result = graph.collected(&[(&made, "/made", "/made")]);
        let request = SolveRequest { exporters: vec![output("local", &[])], ..SolveRequest::default() };
        let done = world.drive(request, async |mut driver| {
            let found = meta(&mut driver, &identifier, &[("oci.store", "app")]).await.unwrap();
            let found = found.image.unwrap();
            assert_eq!(found.digest, digest);
            let request = ResolveImageConfigRequest {
                r#ref: format!("store/app@{digest}"),
                resolver_type: 1,
                store_id: "app".to_owned(),
                ..ResolveImageConfigRequest::default()
            };
            let config =
                driver.client.resolve_image_config(driver.about(request)).await.unwrap().into_inner();
            assert_eq!((config.digest, config.config), (found.digest, found.config));
            let result = driver.solve(&graph, &result).await.unwrap();
            driver.returns(Some(Refs::Ref(Ref { id: result, def: None }))).await;
        });
        let done = done.await;
        done.answer.unwrap();
        assert_eq!(done.taken.files["made"], b"text\n");
    });
}

fn files_of_results_are_read_in_parts() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        let script = "mkdir -p /made/sub; echo 0123456789 > /made/file; echo x > /made/other.txt; \
                      cd /made; busybox ln -s /made/file link; busybox ln -s ../../.. sub/up";
        let made = graph.exec(shell(script), &[&programs]);
        let done = world.drive(SolveRequest::default(), async |mut driver| {
            let result = driver.solve(&graph, &made).await.unwrap();
            let evaluate = driver.about(EvaluateRequest { r#ref: result.clone() });
            driver.client.evaluate(evaluate).await.unwrap();
            let read = async |driver: &mut Driver, path: &str, range: Option<(i64, i64)>| {
                let range = range.map(|(offset, length)| FileRange { offset, length });
                let (r#ref, file_path) = (result.clone(), path.to_owned());
                let request = driver.about(ReadFileRequest { r#ref, file_path, range, mount_index: 0 });
                let answer = driver.client.read_file(request).await;
                answer.map(|answer| String::from_utf8(answer.into_inner().data).unwrap())
            };
            for (path, range, expected) in [
                ("/made/file", None, "0123456789\n"),
                ("made/link", Some((2, 3)), "234"),
                ("/made/sub/up/made/file", Some((9, 100)), "9\n"),
                ("/made/file", Some((100, 1)), ""),
                ("/made/file", Some((1, 0)), ""),
            ] {
                assert_eq!(read(&mut driver, path, range).await.unwrap(), expected, "{path} {range:?}");
            }
            for (path, range, words) in [
                ("/made/none", None, "open /made/none: no such file or directory"),
                ("/made", None, "not a regular file"),
                ("/made/file", Some((-1, 1)), "no part of a file"),
                ("/made/file", Some((1, -1)), "no part of a file"),
            ] {
                let refused = read(&mut driver, path, range).await.unwrap_err();
                assert!(refused.message().contains(words), "{refused}");
            }
            let list = |driver: &Driver, pattern: &str| {
                let (r#ref, dir_path) = (result.clone(), "/made".to_owned());
                let include_pattern = pattern.to_owned();
                driver.about(ReadDirRequest { r#ref, dir_path, include_pattern, mount_index: 0 })
            };
            for (pattern, expected) in
                [("", &["file", "link", "other.txt", "sub"][..]), ("*.txt", &["other.txt"]), ("z*", &[])]
            {
                let request = list(&driver, pattern);
                let entries = driver.client.read_dir(request).await.unwrap().into_inner().entries;
                let names: Vec<_> =
                    entries.iter().map(|entry| String::from_utf8_lossy(&entry.path)).collect();
                assert_eq!(names, expected, "{pattern}");
            }
            let request = list(&driver, "[");
            assert!(driver.client.read_dir(request).await.is_err());
            let path = "/made/sub".to_owned();
            let stat = driver.about(StatFileRequest { r#ref: result.clone(), path, mount_index: 0 });
            let stat = driver.client.stat_file(stat).await.unwrap().into_inner().stat.unwrap();
            assert_eq!((stat.path.as_slice(), stat.mode), (b"sub".as_slice(), DIRECTORY | 0o755));
            for name in ["", "other-1", &format!("{result}0")] {
                let evaluate = driver.about(EvaluateRequest { r#ref: name.to_owned() });
                let refused = driver.client.evaluate(evaluate).await.unwrap_err();
                assert!(refused.message().contains("no such ref"), "{refused}");
            }
            driver.returns(None).await;
        });
        done.await.answer.unwrap();
    });
}

fn results_for_several_platforms_are_returned() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let (one, two) = (graph.file("/one", b"1"), graph.file("/two", b"2"));
        let request = SolveRequest { exporters: vec![output("local", &[])], ..SolveRequest::default() };
        let done = world.drive(request, async |mut driver| {
            let one = driver.solve(&graph, &one).await.unwrap();
            let two = driver.solve(&graph, &two).await.unwrap();
            let refs = [("linux/amd64", one), ("linux/arm64", two)];
            let refs = refs.map(|(name, id)| (name.to_owned(), Ref { id, def: None })).into();
            driver.returns(Some(Refs::Refs(RefMap { refs }))).await;
        });
        let done = done.await;
        done.answer.unwrap();
        let files: BTreeMap<String, Vec<u8>> = done.taken.files;
        assert_eq!(files.keys().collect::<Vec<_>>(), ["linux_amd64/one", "linux_arm64/two"]);
    });
}

fn inputs_are_given_back() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let file = graph.file("/f", b"1");
        let given = graph.definition(&file);
        let frontend_inputs = [("base".to_owned(), given.clone())].into();
        let done =
            world.drive(SolveRequest { frontend_inputs, ..SolveRequest::default() }, async |mut driver| {
                let request = driver.about(InputsRequest {});
                let inputs = driver.client.inputs(request).await.unwrap().into_inner().definitions;
                assert_eq!(inputs, [("base".to_owned(), given)].into());
                driver.returns(None).await;
            });
        done.await.answer.unwrap();
    });
}

fn an_old_client_ends_its_build_with_a_solve() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let file = graph.file("/f", b"1");
        let request = SolveRequest { exporters: vec![output("local", &[])], ..SolveRequest::default() };
        let done = world.drive(request, async |mut driver| {
            let message = SolveMessage {
                definition: Some(graph.definition(&file)),
                r#final: true,
                exporter_attr: br#"{"told":"Zm9v"}"#.to_vec(),
                ..SolveMessage::default()
            };
            let request = driver.about(message);
            let answer = driver.client.solve(request).await.unwrap().into_inner();
            assert!(!answer.r#ref.is_empty());
            assert!(
                matches!(answer.result.unwrap().result, Some(Refs::RefDeprecated(id)) if id == answer.r#ref)
            );
        });
        let done = done.await;
        done.answer.unwrap();
        assert_eq!(done.taken.files["f"], b"1");
    });
}

fn warnings_are_shown_beside_their_operations() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let file = graph.file("/f", b"1");
        let done = world.drive(SolveRequest::default(), async |mut driver| {
            let result = driver.solve(&graph, &file).await.unwrap();
            let evaluate = driver.about(EvaluateRequest { r#ref: result });
            driver.client.evaluate(evaluate).await.unwrap();
            let (digest, short) = (file.digest.clone(), b"careful".to_vec());
            let request = driver.about(WarnRequest { digest, short, level: 1, ..WarnRequest::default() });
            driver.client.warn(request).await.unwrap();
            driver.returns(None).await;
        });
        let told = world.told(&done.await).await;
        let warning = told.iter().flat_map(|message| &message.warnings).next().unwrap();
        assert_eq!(warning.short, b"careful");
        let vertexes = told.iter().flat_map(|message| &message.vertexes);
        let about = vertexes.into_iter().find(|vertex| vertex.digest == warning.vertex).unwrap();
        assert_eq!(about.name, "mkfile /f");
    });
}

fn a_graph_is_solved_when_its_result_is_needed() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        let good = graph.exec(shell("echo good > /good"), &[&programs]);
        let (bad, unused) =
            (graph.exec(shell("exit 8"), &[&programs]), graph.exec(shell("exit 9"), &[&programs]));
        let result = graph.collected(&[(&good, "/good", "/good")]);
        let request = SolveRequest { exporters: vec![output("local", &[])], ..SolveRequest::default() };
        let done = world.drive(request, async |mut driver| {
            let result = driver.solve(&graph, &result).await.unwrap();
            let bad = driver.solve(&graph, &bad).await.unwrap();
            driver.solve(&graph, &unused).await.unwrap();
            for _ in 0..2 {
                let evaluate = driver.about(EvaluateRequest { r#ref: bad.clone() });
                let status = driver.client.evaluate(evaluate).await.unwrap_err();
                assert!(status.message().contains("exit code: 8"), "{status}");
            }
            // What makes no sense is refused at once, and what is asked for at once is done at once.
            let mut wrong = shell("true");
            wrong.meta.as_mut().unwrap().args.clear();
            let mut graph = Graph::default();
            let programs = graph.source(PROGRAMS);
            let wrong = graph.exec(wrong, &[&programs]);
            let status = driver.solve(&graph, &wrong).await.unwrap_err();
            assert!(status.message().contains("meta.args"), "{status}");
            let now = graph.exec(shell("exit 7"), &[&programs]);
            let message = SolveMessage {
                definition: Some(graph.definition(&now)),
                evaluate: true,
                ..SolveMessage::default()
            };
            let request = driver.about(message);
            let status = driver.client.solve(request).await.unwrap_err();
            assert!(status.message().contains("exit code: 7"), "{status}");
            driver.returns(Some(Refs::Ref(Ref { id: result, def: None }))).await;
        });
        let done = done.await;
        let executed = world.executed(&done).await;
        let expected = ["/bin/sh -ec echo good > /good", "/bin/sh -ec exit 7", "/bin/sh -ec exit 8"];
        assert_eq!(executed, expected);
        done.answer.unwrap();
        assert_eq!(done.taken.files["good"], b"good\n");

        // A result that fails when it is returned is how the build ends.
        let done = world.drive(SolveRequest::default(), async |mut driver| {
            let bad = driver.solve(&graph, &bad).await.unwrap();
            driver.returns(Some(Refs::Ref(Ref { id: bad, def: None }))).await;
        });
        let status = done.await.answer.unwrap_err();
        assert!(status.message().contains("exit code: 8"), "{status}");
    });
}

fn what_is_announced_has_its_calls() {
    run(async {
        let world = World::new().await;
        let done = world.drive(SolveRequest::default(), async |mut driver| {
            let request = driver.about(PingRequest {});
            let pong = driver.client.ping(request).await.unwrap().into_inner();
            let names = |caps: &[kiln_server::api::control::apicaps::ApiCap]| -> Vec<String> {
                caps.iter().filter(|cap| cap.enabled).map(|cap| cap.id.clone()).collect()
            };
            let frontend = names(&pong.frontend_api_caps);
            // Commands that a client starts by hand, and what would have to be sent of attestations.
            for name in ["gateway.exec", "source.metaresolver.image.attestations"] {
                assert!(!frontend.iter().any(|known| known.starts_with(name)), "{name}");
            }
            for name in
                ["solve.base", "solve.inlinereturn", "importcaches", "frontend.inputs", "gateway.evaluate"]
            {
                assert!(frontend.iter().any(|known| known == name), "{name}");
            }
            let llb = names(&pong.llb_caps);
            assert!(llb.iter().any(|known| known == "passthroughop"));
            for policy in ["source.policy", "source.policy.session"] {
                assert!(llb.iter().any(|known| known == policy), "{policy}");
            }
            driver.returns(None).await;
        });
        done.await.answer.unwrap();
    });
}

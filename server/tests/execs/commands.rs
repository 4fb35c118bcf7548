//! Exec operations: what a command sees, what becomes of what it writes, and how it fails.

use kiln_server::api::pb;

use crate::graph::{Edge, Graph, mount, shell};
use crate::tests;
use crate::world::{PROGRAMS, World, run, texts};

tests!("commands":
    what_the_operation_says_is_what_the_command_sees,
    each_writable_mount_may_be_a_result,
    what_is_not_a_result_is_forgotten_or_refused,
    caches_outlive_their_command,
    networks_are_those_that_were_granted,
    privileges_have_to_be_granted,
    codes_that_count_as_success_are_named,
    a_failure_shows_the_lines_of_the_client_s_program,
    nothing_is_executed_twice,
);

const SOURCE: &str = "github.com/moby/buildkit/errdefs.Source+json";

/// `/report` of a command that changed its root.
fn report(graph: &mut Graph, command: &Edge) -> Edge {
    graph.collected(&[(command, "/report", "/report")])
}

/// The lines that a script writes to `/report`.
async fn lines(world: &World, exec: impl FnOnce(&mut Graph, &Edge) -> Edge) -> Vec<String> {
    let mut graph = Graph::default();
    let programs = graph.source(PROGRAMS);
    let command = exec(&mut graph, &programs);
    let result = report(&mut graph, &command);
    let files = world.files(&graph, &result).await;
    files["report"].lines().map(str::to_owned).collect()
}

fn what_the_operation_says_is_what_the_command_sees() {
    run(async {
        let world = World::new().await;
        let lines = lines(&world, |graph, programs| {
            let script = "exec > /report; echo $0 $A $B; pwd; id -u; hostname; grep -w there /etc/hosts; \
                          echo $HTTP_PROXY $http_proxy; echo $PATH; test -e /proc/self; echo end";
            let mut exec = shell(script);
            let meta = exec.meta.as_mut().unwrap();
            meta.args.push("zero".into());
            meta.env = ["A=first", "B=b c", "A=last"].map(str::to_owned).to_vec();
            meta.cwd = "/bin".into();
            meta.hostname = "here".into();
            meta.extra_hosts = vec![pb::HostIp { host: "there".into(), ip: "10.1.2.3".into() }];
            meta.proxy_env =
                Some(pb::ProxyEnv { http_proxy: "http://p:1".into(), ..pb::ProxyEnv::default() });
            graph.exec(exec, &[programs])
        });
        let lines = lines.await;
        let expected = [
            "zero last b c",
            "/bin",
            "0",
            "here",
            "10.1.2.3\tthere",
            "http://p:1 http://p:1",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "end",
        ];
        assert_eq!(lines, expected);
    });
}

fn each_writable_mount_may_be_a_result() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        let given = graph.file("/given", b"given\n");
        let script = "echo root > /root-file; echo new > /new/file; cat /changed/given > /changed/copy; \
                      echo more >> /changed/given";
        let exec = pb::ExecOp {
            mounts: vec![mount("/", 0, 2), mount("/new", -1, 0), mount("/changed", 1, 1)],
            ..shell(script)
        };
        let command = graph.exec(exec, &[&programs, &given]);
        let (new, changed, root) = (command.clone(), command.output(1), command.output(2));
        let all = graph.collected(&[
            (&new, "/file", "/from-new"),
            (&changed, "/given", "/given"),
            (&changed, "/copy", "/copy"),
            (&root, "/root-file", "/from-root"),
        ]);
        let files = world.files(&graph, &all).await;
        let shown: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let expected =
            [("copy", "given\n"), ("from-new", "new\n"), ("from-root", "root\n"), ("given", "given\nmore\n")];
        assert_eq!(shown, expected);
        // Each result by itself has the files of its mount, and no others.
        let alone = world.files(&graph, &new).await;
        assert_eq!(alone.keys().collect::<Vec<_>>(), ["file"]);
    });
}

fn what_is_not_a_result_is_forgotten_or_refused() {
    run(async {
        let world = World::new().await;
        let lines = lines(&world, |graph, programs| {
            let given = graph.file("/sub/given", b"given\n");
            let script = "exec > /report; ls /part /whole/sub; echo x > /whole/new; ls /whole; \
                          (echo x > /part/new) 2>/dev/null || echo refused; \
                          echo x > /memory/x; grep ' /memory ' /proc/mounts | grep -o 'size=[0-9]*k'; \
                          stat -c %a /memory";
            let mut exec = shell(script);
            let part = pb::Mount { selector: "/sub".into(), readonly: true, ..mount("/part", 1, -1) };
            let memory = pb::Mount {
                mount_type: pb::MountType::Tmpfs.into(),
                tmpfs_opt: Some(pb::TmpfsOpt { size: 1 << 20 }),
                ..mount("/memory", -1, -1)
            };
            exec.mounts.extend([part, mount("/whole", 1, -1), memory]);
            graph.exec(exec, &[programs, &given])
        });
        let expected =
            ["/part:", "given", "", "/whole/sub:", "given", "new", "sub", "refused", "size=1024k", "1777"];
        assert_eq!(lines.await, expected);

        // A root that is no result is as it was afterwards; one that is read-only cannot be written to.
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        let forgotten = pb::ExecOp {
            mounts: vec![mount("/", 0, -1), mount("/out", -1, 0)],
            ..shell("echo x > /x; cat /x > /out/x")
        };
        let out = graph.exec(forgotten, &[&programs]);
        assert_eq!(world.files(&graph, &out).await["x"], "x\n");
        let refused = pb::ExecOp {
            mounts: vec![pb::Mount { readonly: true, ..mount("/", 0, -1) }, mount("/out", -1, 0)],
            ..shell("(echo x > /x) 2>/dev/null || echo refused > /out/x")
        };
        let out = graph.exec(refused, &[&programs]);
        assert_eq!(world.files(&graph, &out).await["x"], "refused\n");
    });
}

fn caches_outlive_their_command() {
    run(async {
        let world = World::new().await;
        let cache = |sharing: pb::CacheSharingOpt, id: &str| pb::Mount {
            mount_type: pb::MountType::Cache.into(),
            cache_opt: Some(pb::CacheOpt { id: id.into(), sharing: sharing.into() }),
            ..mount("/cache", -1, -1)
        };
        for sharing in
            [pb::CacheSharingOpt::Shared, pb::CacheSharingOpt::Private, pb::CacheSharingOpt::Locked]
        {
            let add = |word: &str| {
                let script = format!("echo {word} >> /cache/{word}; ls /cache > /report");
                let mut exec = shell(&script);
                exec.mounts.push(cache(sharing, sharing.as_str_name()));
                exec
            };
            let first = lines(&world, |graph, programs| graph.exec(add("first"), &[programs])).await;
            let second = lines(&world, |graph, programs| graph.exec(add("second"), &[programs])).await;
            assert_eq!(
                (first, second),
                (vec!["first".to_owned()], vec!["first".to_owned(), "second".to_owned()])
            );
        }
        // A new one begins as what its input has at the selector.
        let seeded = lines(&world, |graph, programs| {
            let seed = graph.file("/sub/seed", b"");
            let mut exec = shell("ls /cache > /report");
            exec.mounts.push(pb::Mount {
                input: 1,
                selector: "sub".into(),
                ..cache(pb::CacheSharingOpt::Shared, "seeded")
            });
            graph.exec(exec, &[programs, &seed])
        });
        assert_eq!(seeded.await, ["seed"]);
    });
}

fn networks_are_those_that_were_granted() {
    run(async {
        let world = World::allowing(&["network.host"]).await;
        let interfaces = "grep -c : /proc/net/dev > /report";
        let none = lines(&world, |graph, programs| {
            graph.exec(pb::ExecOp { network: pb::NetMode::None.into(), ..shell(interfaces) }, &[programs])
        });
        assert_eq!(none.await, ["1"], "only the loopback");
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        let host =
            graph.exec(pb::ExecOp { network: pb::NetMode::Host.into(), ..shell("true") }, &[&programs]);
        let refused = world.failure(&graph, &host).await;
        assert!(refused.message().contains("network.host is not allowed"), "{refused}");
        let granted = world.request(&graph, &host, |request| {
            request.entitlements.push("network.host".into());
            request.exporters.clear();
        });
        granted.await.answer.unwrap();
    });
}

fn privileges_have_to_be_granted() {
    run(async {
        let world = World::allowing(&["security.insecure"]).await;
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        let script = "mkdir /at; mount -t tmpfs none /at && echo mounted > /report";
        let insecure = pb::ExecOp { security: pb::SecurityMode::Insecure.into(), ..shell(script) };
        let command = graph.exec(insecure, &[&programs]);
        let result = report(&mut graph, &command);
        let refused = world.failure(&graph, &result).await;
        assert!(refused.message().contains("security.insecure"), "{refused}");
        let granted =
            world.request(&graph, &result, |request| request.entitlements.push("security.insecure".into()));
        assert_eq!(texts(granted.await)["report"], "mounted\n");
        let sandboxed = graph.exec(shell(script), &[&programs]);
        assert!(world.failure(&graph, &sandboxed).await.message().contains("exit code: 1"));
    });
}

fn codes_that_count_as_success_are_named() {
    run(async {
        let world = World::new().await;
        let exits = |code: i32, valid: &[i32]| {
            let mut exec = shell(&format!("echo {code} > /report; exit {code}"));
            exec.meta.as_mut().unwrap().valid_exit_codes = valid.to_vec();
            exec
        };
        assert_eq!(lines(&world, |graph, programs| graph.exec(exits(3, &[0, 3]), &[programs])).await, ["3"]);
        for (exec, code) in [(exits(7, &[]), 7), (exits(7, &[0, 3]), 7), (exits(0, &[3]), 0)] {
            let mut graph = Graph::default();
            let programs = graph.source(PROGRAMS);
            let command = graph.exec(exec, &[&programs]);
            let status = world.failure(&graph, &command).await;
            assert!(status.message().contains(&format!("exit code: {code}")), "{status}");
        }
    });
}

fn a_failure_shows_the_lines_of_the_client_s_program() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        let failing = graph.exec(shell("exit 9"), &[&programs]);
        let after = graph.exec(shell("true"), &[&failing]);
        let position = |line, character| Some(pb::Position { line, character });
        let at = |line| pb::Locations {
            locations: vec![pb::Location {
                source_index: 0,
                ranges: vec![pb::Range { start: position(line, 4), end: position(line, 9) }],
            }],
        };
        graph.source = Some(pb::Source {
            locations: [(failing.digest.clone(), at(12)), (after.digest.clone(), at(99))].into(),
            infos: vec![pb::SourceInfo {
                filename: "build.go".into(),
                data: b"package main\n".to_vec(),
                language: "Go".into(),
                definition: None,
            }],
        });
        let status = world.failure(&graph, &after).await;
        assert!(status.message().contains("exit code: 9"), "{status}");
        let details = String::from_utf8_lossy(status.details()).into_owned();
        for part in [SOURCE, "\"build.go\"", "\"line\":12", "\"character\":4", "errdefs.Vertex+json"] {
            assert!(details.contains(part), "{part}: {details}");
        }
        assert!(!details.contains("\"line\":99"), "{details}");

        // What is refused before anything is executed is shown, too.
        let mut exec = shell("true");
        exec.meta.as_mut().unwrap().cgroup_parent = "/x".into();
        let refused = graph.exec(exec, &[&programs]);
        graph.source.as_mut().unwrap().locations.insert(refused.digest.clone(), at(31));
        let status = world.failure(&graph, &refused).await;
        assert!(status.message().contains("meta.cgroupParent"), "{status}");
        assert!(String::from_utf8_lossy(status.details()).contains("\"line\":31"));
    });
}

fn nothing_is_executed_twice() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        // A diamond: two commands on one, and a merge of both.
        let below = graph.exec(shell("echo below > /below"), &[&programs]);
        let left = graph.exec(shell("echo left > /left"), &[&below]);
        let right = graph.exec(shell("echo right > /right"), &[&below]);
        let merge = pb::MergeOp { inputs: vec![pb::MergeInput { input: 0 }, pb::MergeInput { input: 1 }] };
        let merged = graph.add(pb::op::Op::Merge(merge), &[&left, &right]);
        let both = graph.collected(&[(&merged, "/left", "/left"), (&merged, "/right", "/right")]);
        let first = world.solve(&graph, &both).await;
        assert_eq!(world.executed(&first).await.len(), 3);
        assert_eq!(texts(first).into_values().collect::<String>(), "left\nright\n");
        let second = world.solve(&graph, &both).await;
        assert_eq!(world.executed(&second).await, [""; 0]);
        // Unless the client says that it is not to be taken from the cache.
        graph
            .metadata
            .insert(left.digest.clone(), pb::OpMetadata { ignore_cache: true, ..pb::OpMetadata::default() });
        let third = world.solve(&graph, &both).await;
        assert_eq!(world.executed(&third).await, ["/bin/sh -ec echo left > /left"]);
    });
}

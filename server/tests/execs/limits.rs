//! Limits of what commands may use, as clients give them: with a Dockerfile, and in operations of their own.

use kiln_server::api::pb;
use tonic::Code;

use crate::client::{directory, output};
use crate::graph::{Graph, mount, shell};
use crate::tests;
use crate::world::{PROGRAMS, World, run, texts};

tests!("limits":
    a_dockerfile_s_commands_have_those_of_its_client, wrong_ones_end_a_build, an_operation_has_its_own,
    memory_is_shared_as_a_mount_says,
);

/// What a command writes of its limits.
const SHOW: &str =
    "{ ulimit -n; ulimit -Hn; ulimit -c; stat -f -c %b /dev/shm; stat -c %a /dev/shm; } > /report";

/// A world whose client has a Dockerfile that shows what its command is limited to.
async fn with_dockerfile() -> (World, tempfile::TempDir) {
    let text = format!(
        "FROM scratch AS base\nCOPY --from=programs . /\nRUN mkdir -p -m 700 /dev/shm\nRUN {SHOW}\n\
         FROM scratch\nCOPY --from=base /report /\n"
    );
    let context = directory(&[("Dockerfile", &text)]);
    let mut world = World::new().await;
    for name in ["context", "dockerfile"] {
        world.offer.directories.insert(name.to_owned(), context.path().to_owned());
    }
    (world, context)
}

fn a_dockerfile_s_commands_have_those_of_its_client() {
    run(async {
        let (world, _context) = with_dockerfile().await;
        // Blocks of 4096 bytes.
        for (limits, size, expected) in [
            ("core=0,nofile=100:200", "0", ["100", "200", "0", "16384", "1777"]),
            ("core=0,nofile=100:200", "134217728", ["100", "200", "0", "32768", "1777"]),
            ("core=0,nofile=150", "134217728", ["150", "150", "0", "32768", "1777"]),
        ] {
            let attributes = [("context:programs", "local:programs"), ("ulimit", limits), ("shm-size", size)];
            let done = world.daemon.build(&world.offer, &attributes, vec![output("local", &[])]).await;
            let files = texts(done);
            assert_eq!(files["report"].lines().collect::<Vec<_>>(), expected, "{limits} {size}");
        }
    });
}

fn wrong_ones_end_a_build() {
    run(async {
        let (world, _context) = with_dockerfile().await;
        for (key, value, said) in [
            ("ulimit", "nofile=200:100", "the soft limit of nofile is 200, above its hard limit 100"),
            ("ulimit", "files=1", "`files` is the name of no limit; there are core, cpu"),
            ("shm-size", "128m", "`128m` is not a number of bytes"),
        ] {
            let attributes = [("context:programs", "local:programs"), (key, value)];
            let done = world.daemon.build(&world.offer, &attributes, Vec::new()).await;
            let status = done.answer.unwrap_err();
            assert!(status.message().contains(said), "{status}");
        }
    });
}

fn limit(name: &str, soft: i64, hard: i64) -> pb::Ulimit {
    pb::Ulimit { name: name.to_owned(), soft, hard }
}

fn an_operation_has_its_own() {
    run(async {
        let world = World::new().await;
        let with = |limits: &[pb::Ulimit]| {
            let mut graph = Graph::default();
            let programs = graph.source(PROGRAMS);
            let mut exec = shell("ulimit -n > /report; ulimit -Hn >> /report; ulimit -c >> /report");
            exec.meta.as_mut().unwrap().ulimit = limits.to_vec();
            let command = graph.exec(exec, &[&programs]);
            let result = graph.collected(&[(&command, "/report", "/report")]);
            (graph, result)
        };
        // In another order, of which the last counts, it is the same command.
        for limits in [
            [limit("nofile", 100, 200), limit("core", 0, 0), limit("core", 0, 0)],
            [limit("CORE", 0, 0), limit("nofile", 1, 1), limit("NoFile", 100, 200)],
        ] {
            let (graph, result) = with(&limits);
            assert_eq!(world.files(&graph, &result).await["report"], "100\n200\n0\n");
        }
        let (graph, result) = with(&[limit("nofile", 100, 200), limit("core", 0, 0)]);
        let again = world.solve(&graph, &result).await;
        assert_eq!(world.executed(&again).await, [""; 0]);
        let (graph, result) = with(&[limit("nofile", 100, 300), limit("core", 0, 0)]);
        let other = world.solve(&graph, &result).await;
        assert_eq!(world.executed(&other).await.len(), 1, "another limit is another command");

        for (wrong, said) in [
            (limit("nofile", 2, 1), "the soft limit of nofile is 2"),
            (limit("nofile", -1, 1), "the soft limit of nofile is -1 (unlimited)"),
            (limit("nofile", -2, -2), "`-2` is no value of the limit nofile"),
            (limit("files", 1, 1), "`files` is the name of no limit"),
        ] {
            let (graph, result) = with(&[wrong]);
            let status = world.failure(&graph, &result).await;
            assert!(status.message().contains("meta.ulimit") && status.message().contains(said), "{status}");
        }
        // Above what the kernel gives to anybody.
        let (graph, result) = with(&[limit("nofile", -1, -1)]);
        let status = world.failure(&graph, &result).await;
        assert!(status.message().contains("cannot set the limit nofile=-1:-1"), "{status}");
        assert_ne!(status.code(), Code::Internal);
    });
}

fn memory_is_shared_as_a_mount_says() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        let script = "grep -c ' /dev/shm ' /proc/mounts > /report; stat -f -c %b /dev/shm >> /report";
        let shared = pb::Mount {
            mount_type: pb::MountType::Tmpfs.into(),
            tmpfs_opt: Some(pb::TmpfsOpt { size: 128 << 20 }),
            ..mount("/dev/shm", -1, -1)
        };
        let exec = pb::ExecOp { mounts: vec![mount("/", 0, 0), shared], ..shell(script) };
        let command = graph.exec(exec, &[&programs]);
        let result = graph.collected(&[(&command, "/report", "/report")]);
        assert_eq!(world.files(&graph, &result).await["report"], "1\n32768\n");
    });
}

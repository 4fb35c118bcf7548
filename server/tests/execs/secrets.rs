//! Secrets and agents of the client, for commands of graphs and of Dockerfiles.

use kiln_server::api::pb;

use crate::client::{directory, output};
use crate::graph::{Graph, mount, shell};
use crate::tests;
use crate::world::{PROGRAMS, World, run, texts};

tests!("secrets":
    commands_of_graphs_have_them_as_files_and_variables,
    what_the_client_does_not_have_fails_unless_it_is_optional,
    dockerfiles_have_them_too,
);

const VALUE: &str = "word of mouth";

async fn world() -> World {
    let mut world = World::new().await;
    world.offer.secrets.insert("told".to_owned(), VALUE.as_bytes().to_vec());
    world.offer.agents.push("default");
    world
}

fn commands_of_graphs_have_them_as_files_and_variables() {
    run(async {
        let world = world().await;
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        let script = "exec > /report; cat /run/secret; echo; stat -c '%a %u %g' /run/secret; echo $TOLD $NONE; \
                      stat -c '%F %a %u' $SOCKET; test -e /run/none || echo none";
        let mut exec = shell(script);
        exec.meta.as_mut().unwrap().env.push("SOCKET=/run/agent".into());
        let secret = |id: &str, dest: &str, optional| pb::Mount {
            mount_type: pb::MountType::Secret.into(),
            secret_opt: Some(pb::SecretOpt { id: id.into(), uid: 3, gid: 4, mode: 0o440, optional }),
            ..mount(dest, -1, -1)
        };
        let agent = pb::Mount {
            mount_type: pb::MountType::Ssh.into(),
            ssh_opt: Some(pb::SshOpt { id: "default".into(), uid: 5, gid: 6, mode: 0o600, optional: false }),
            ..mount("/run/agent", -1, -1)
        };
        exec.mounts.extend([secret("told", "/run/secret", false), secret("not", "/run/none", true), agent]);
        exec.secretenv = vec![
            pb::SecretEnv { id: "told".into(), name: "TOLD".into(), optional: false },
            pb::SecretEnv { id: "not".into(), name: "NONE".into(), optional: true },
        ];
        let command = graph.exec(exec, &[&programs]);
        let result = graph.collected(&[(&command, "/report", "/report")]);
        let files = world.files(&graph, &result).await;
        let lines: Vec<&str> = files["report"].lines().collect();
        assert_eq!(lines, [VALUE, "440 3 4", VALUE, "socket 600 5", "none"]);
        // Where it was there is nothing left.
        let left = graph.collected(&[(&command, "/run", "/run")]);
        let status = world.failure(&graph, &left).await;
        assert!(status.message().contains("/run"), "{status}");
    });
}

fn what_the_client_does_not_have_fails_unless_it_is_optional() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        let secret = pb::Mount {
            mount_type: pb::MountType::Secret.into(),
            secret_opt: Some(pb::SecretOpt { id: "not".into(), mode: 0o400, ..pb::SecretOpt::default() }),
            ..mount("/run/secret", -1, -1)
        };
        let agent = pb::Mount {
            mount_type: pb::MountType::Ssh.into(),
            ssh_opt: Some(pb::SshOpt { id: "mine".into(), mode: 0o600, ..pb::SshOpt::default() }),
            ..mount("/run/agent", -1, -1)
        };
        for (needed, name) in [(secret, "not"), (agent, "mine")] {
            let mut exec = shell("true");
            exec.mounts.push(needed);
            let command = graph.exec(exec, &[&programs]);
            let status = world.failure(&graph, &command).await;
            assert!(status.message().contains(name), "{status}");
        }
    });
}

fn dockerfiles_have_them_too() {
    run(async {
        let mut world = world().await;
        let text = "FROM scratch\nCOPY --from=programs . /\n\
                    RUN --mount=type=secret,id=told,env=TOLD --mount=type=secret,id=told,mode=0404 --mount=type=ssh \\\n\
                    exec > /report; echo $TOLD; cat /run/secrets/told; echo; stat -c %a /run/secrets/told; \\\n\
                    stat -c %F $SSH_AUTH_SOCK; echo $SSH_AUTH_SOCK\n\
                    FROM scratch\nCOPY --from=0 /report /\n";
        let context = directory(&[("Dockerfile", text)]);
        for name in ["context", "dockerfile"] {
            world.offer.directories.insert(name.to_owned(), context.path().to_owned());
        }
        let attributes = [("context:programs", "local:programs")];
        let done = world.daemon.build(&world.offer, &attributes, vec![output("local", &[])]).await;
        let files = texts(done);
        let lines: Vec<&str> = files["report"].lines().collect();
        assert_eq!(lines, [VALUE, VALUE, "404", "socket", "/run/buildkit/ssh_agent.0"]);
    });
}

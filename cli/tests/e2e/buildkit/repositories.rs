//! Repositories that are reached with what the client has: a token for a web server, a key of its agent for ssh.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::build;
use super::client::Server;
use super::sessions::{agent, error, is_fine};
use crate::git_server::GitServer;
use crate::support::daemon::Daemon;
use crate::support::tool::{run, tool};

/// A repository with one file, below that directory.
fn repository(dir: &Path) {
    let repository = dir.join("x.git");
    fs::create_dir_all(&repository).unwrap();
    fs::write(repository.join("Dockerfile"), "FROM scratch\nCOPY file /\n").unwrap();
    fs::write(repository.join("file"), "of a repository").unwrap();
    for args in [&["init", "-q", "-b", "main"][..], &["add", "-A"], &["commit", "-q", "-m", "one"]] {
        let mut git = tool("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@t"]).args(args).current_dir(&repository);
        run(git.env("HOME", dir)).ok();
    }
}

#[test]
fn repositories_are_shown_the_client_s_secrets() {
    let server = Server::start(&[]);
    repository(&server.env.path("served"));
    // `x-access-token:t0ken`
    let git = GitServer::start(&server.env.path("served"), Some("basic eC1hY2Nlc3MtdG9rZW46dDBrZW4="));
    let url = git.url("/x.git");
    let added = server.env.dockerfile("added", &format!("FROM scratch\nADD {url} /\n"));
    let token = format!("GIT_AUTH_TOKEN.{}", git.host());
    let ask = |context: Option<&str>, secrets: Value| {
        let mut asked = build(&server, &added, true);
        if let Some(context) = context {
            asked["attributes"]["context"] = json!(context);
        }
        asked["secrets"] = secrets;
        asked["outputs"] = json!([{ "type": "local", "to": server.env.path("dir") }]);
        server.client(asked)
    };
    for context in [None, Some(url.as_str())] {
        for secrets in [json!({}), json!({ "GIT_AUTH_TOKEN": "wr0ng" })] {
            let said = error(&ask(context, secrets));
            assert!(said.contains(&url) && !said.contains("wr0ng"), "{said}");
        }
        for secrets in [
            json!({ "GIT_AUTH_TOKEN": "t0ken\n" }),
            json!({ token.as_str(): "t0ken", "GIT_AUTH_TOKEN": "no" }),
        ] {
            is_fine(&ask(context, secrets));
            assert_eq!(fs::read_to_string(server.env.path("dir/file")).unwrap(), "of a repository");
        }
    }
}

/// An SSH server that lets in that key; it ends with the handle. Its port, and its own key as clients know it.
fn ssh_server(server: &Server, public: &str) -> (Daemon, u16, String) {
    let (host_key, allowed) = (server.env.path("host-key"), server.env.path("allowed"));
    run(tool("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&host_key)).ok();
    fs::write(&allowed, public).unwrap();
    // Debian's service makes it; sshd does not start without.
    fs::create_dir_all("/run/sshd").unwrap();
    // The port that the system gives is free a moment later too.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut sshd = tool("sshd");
    sshd.args([
        "-D",
        "-e",
        "-f",
        "/dev/null",
        "-o",
        "ListenAddress=127.0.0.1",
        "-o",
        &format!("Port={port}"),
    ]);
    sshd.args([
        "-o",
        &format!("HostKey={}", host_key.display()),
        "-o",
        "PidFile=none",
        "-o",
        "StrictModes=no",
    ]);
    sshd.args(["-o", &format!("AuthorizedKeysFile={}", allowed.display()), "-o", "UsePAM=no"]);
    sshd.args(["-o", "PermitRootLogin=prohibit-password", "-o", "PasswordAuthentication=no"]);
    let (sshd, ()) = Daemon::start(&sshd, |line| line.contains("Server listening on").then_some(()));
    let key = fs::read_to_string(host_key.with_extension("pub")).unwrap();
    let key = key.split(' ').take(2).collect::<Vec<_>>().join(" ");
    (sshd, port, format!("[127.0.0.1]:{port} {key}\n"))
}

#[test]
fn repositories_behind_ssh_are_reached_with_the_client_s_agent() {
    let server = Server::start(&[]);
    let (_agent, socket, public) = agent(&server);
    let (_sshd, port, known) = ssh_server(&server, &public);
    repository(&server.env.path("served"));
    let url = format!("ssh://root@127.0.0.1:{port}{}", server.env.path("served/x.git").display());
    let ask = |known: &str, agents: Value| {
        let mut asked = build(&server, &server.env.path("nothing"), false);
        let attributes =
            json!({ "git.fullurl": url, "git.mountsshsock": "mine", "git.knownsshhosts": known });
        asked["source"] = json!({ "identifier": format!("git://{url}#main"), "attrs": attributes });
        asked["agents"] = agents;
        asked["outputs"] = json!([{ "type": "local", "to": server.env.path("dir") }]);
        server.client(asked)
    };
    let agents = json!({ "mine": socket });
    let said = error(&ask(&known, json!({ "other": socket })));
    assert!(said.contains("Permission denied"), "{said}");
    let stranger = known.replace(&port.to_string(), "1");
    for unknown in [stranger.as_str(), ""] {
        let said = error(&ask(unknown, agents.clone()));
        assert!(said.contains("Host key verification failed"), "{said}");
    }
    is_fine(&ask(&known, agents));
    assert_eq!(fs::read_to_string(server.env.path("dir/file")).unwrap(), "of a repository");
}

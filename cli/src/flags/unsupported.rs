//! Flags that docker has and kiln does not have yet: they are named, never guessed at.
//!
//! Without this, a script's `--squash` would be reported as a typing mistake. Called by
//! [`super::parse`] for a flag that clap does not know. Source of the names: the references of `docker build`,
//! `docker buildx build` and `docker run`.

/// Flags of `docker build` and `docker buildx build`.
const BUILD: &[&str] = &["--policy", "--security-opt", "--squash"];

/// Flags of `docker run`.
const RUN: &[&str] = &[
    "--add-host",
    "--annotation",
    "--attach",
    "-a",
    "--blkio-weight",
    "--cap-add",
    "--cap-drop",
    "--cgroup-parent",
    "--cgroupns",
    "--cidfile",
    "--cpu-period",
    "--cpu-quota",
    "--cpu-shares",
    "-c",
    "--cpus",
    "--cpuset-cpus",
    "--cpuset-mems",
    "--detach",
    "-d",
    "--detach-keys",
    "--device",
    "--dns",
    "--dns-option",
    "--dns-search",
    "--domainname",
    "--expose",
    "--gpus",
    "--group-add",
    "--health-cmd",
    "--hostname",
    "-h",
    "--init",
    "--ip",
    "--ip6",
    "--ipc",
    "--isolation",
    "--label",
    "-l",
    "--label-file",
    "--link",
    "--log-driver",
    "--log-opt",
    "--mac-address",
    "--memory",
    "-m",
    "--memory-swap",
    "--mount",
    "--network-alias",
    "--no-healthcheck",
    "--oom-kill-disable",
    "--pid",
    "--pids-limit",
    "--privileged",
    "--publish",
    "-p",
    "--publish-all",
    "-P",
    "--read-only",
    "--restart",
    "--runtime",
    "--security-opt",
    "--sig-proxy",
    "--stop-signal",
    "--stop-timeout",
    "--storage-opt",
    "--sysctl",
    "--tmpfs",
    "--userns",
    "--uts",
    "--volume-driver",
    "--volumes-from",
];

/// Flags of docker's image commands, all together: they are few.
const IMAGES: &[&str] = &[
    "--all-tags",
    "-a",
    "--disable-content-trust",
    "--filter",
    "-f",
    "--platform",
    "--size",
    "-s",
    "--tree",
];

/// Commands of docker that kiln does not have yet.
const COMMANDS: &[&str] = &[
    "attach", "bake", "commit", "compose", "config", "context", "cp", "create", "diff", "events", "exec",
    "export", "import", "inspect", "kill", "logs", "ls", "manifest", "network", "node", "pause", "plugin",
    "port", "ps", "rename", "restart", "rm", "search", "secret", "service", "stack", "start", "stats",
    "stop", "swarm", "top", "trust", "unpause", "update", "volume", "wait",
];

/// The sentence for a command that docker knows and kiln does not, or `None` if docker does not know it either.
pub fn explain_command(words: &[&str]) -> Option<String> {
    let groups = ["image", "builder", "buildx", "system", "container"];
    let words =
        if words.first().is_some_and(|word| groups.contains(word)) { words } else { words.get(..1)? };
    let known = words.last().is_some_and(|command| COMMANDS.contains(command));
    known.then(|| format!("`docker {}` is not supported yet", words.join(" ")))
}

/// The sentence for a flag that docker knows and kiln does not, or `None` if docker does not know it either.
///
/// `words` are the command words of the line (`["image", "build"]`); `flag` is as written, dashes included.
pub fn explain(words: &[&str], flag: &str) -> Option<String> {
    let flag = flag.split('=').next().unwrap_or(flag);
    let (command, known) = match words {
        ["build" | "b", ..] | ["image" | "builder" | "buildx", "build" | "b", ..] => ("build", BUILD),
        ["run", ..] | ["container", "run", ..] => ("run", RUN),
        ["image" | "system" | "builder", command, ..] | [command, ..] => (*command, IMAGES),
        [] => return None,
    };
    known.contains(&flag).then(|| format!("`{flag}` of docker {command} is not supported yet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_flags_are_named_and_typing_mistakes_are_not() {
        assert_eq!(
            explain(&["build", "."], "--squash"),
            Some("`--squash` of docker build is not supported yet".to_owned())
        );
        assert!(explain(&["buildx", "build"], "--security-opt=x").is_some());
        assert!(explain(&["run", "x"], "-p").is_some());
        assert!(explain(&["images"], "--filter").is_some());
        assert_eq!(explain(&["run"], "--secret"), None);
        assert_eq!(explain(&["build"], "--memorys"), None);
        assert_eq!(explain(&[], "--x"), None);
        assert_eq!(explain_command(&["ps", "-a"]), Some("`docker ps` is not supported yet".to_owned()));
        assert_eq!(
            explain_command(&["system", "events"]),
            Some("`docker system events` is not supported yet".to_owned())
        );
        assert_eq!(explain_command(&["rum"]), None);
        assert_eq!(explain_command(&[]), None);
    }
}

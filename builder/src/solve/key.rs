//! From an op and the content of its inputs to a cache key. Pure.
//!
//! What enters and what does not is the table at the head of the cache's documentation; this is where the
//! table is made true. The parts stay readable, because a miss is explained by comparing them.

pub(crate) mod changes;

use kiln_cache::{Key, KeyBuilder, Part};
use kiln_graph::op::{
    Access, CopyAction, CopySource, Exec, ExecMount, FileAction, FileOp, ModeChange, Network, Owner,
    Security, Sharing,
};

/// A vertex's key, its readable parts, and the slot under which its last record is found.
#[derive(Debug, Clone)]
pub(crate) struct StepKey {
    /// What the result is stored under.
    pub(crate) key: Key,
    /// What the key was made of.
    pub(crate) parts: Vec<Part>,
    /// The step whatever its content: for finding what an earlier build of it was made of.
    pub(crate) slot: Key,
}

/// The slot of a step: the same instruction of the same stage of the same Dockerfile, for the same platform. What one
/// platform's build was is no explanation of another's.
pub(crate) fn slot(project: &str, platform: &str, stage: &str, name: &str) -> Key {
    // The position `2/4` moves when instructions are added; the rest of the name does not.
    let text = name.split_once("] ").map_or(name, |(_, text)| text);
    let slot = KeyBuilder::new("slot").part("project", project).part("platform", platform);
    slot.part("stage", stage).part("text", text).finish().0
}

/// The key of an Exec on the root with identity `root`; `selections` holds one digest for each mount that shows
/// files of an input.
pub(crate) fn exec(op: &Exec, selections: &[Option<[u8; 32]>], root: &str, slot: Key) -> StepKey {
    let security = match op.security {
        Security::Sandbox => "sandbox",
        Security::Insecure => "insecure",
    };
    let mut builder = KeyBuilder::new("exec").part("command", fields(op.args.iter()));
    for (name, value) in &op.env {
        builder = builder.part(format!("variable {name}"), value);
    }
    builder = builder
        .part("working directory", &op.cwd)
        .part("user", &op.user)
        .part(
            "network",
            match op.network {
                Network::Host => "host",
                Network::None => "none",
            },
        )
        .part("security", security)
        .part("host name", op.hostname.as_deref().unwrap_or_default())
        .part("platform", &op.platform);
    builder = changes::rules(builder, &op.rules);
    for device in &op.devices {
        let need = if device.required { "required" } else { "if there is one" };
        builder = builder.part(format!("device {}", device.name), need);
    }
    for (index, mount) in op.mounts.iter().enumerate() {
        builder = mount_parts(builder, mount, selections.get(index).copied().flatten());
    }
    finish(builder.part(ROOT, root), slot)
}

/// The key of a File op on the root with identity `root`; `selections` holds one digest for each copy that
/// takes files from an input.
pub(crate) fn file(op: &FileOp, selections: &[Option<[u8; 32]>], root: &str, slot: Key) -> StepKey {
    let mut builder = KeyBuilder::new("file");
    for (index, action) in op.actions.iter().enumerate() {
        builder = match action {
            FileAction::Mkdir { path, mode, owner } => builder
                .part("directory", path)
                .part("directory mode", format!("{mode:o}"))
                .part("owner", owner_text(owner.as_ref())),
            FileAction::Copy(copy) => copy_parts(builder, copy, selections.get(index).copied().flatten()),
            other => changes::parts(builder, other, selections.get(index).copied().flatten()),
        };
    }
    finish(builder.part(ROOT, root), slot)
}

fn mount_parts(builder: KeyBuilder, mount: &ExecMount, selection: Option<[u8; 32]>) -> KeyBuilder {
    match mount {
        ExecMount::File { target, data, mode } => builder
            .part(format!("script {target}"), data)
            .part(format!("mode of {target}"), format!("{mode:o}")),
        ExecMount::Tmpfs { target, size } => {
            builder.part(format!("tmpfs {target}"), size.map_or_else(String::new, |size| size.to_string()))
        }
        ExecMount::Bind { input: _, source: _, target, read_only } => builder
            .part(format!("{BOUND}{target}"), selection.map_or_else(String::new, hex))
            .part(format!("writing to {target}"), if *read_only { "refused" } else { "forgotten" }),
        ExecMount::Output { input: _, source, target } => builder
            .part(format!("result at {target}"), source)
            .part(format!("{BOUND}{target}"), selection.map_or_else(String::new, hex)),
        ExecMount::Cache(cache) => {
            let sharing = match cache.sharing {
                Sharing::Shared => "shared",
                Sharing::Private => "private",
                Sharing::Locked => "locked",
            };
            let access = cache.access.as_ref().map_or_else(String::new, access_text);
            let writing = if cache.read_only { "read-only" } else { "" };
            let named = [&cache.namespace, &cache.id, &cache.source].map(String::as_str);
            let options = named.into_iter().chain([sharing, &access, writing]).map(str::to_owned);
            let seed = selection.map_or_else(String::new, hex);
            builder
                .part(format!("cache at {}", cache.target), fields(options.collect::<Vec<_>>().iter()))
                .part(format!("{BOUND}{}", cache.target), seed)
        }
        ExecMount::Secret { id, target, env, access, required } => {
            let place = [target.clone().unwrap_or_default(), env.clone().unwrap_or_default()];
            let options = place.into_iter().chain([access_text(access), required.to_string()]);
            builder.part(format!("secret {id}"), fields(options.collect::<Vec<_>>().iter()))
        }
        ExecMount::Ssh { id, target, access, required } => {
            let options = [target.clone(), access_text(access), required.to_string()];
            builder.part(format!("SSH agent {id}"), fields(options.iter()))
        }
    }
}

fn access_text(access: &Access) -> String {
    format!("{:o} {}:{}", access.mode, access.uid, access.gid)
}

/// What the names of parts begin with that stand for mounted files.
pub(crate) const BOUND: &str = "files at ";

/// Name of the part that stands for the root file system.
pub(crate) const ROOT: &str = "root";

/// Name of the part that stands for the files that a copy takes.
pub(crate) const FILES: &str = "files";

fn copy_parts(mut builder: KeyBuilder, copy: &CopyAction, selection: Option<[u8; 32]>) -> KeyBuilder {
    for source in &copy.sources {
        if let CopySource::Inline { name, data } = source {
            builder = builder.part(format!("file {name}"), data);
        }
    }
    if copy.sources.iter().any(|source| matches!(source, CopySource::Parents { .. })) {
        builder = builder.part("with parent directories", "yes");
    }
    builder
        .part(FILES, selection.map_or_else(String::new, hex))
        .part("destination", &copy.destination)
        .part("several sources", if copy.sources.len() > 1 { "yes" } else { "no" })
        .part("owner", owner_text(copy.owner.as_ref()))
        .part("mode", copy.mode.as_ref().map_or_else(String::new, mode_text))
        .part("unpack", if copy.unpack { "yes" } else { "no" })
        .part("directories themselves", if copy.directories_themselves { "yes" } else { "no" })
}

/// What a selection from the root with identity `root` is remembered under.
pub(crate) fn selection_memo(copy: &CopyAction, root: &str) -> Key {
    let patterns: Vec<String> = copy.sources.iter().filter_map(pattern_text).collect();
    KeyBuilder::new("selection")
        .part("patterns", fields(patterns.iter()))
        .part("excludes", fields(copy.excludes.iter()))
        .part("directories themselves", if copy.directories_themselves { "yes" } else { "no" })
        .part(ROOT, root)
        .finish()
        .0
}

/// A source's pattern as no other one is written: a path holds no NUL.
fn pattern_text(source: &CopySource) -> Option<String> {
    match source {
        CopySource::Path(pattern) => Some(pattern.clone()),
        CopySource::Parents { pivot, pattern } => Some(format!("{pivot}\0{pattern}")),
        CopySource::Inline { .. } => None,
    }
}

/// What an owner's numbers in the root with identity `root` are remembered under.
pub(crate) fn owner_memo(owner: &Owner, root: &str) -> Key {
    KeyBuilder::new("owner").part("owner", owner_text(Some(owner))).part(ROOT, root).finish().0
}

/// What the listings are remembered under that stand behind parts of keys.
pub(crate) fn listings<'a>(parts: impl Iterator<Item = &'a Part>) -> Vec<Key> {
    let files = parts.filter(|part| part.name == FILES || part.name.starts_with(BOUND));
    files.map(|part| listing_memo(&part.value)).collect()
}

/// What the chain behind the value of [`ROOT`] is remembered under.
pub(crate) fn chain_memo(root: &str) -> Key {
    KeyBuilder::new("chain").part(ROOT, root).finish().0
}

/// What the listing behind a selection's digest is remembered under.
pub(crate) fn listing_memo(digest: &str) -> Key {
    KeyBuilder::new("listing").part(FILES, digest).finish().0
}

fn finish(builder: KeyBuilder, slot: Key) -> StepKey {
    let (key, parts) = builder.finish();
    StepKey { key, parts, slot }
}

/// Empty only where there is no owner: a user without a name is root.
fn owner_text(owner: Option<&Owner>) -> String {
    owner.map_or_else(String::new, |owner| {
        let user = if owner.user.is_empty() { "0" } else { &owner.user };
        owner.group.as_ref().map_or_else(|| user.to_owned(), |group| format!("{user}:{group}"))
    })
}

fn mode_text(mode: &ModeChange) -> String {
    match mode {
        ModeChange::Set(mode) => format!("{mode:o}"),
        ModeChange::Symbolic(text) => text.clone(),
    }
}

/// Several texts as one value that no other list has: JSON.
fn fields<'a>(values: impl Iterator<Item = &'a String>) -> String {
    let values: Vec<serde_json::Value> =
        values.map(|value| serde_json::Value::from(value.as_str())).collect();
    serde_json::Value::from(values).to_string()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: [u8; 32]) -> String {
    Key(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use kiln_graph::op::{CacheMount, Device};

    use super::*;

    fn op() -> Exec {
        Exec {
            args: vec!["/bin/sh".into(), "-c".into(), "make".into()],
            env: vec![("PATH".into(), "/bin".into())],
            proxies: Vec::new(),
            platform: "linux/amd64".into(),
            cwd: "/".into(),
            user: String::new(),
            mounts: Vec::new(),
            network: Network::Host,
            security: Security::Sandbox,
            devices: Vec::new(),
            hostname: None,
            rules: kiln_graph::op::ExecRules::default(),
        }
    }

    fn key(op: &Exec) -> Key {
        exec(op, &[], "root", slot("p", "linux/amd64", "s", "[1/2] RUN make")).key
    }

    #[test]
    fn proxies_do_not_count_and_everything_else_does() {
        let base = key(&op());
        let with = |change: fn(&mut Exec)| {
            let mut changed = op();
            change(&mut changed);
            key(&changed)
        };
        assert_eq!(base, with(|op| op.proxies.push(("HTTP_PROXY".into(), "http://proxy".into()))));
        let changes: [fn(&mut Exec); 14] = [
            |op| op.args[2] = "make all".into(),
            |op| op.args = vec!["/bin/sh".into(), "-c make".into()],
            |op| op.env[0].1 = "/usr/bin".into(),
            |op| op.env.push(("UNUSED".into(), String::new())),
            |op| op.platform = "linux/arm64".into(),
            |op| op.cwd = "/src".into(),
            |op| op.user = "nobody".into(),
            |op| op.network = Network::None,
            |op| op.hostname = Some("h".into()),
            |op| op.security = Security::Insecure,
            |op| op.devices.push(Device { name: "v.org/d=1".into(), required: true }),
            |op| op.devices.push(Device { name: "v.org/d=2".into(), required: true }),
            |op| op.devices.push(Device { name: "v.org/d=1".into(), required: false }),
            |op| op.mounts.push(ExecMount::Tmpfs { target: "/t".into(), size: None }),
        ];
        for change in changes {
            assert_ne!(base, with(change));
        }
        assert_ne!(base, exec(&op(), &[], "other", slot("p", "linux/amd64", "s", "")).key);
    }

    fn mounted(mount: ExecMount, selection: Option<[u8; 32]>) -> Key {
        let op = Exec { mounts: vec![mount], ..op() };
        exec(&op, &[selection], "root", slot("p", "linux/amd64", "s", "[1/2] RUN make")).key
    }

    #[test]
    fn a_bind_counts_by_what_it_shows() {
        let bind = |source: &str, target: &str, read_only| ExecMount::Bind {
            input: 1,
            source: source.into(),
            target: target.into(),
            read_only,
        };
        let base = mounted(bind("a", "/t", true), Some([1; 32]));
        assert_eq!(base, mounted(bind("elsewhere", "/t", true), Some([1; 32])), "not where it was");
        assert_ne!(base, mounted(bind("a", "/t", true), Some([2; 32])));
        assert_ne!(base, mounted(bind("a", "/u", true), Some([1; 32])));
        assert_ne!(base, mounted(bind("a", "/t", false), Some([1; 32])));
        assert_ne!(base, key(&op()));
    }

    #[test]
    fn a_cache_counts_by_name_and_place() {
        let cache = CacheMount {
            namespace: String::new(),
            id: "i".into(),
            target: "/t".into(),
            sharing: Sharing::Shared,
            input: None,
            source: ".".into(),
            access: None,
            read_only: false,
        };
        let base = mounted(ExecMount::Cache(cache.clone()), None);
        let with = |change: fn(&mut CacheMount)| {
            let mut changed = cache.clone();
            change(&mut changed);
            mounted(ExecMount::Cache(changed), None)
        };
        assert_eq!(base, with(|cache| cache.input = Some(1)), "not where it takes what it begins as");
        assert_ne!(base, mounted(ExecMount::Cache(cache.clone()), Some([1; 32])), "but what that is");
        let changes: [fn(&mut CacheMount); 7] = [
            |cache| cache.id = "j".into(),
            |cache| cache.namespace = "n".into(),
            |cache| cache.target = "/u".into(),
            |cache| cache.sharing = Sharing::Locked,
            |cache| cache.source = "part".into(),
            |cache| cache.access = Some(Access { mode: 0o700, uid: 0, gid: 0 }),
            |cache| cache.read_only = true,
        ];
        for change in changes {
            assert_ne!(base, with(change));
        }
    }

    #[test]
    fn credentials_count_by_id_and_place() {
        let access = Access { mode: 0o400, uid: 0, gid: 0 };
        let secret = |id: &str, target: Option<&str>, env: Option<&str>, required| {
            let (target, env) = (target.map(str::to_owned), env.map(str::to_owned));
            mounted(ExecMount::Secret { id: id.into(), target, env, access, required }, None)
        };
        let ssh = |id: &str, target: &str| {
            mounted(ExecMount::Ssh { id: id.into(), target: target.into(), access, required: true }, None)
        };
        let keys = [
            secret("i", Some("/t"), None, true),
            secret("j", Some("/t"), None, true),
            secret("i", None, Some("/t"), true),
            secret("i", Some("/t"), Some("/t"), true),
            secret("i", Some("/t"), None, false),
            ssh("i", "/t"),
            ssh("j", "/t"),
            ssh("i", "/u"),
        ];
        let different: std::collections::BTreeSet<&Key> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
    }

    #[test]
    fn no_owner_is_not_a_nameless_one() {
        let owner =
            |user: &str, group: Option<&str>| Owner { user: user.into(), group: group.map(str::to_owned) };
        assert_eq!(owner_text(None), "");
        assert_eq!(owner_text(Some(&owner("", None))), "0");
        assert_eq!(owner_text(Some(&owner("", Some("g")))), "0:g");
        assert_eq!(owner_text(Some(&owner("u", None))), "u");
        assert_ne!(owner_text(Some(&owner("1", None))), owner_text(Some(&owner("1", Some("1")))));
    }

    #[test]
    fn a_slot_outlives_a_new_instruction_before_it() {
        let first = slot("p", "linux/amd64", "s", "[s 1/2] RUN make");
        assert_eq!(first, slot("p", "linux/amd64", "s", "[s 2/3] RUN make"));
        assert_ne!(first, slot("q", "linux/amd64", "s", "[s 1/2] RUN make"));
        assert_ne!(first, slot("p", "linux/arm64", "s", "[s 1/2] RUN make"));
        assert_ne!(first, slot("p", "linux/amd64", "t", "[t 1/2] RUN make"));
    }
}

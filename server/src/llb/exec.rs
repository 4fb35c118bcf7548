//! Exec operations: the command, its mounts, and which of them are results.

use kiln_graph::VertexId;
use kiln_graph::op::{
    Access, CacheMount, Device, Exec, ExecMount, ExecRules, Network, Op, RootChanges, Security, Sharing,
    Ulimit,
};

use super::LlbError;
use super::lower::{About, EMPTY, Lowering, PART};
use crate::api::pb;
use crate::api::pb::MountType;

/// Where commands are found unless somebody says otherwise.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The mount that is the root.
const ROOT: &str = "/";

/// Lowers an exec operation; returns its outputs.
pub(super) fn lower(
    lowering: &mut Lowering,
    about: &About<'_>,
    op: &pb::ExecOp,
    inputs: &[VertexId],
) -> Result<Vec<(i64, VertexId)>, LlbError> {
    let meta = op.meta.as_ref().ok_or_else(|| about.wrong("meta", "there is none"))?;
    refuse(about, meta)?;
    let mut mounts = Mounts::default();
    let mut roots = op.mounts.iter().filter(|mount| mount.dest == ROOT);
    let root = roots.next().ok_or_else(|| about.wrong("mounts", "none is the root `/`"))?;
    if roots.next().is_some() {
        return Err(about.wrong("mounts", "more than one is the root `/`"));
    }
    if root.mount_type != i32::from(MountType::Bind) || !root.selector.trim_matches('/').is_empty() {
        return Err(about.unsupported("mounts", "the root can only be the whole of an input"));
    }
    let below = lowering.input(about, "mounts", root.input, inputs)?;
    mounts.inputs.push(lowering.root(below));
    for mount in op.mounts.iter().filter(|mount| mount.dest != ROOT) {
        mounts.add(lowering, about, mount, inputs)?;
    }
    for secret in &op.secretenv {
        mounts.secret_variable(secret);
    }
    let changes = match (root.readonly, root.output) {
        (true, _) => RootChanges::Refused,
        (false, EMPTY) => RootChanges::Forgotten,
        (false, _) => RootChanges::Kept,
    };
    lowering.host_network |= op.network() == pb::NetMode::Host;
    let exec = command(about, op, meta, changes, mounts.all)?;
    let name = exec.args.join(" ");
    let vertex = lowering.add(about, about.vertex(Op::Exec(exec), mounts.inputs, name))?;
    let mut outputs = vec![(root.output, vertex)];
    for (output, number) in mounts.outputs {
        let name = format!("{} (output {output})", about.digest);
        let vertex = lowering.add(about, about.vertex(Op::Output(number), vec![vertex], name))?;
        outputs.push((output, vertex));
    }
    Ok(outputs.into_iter().filter(|(index, _)| *index != EMPTY).collect())
}

fn command(
    about: &About<'_>,
    op: &pb::ExecOp,
    meta: &pb::Meta,
    root: RootChanges,
    mounts: Vec<ExecMount>,
) -> Result<Exec, LlbError> {
    if meta.args.is_empty() {
        return Err(about.wrong("meta.args", "there is no command"));
    }
    if !meta.cwd.starts_with('/') {
        return Err(about.wrong("meta.cwd", format!("`{}` is not an absolute path", meta.cwd)));
    }
    let network = match pb::NetMode::try_from(op.network) {
        Ok(pb::NetMode::Unset | pb::NetMode::Host) => Network::Host,
        Ok(pb::NetMode::None) => Network::None,
        Err(_) => return Err(about.unsupported("network", format!("{} is not known", op.network))),
    };
    let security = match pb::SecurityMode::try_from(op.security) {
        Ok(pb::SecurityMode::Sandbox) => Security::Sandbox,
        Ok(pb::SecurityMode::Insecure) => Security::Insecure,
        Err(_) => return Err(about.unsupported("security", format!("{} is not known", op.security))),
    };
    let device = |device: &pb::CdiDevice| Device { name: device.name.clone(), required: !device.optional };
    let rules = ExecRules {
        root,
        exit_codes: meta.valid_exit_codes.clone(),
        hosts: meta.extra_hosts.iter().map(|host| (host.ip.clone(), host.host.clone())).collect(),
        limits: limits(about, meta)?,
    };
    Ok(Exec {
        args: meta.args.clone(),
        env: environment(about, meta)?,
        proxies: proxies(meta),
        platform: about.platform.clone(),
        cwd: meta.cwd.clone(),
        user: meta.user.clone(),
        mounts,
        network,
        security,
        devices: op.cdi_devices.iter().map(device).collect(),
        hostname: Some(meta.hostname.clone()).filter(|name| !name.is_empty()),
        rules,
    })
}

/// What the sandbox does not do.
fn refuse(about: &About<'_>, meta: &pb::Meta) -> Result<(), LlbError> {
    if !meta.cgroup_parent.is_empty() {
        return Err(about.unsupported("meta.cgroupParent", "steps are in a control group of kiln's own"));
    }
    for host in &meta.extra_hosts {
        if host.ip.parse::<std::net::IpAddr>().is_err() {
            return Err(about.wrong("meta.extraHosts", format!("`{}` is not an address", host.ip)));
        }
        if host.host.is_empty()
            || host.host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#')
        {
            return Err(about.wrong("meta.extraHosts", format!("{:?} is not a name", host.host)));
        }
    }
    Ok(())
}

/// Limits are the same in whatever case they are named.
fn limits(about: &About<'_>, meta: &pb::Meta) -> Result<Vec<Ulimit>, LlbError> {
    let limit = |limit: &pb::Ulimit| {
        Ulimit::new(&limit.name.to_ascii_lowercase(), limit.soft, limit.hard)
            .map_err(|error| about.wrong("meta.ulimit", error.to_string()))
    };
    Ok(Ulimit::in_order(meta.ulimit.iter().map(limit).collect::<Result<Vec<_>, _>>()?))
}

/// Variables in order; of several of one name the last counts. Programs are found even if nobody says where.
fn environment(about: &About<'_>, meta: &pb::Meta) -> Result<Vec<(String, String)>, LlbError> {
    let mut env: Vec<(String, String)> = Vec::with_capacity(meta.env.len());
    for variable in &meta.env {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        if name.is_empty() {
            return Err(about.wrong("meta.env", format!("`{variable}` has no name")));
        }
        env.retain(|(known, _)| known != name);
        env.push((name.to_owned(), value.to_owned()));
    }
    if env.iter().all(|(name, _)| name != "PATH") {
        env.push(("PATH".to_owned(), PATH.to_owned()));
    }
    Ok(env)
}

fn proxies(meta: &pb::Meta) -> Vec<(String, String)> {
    let Some(proxy) = &meta.proxy_env else { return Vec::new() };
    let given = [
        ("HTTP_PROXY", &proxy.http_proxy),
        ("HTTPS_PROXY", &proxy.https_proxy),
        ("FTP_PROXY", &proxy.ftp_proxy),
        ("NO_PROXY", &proxy.no_proxy),
        ("ALL_PROXY", &proxy.all_proxy),
    ];
    let given = given.into_iter().filter(|(_, value)| !value.is_empty());
    given
        .flat_map(|(name, value)| [(name.to_owned(), value.clone()), (name.to_lowercase(), value.clone())])
        .collect()
}

/// The mounts of a command, as they are lowered.
#[derive(Default)]
struct Mounts {
    all: Vec<ExecMount>,
    inputs: Vec<VertexId>,
    /// Numbers of outputs, and of the mounts that they are.
    outputs: Vec<(i64, usize)>,
}

impl Mounts {
    fn add(
        &mut self,
        lowering: &mut Lowering,
        about: &About<'_>,
        mount: &pb::Mount,
        inputs: &[VertexId],
    ) -> Result<(), LlbError> {
        let target = target(about, mount)?;
        let kind = MountType::try_from(mount.mount_type)
            .map_err(|_| about.unsupported("mountType", format!("{} is not known", mount.mount_type)))?;
        let source = selector(mount);
        let lowered = match kind {
            MountType::Bind => {
                let below = lowering.input(about, "mounts", mount.input, inputs)?;
                let input = self.input(lowering.root(below));
                if !mount.readonly && mount.output != EMPTY {
                    self.outputs.push((mount.output, self.all.len()));
                    ExecMount::Output { input, source, target }
                } else {
                    ExecMount::Bind { input, source, target, read_only: mount.readonly }
                }
            }
            MountType::Cache => self.cache(lowering, about, mount, inputs, target)?,
            MountType::Tmpfs => {
                let size = mount.tmpfs_opt.as_ref().and_then(|options| u64::try_from(options.size).ok());
                ExecMount::Tmpfs { target, size: size.filter(|size| *size > 0) }
            }
            MountType::Secret => {
                let secret = mount.secret_opt.as_ref();
                let secret = secret.ok_or_else(|| about.wrong("secretOpt", "there is none"))?;
                let access = Access { mode: secret.mode & 0o777, uid: secret.uid, gid: secret.gid };
                let (id, required) = (secret.id.clone(), !secret.optional);
                ExecMount::Secret { id, target: Some(target), env: None, access, required }
            }
            MountType::Ssh => {
                let ssh = mount.ssh_opt.as_ref();
                let ssh = ssh.ok_or_else(|| about.wrong("SSHOpt", "there is none"))?;
                let access = Access { mode: ssh.mode & 0o777, uid: ssh.uid, gid: ssh.gid };
                let id = if ssh.id.is_empty() { "default".to_owned() } else { ssh.id.clone() };
                ExecMount::Ssh { id, target, access, required: !ssh.optional }
            }
        };
        // Clients leave the field out for what can never be one.
        if mount.output != EMPTY && matches!(kind, MountType::Cache | MountType::Tmpfs) {
            return Err(about.wrong("mounts", format!("the mount on {} cannot be an output", mount.dest)));
        }
        self.all.push(lowered);
        Ok(())
    }

    fn cache(
        &mut self,
        lowering: &mut Lowering,
        about: &About<'_>,
        mount: &pb::Mount,
        inputs: &[VertexId],
        target: String,
    ) -> Result<ExecMount, LlbError> {
        let cache = mount.cache_opt.as_ref().ok_or_else(|| about.wrong("cacheOpt", "there is none"))?;
        let sharing = match pb::CacheSharingOpt::try_from(cache.sharing) {
            Ok(pb::CacheSharingOpt::Shared) => Sharing::Shared,
            Ok(pb::CacheSharingOpt::Private) => Sharing::Private,
            Ok(pb::CacheSharingOpt::Locked) => Sharing::Locked,
            Err(_) => {
                return Err(about.unsupported("cacheOpt.sharing", format!("{} is not known", cache.sharing)));
            }
        };
        let mut source = selector(mount);
        let mut input = None;
        if mount.input != EMPTY {
            let seed = lowering.input(about, "mounts", mount.input, inputs)?;
            // A cache begins as a copy of one layer.
            let seed = lowering.single_layer(about, seed, &source)?;
            input = Some(self.input(seed));
            PART.clone_into(&mut source);
        }
        Ok(ExecMount::Cache(CacheMount {
            namespace: String::new(),
            id: cache.id.clone(),
            target,
            sharing,
            input,
            source,
            access: None,
            read_only: mount.readonly,
        }))
    }

    fn secret_variable(&mut self, secret: &pb::SecretEnv) {
        let access = Access { mode: 0, uid: 0, gid: 0 };
        self.all.push(ExecMount::Secret {
            id: secret.id.clone(),
            target: None,
            env: Some(secret.name.clone()),
            access,
            required: !secret.optional,
        });
    }

    /// The number that an input gets.
    fn input(&mut self, vertex: VertexId) -> usize {
        // The first is the root, and a root is never mounted by its number.
        let known = self.inputs.iter().skip(1).position(|known| *known == vertex);
        known.map_or_else(
            || {
                self.inputs.push(vertex);
                self.inputs.len() - 1
            },
            |index| index + 1,
        )
    }
}

/// Where the mount is to appear.
fn target(about: &About<'_>, mount: &pb::Mount) -> Result<String, LlbError> {
    if !mount.dest.starts_with('/') || mount.dest.contains('\0') || mount.dest.trim_matches('/').is_empty() {
        return Err(about.wrong("mounts", format!("`{}` is not an absolute path below /", mount.dest)));
    }
    Ok(mount.dest.clone())
}

/// What of an input is shown, relative to its root.
fn selector(mount: &pb::Mount) -> String {
    let path = mount.selector.trim_matches('/');
    if path.is_empty() { ".".to_owned() } else { path.to_owned() }
}

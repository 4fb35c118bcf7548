//! Users and groups as a root file system names them.
//!
//! `/etc/passwd` and `/etc/group` are read from the image itself, beneath its root, regular files only
//! and up to a limit: an image decides its users, never the host, and cannot make the builder read a
//! device, a FIFO or a host file.

use std::path::Path;

use kiln_cache::{StoreError, View, ViewError};
use kiln_graph::op::Owner;

/// Largest user database that is read: 16 MiB, far more than any real one.
const MAX_DATABASE: u64 = 16 << 20;

/// Numeric user and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ids {
    /// User.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
}

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Identity {
    /// User and primary group.
    pub(crate) ids: Ids,
    /// Supplementary groups, from the group database when the user is named there.
    pub(crate) groups: Vec<u32>,
    /// Home directory, if the user database names one.
    pub(crate) home: Option<String>,
}

/// A user or group that cannot be looked up.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The name is in no database of the image.
    #[error("unable to find {kind} {name}: no matching entry in the image's {file}")]
    Unknown {
        /// `user` or `group`.
        kind: &'static str,
        /// The name.
        name: String,
        /// `/etc/passwd` or `/etc/group`.
        file: &'static str,
    },
    /// The number does not fit.
    #[error("{kind} id {name} is out of range")]
    Range {
        /// `user` or `group`.
        kind: &'static str,
        /// The number as written.
        name: String,
    },
    /// The database could not be read.
    #[error("cannot read {file} of the image")]
    Read {
        /// Which.
        file: &'static str,
        /// Why.
        #[source]
        source: StoreError,
    },
}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// The owner that `--chown` or USER names.
pub(crate) fn owner(view: &View, owner: &Owner) -> Result<Ids, UserError> {
    let (uid, named_gid) = match owner_number("user", &owner.user)? {
        Some(uid) => (uid, None),
        None if owner.user.is_empty() => (0, Some(0)),
        None => {
            let accounts = accounts(view)?;
            let account = accounts.into_iter().find(|account| account.name == owner.user);
            let account = account.ok_or_else(|| UserError::Unknown {
                kind: "user",
                name: owner.user.clone(),
                file: PASSWD,
            })?;
            (account.uid, Some(account.gid))
        }
    };
    let gid = match &owner.group {
        Some(group) => match owner_number("group", group)? {
            Some(gid) => gid,
            None => group_id(view, group)?,
        },
        None => named_gid.unwrap_or(uid),
    };
    Ok(Ids { uid, gid })
}

/// Whether a root file system has to be asked what the owner means.
pub(crate) fn has_name(owner: &Owner) -> bool {
    let is_name = |text: &str| !text.is_empty() && !text.bytes().all(|byte| byte.is_ascii_digit());
    is_name(&owner.user) || owner.group.as_deref().is_some_and(is_name)
}

/// Who `user[:group]` (an image's User) is, with supplementary groups as Docker sets them.
pub(crate) fn identity(view: &View, user: &str) -> Result<Identity, UserError> {
    let (user, group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    let wanted = number("user", user)?;
    let accounts = accounts(view)?;
    let account = accounts.into_iter().find(|account| match wanted {
        Some(uid) => account.uid == uid,
        None => account.name == if user.is_empty() { "root" } else { user },
    });
    let uid = match (&account, wanted) {
        (Some(account), _) => account.uid,
        (None, Some(uid)) => uid,
        (None, None) if user.is_empty() || user == "root" => 0,
        (None, None) => return Err(UserError::Unknown { kind: "user", name: user.to_owned(), file: PASSWD }),
    };
    let (gid, mut groups) = if let Some(group) = group {
        (group_id(view, group)?, Vec::new())
    } else {
        let gid = account.as_ref().map_or(0, |account| account.gid);
        let name = account.as_ref().map(|account| account.name.as_str());
        (gid, name.map_or_else(|| Ok(Vec::new()), |name| memberships(view, name))?)
    };
    // Were the primary group not a supplementary one too, a process could drop it and with it what is denied to the group.
    if !groups.contains(&gid) {
        groups.insert(0, gid);
    }
    let home = account.map(|account| account.home).filter(|home| !home.is_empty());
    Ok(Identity { ids: Ids { uid, gid }, groups, home })
}

fn group_id(view: &View, group: &str) -> Result<u32, UserError> {
    if let Some(gid) = number("group", group)? {
        return Ok(gid);
    }
    let found = groups(view)?.into_iter().find(|candidate| candidate.name == group);
    found.map(|group| group.gid).ok_or_else(|| UserError::Unknown {
        kind: "group",
        name: group.to_owned(),
        file: GROUP,
    })
}

fn memberships(view: &View, user: &str) -> Result<Vec<u32>, UserError> {
    let groups = groups(view)?.into_iter();
    Ok(groups
        .filter(|group| group.members.iter().any(|member| member == user))
        .map(|group| group.gid)
        .collect())
}

/// The number that `text` is, `None` if it is a name. The ids of processes end at 2^31 - 1, as in runc.
fn number(kind: &'static str, text: &str) -> Result<Option<u32>, UserError> {
    match owner_number(kind, text)? {
        Some(id) if i32::try_from(id).is_err() => Err(UserError::Range { kind, name: text.to_owned() }),
        id => Ok(id),
    }
}

/// The same for what owns a file: all that a file system can store. The highest means "no change" to the kernel.
fn owner_number(kind: &'static str, text: &str) -> Result<Option<u32>, UserError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let parsed = text.parse::<u32>().ok().filter(|id| *id != u32::MAX);
    parsed.map(Some).ok_or_else(|| UserError::Range { kind, name: text.to_owned() })
}

fn accounts(view: &View) -> Result<Vec<Account>, UserError> {
    Ok(lines(view, PASSWD)?
        .iter()
        .filter_map(|fields| {
            Some(Account {
                name: fields.first()?.clone(),
                uid: fields.get(2)?.parse().ok()?,
                gid: fields.get(3)?.parse().ok()?,
                home: fields.get(5).cloned().unwrap_or_default(),
            })
        })
        .collect())
}

fn groups(view: &View) -> Result<Vec<Group>, UserError> {
    Ok(lines(view, GROUP)?
        .iter()
        .filter_map(|fields| {
            let members = fields.get(3).map(String::as_str).unwrap_or_default();
            Some(Group {
                name: fields.first()?.clone(),
                gid: fields.get(2)?.parse().ok()?,
                members: members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            })
        })
        .collect())
}

/// The fields of a database's lines; an image without the file has no names.
fn lines(view: &View, file: &'static str) -> Result<Vec<Vec<String>>, UserError> {
    let read = |error: ViewError| UserError::Read { file, source: error.into() };
    let resolved = view.resolve(Path::new(file), true).map_err(read)?;
    if resolved.node.is_none() {
        return Ok(Vec::new());
    }
    let content = view.read(Path::new(file), MAX_DATABASE).map_err(read)?;
    let text = String::from_utf8_lossy(&content);
    let split = |line: &str| line.split(':').map(|field| field.trim().to_owned()).collect();
    Ok(text.lines().filter(|line| !line.trim_start().starts_with('#')).map(split).collect())
}

#[cfg(test)]
#[path = "user_tests.rs"]
mod tests;

//! The symbolic language of chmod(1): `u=rwX,go-w`.
//!
//! The rules are those of BSD's chmod with a umask of 0, as BuildKit applies them. Where they differ from GNU's: `X` asks
//! what the file was before the change, `=` clears the set-id bits of directories too and the sticky bit only with `t`,
//! and `g=u` leaves set-id bits alone. A clause without `ugoa` speaks of everybody. Pure; the builder applies a parsed
//! change to each file that it copies.

/// Who is spoken of: set-id bits and permissions of owner, group and others.
const USER: u32 = 0o4700;
const GROUP: u32 = 0o2070;
const OTHERS: u32 = 0o0007;
/// All of them.
const EVERYBODY: u32 = USER | GROUP | OTHERS;
/// All permission bits.
const ALL: u32 = 0o7777;
/// The bits that are granted to owner and group with `s`.
const SET_ID: u32 = 0o6000;
/// The bit that is granted to anybody but others alone with `t`.
const STICKY: u32 = 0o1000;

/// A text that is no symbolic mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a mode: it is written in octal (0755) or as chmod takes it (u=rwX,go-w)")]
pub struct ModeError {
    /// The text.
    pub text: String,
}

/// A parsed change of permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolicMode {
    actions: Vec<Action>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Action {
    /// The bits of those who are spoken of.
    affected: u32,
    operator: Operator,
    permissions: Permissions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Remove,
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permissions {
    /// These bits for everybody, and whether `X` was among the letters.
    Letters { bits: u32, conditional: bool },
    /// What owner (6), group (3) or others (0) have: how far their bits are shifted.
    CopyOf { shift: u32 },
}

impl SymbolicMode {
    /// Parses clauses separated by commas.
    pub fn parse(text: &str) -> Result<Self, ModeError> {
        let error = || ModeError { text: text.to_owned() };
        let mut actions = Vec::new();
        for clause in text.split(',') {
            parse_clause(clause, &mut actions).ok_or_else(error)?;
        }
        Ok(Self { actions })
    }

    /// The bits of a file that had `mode` (07777).
    pub fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let runs = is_directory || mode & 0o111 != 0;
        self.actions.iter().fold(mode & ALL, |mode, action| action.apply(mode, runs))
    }
}

impl Action {
    /// `runs`: whether the file is a directory or could be executed by somebody before any change.
    fn apply(&self, mode: u32, runs: bool) -> u32 {
        let (granted, cleared) = match self.permissions {
            Permissions::Letters { bits, conditional } => {
                // To take `X` away is to take `x` away.
                let conditional = conditional && (runs || self.operator == Operator::Remove);
                let bits = bits | if conditional { 0o111 } else { 0 };
                let sticky = if self.affected == OTHERS { 0 } else { bits & STICKY };
                ((bits & self.affected) | sticky, self.affected | sticky)
            }
            Permissions::CopyOf { shift } => {
                let permissions = self.affected & 0o777;
                let copied = (mode >> shift) & 7;
                ((copied * 0o111) & permissions, permissions)
            }
        };
        match self.operator {
            Operator::Add => mode | granted,
            Operator::Remove => mode & !granted,
            Operator::Set => (mode & !cleared) | granted,
        }
    }
}

fn parse_clause(clause: &str, actions: &mut Vec<Action>) -> Option<()> {
    let who = clause.trim_start_matches(['u', 'g', 'o', 'a']);
    let affected = clause[..clause.len() - who.len()].chars().fold(0, |bits, who| {
        bits | match who {
            'u' => USER,
            'g' => GROUP,
            'o' => OTHERS,
            _ => EVERYBODY,
        }
    });
    let affected = if affected == 0 { EVERYBODY } else { affected };
    let mut rest = who;
    while let Some(first) = rest.chars().next() {
        let operator = match first {
            '+' => Operator::Add,
            '-' => Operator::Remove,
            '=' => Operator::Set,
            _ => return None,
        };
        rest = &rest[1..];
        let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
        let permissions = parse_permissions(&rest[..end])?;
        rest = &rest[end..];
        actions.push(Action { affected, operator, permissions });
    }
    // A clause needs at least one operator.
    (!who.is_empty()).then_some(())
}

fn parse_permissions(text: &str) -> Option<Permissions> {
    match text {
        "u" => return Some(Permissions::CopyOf { shift: 6 }),
        "g" => return Some(Permissions::CopyOf { shift: 3 }),
        "o" => return Some(Permissions::CopyOf { shift: 0 }),
        _ => {}
    }
    let (mut bits, mut conditional) = (0, false);
    for letter in text.chars() {
        match letter {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'x' => bits |= 0o111,
            'X' => conditional = true,
            's' => bits |= SET_ID,
            't' => bits |= STICKY,
            _ => return None,
        }
    }
    Some(Permissions::Letters { bits, conditional })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_change_as_chmod_changes_them() {
        for (text, before, after) in [
            ("u=rwX,go-w", 0o666, 0o644),
            ("u=rwX,go-w", 0o777, 0o755),
            ("+x", 0o644, 0o755),
            ("a+x", 0o600, 0o711),
            ("a-x", 0o755, 0o644),
            ("=r", 0o4755, 0o444),
            ("go=", 0o777, 0o700),
            ("g=u", 0o640, 0o660),
            ("o=g-w", 0o660, 0o664),
            ("go=u-w", 0o700, 0o755),
            ("u+s,g+s", 0o755, 0o6755),
            ("u+t", 0o644, 0o1644),
            ("o+t", 0o644, 0o644),
            ("+t", 0o644, 0o1644),
            ("a=rt", 0o6777, 0o1444),
            ("o=r", 0o1777, 0o1774),
            ("-t", 0o1644, 0o644),
            ("ug+X", 0o644, 0o644),
            ("ug+X", 0o645, 0o755),
            ("u+x,g+X", 0o600, 0o700),
            ("u-s", 0o4755, 0o755),
            ("u=rw,+X", 0o755, 0o755),
            ("a-x,a+X", 0o711, 0o711),
            ("g=u,o=", 0o6711, 0o6770),
            ("u=rwX,go=rX", 0o1644, 0o1644),
        ] {
            assert_eq!(
                SymbolicMode::parse(text).unwrap().apply(before, false),
                after,
                "{text} on {before:o}"
            );
        }
    }

    #[test]
    fn directories_can_be_entered() {
        for (text, before, after) in [
            ("a=rX", 0o700, 0o555),
            ("u=rwX,go=rX", 0o2770, 0o755),
            ("u=rwX,go=rX", 0o1777, 0o1755),
            ("u=rwxs", 0o2755, 0o6755),
            ("g=rxs", 0o4755, 0o6755),
            ("go-X", 0o755, 0o744),
        ] {
            assert_eq!(SymbolicMode::parse(text).unwrap().apply(before, true), after, "{text} on {before:o}");
        }
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for text in ["", "u", "rwx", "u=q", "u+r,", ",u+r", "a+ug", "u=rwx go-w", "8", "u=ü", "+x+", "ü+x"]
        {
            let parsed = SymbolicMode::parse(text);
            assert_eq!(parsed.is_ok(), text == "+x+", "{text}");
        }
    }
}

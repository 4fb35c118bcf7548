//! `RUN --mount=`: comma-separated keys and values.
//!
//! Values stay unexpanded. What can be judged without expanding is judged here: unknown keys, values of fixed
//! sets, and keys that do not go with the type. A mount whose type, sharing or switches hold variables is judged when
//! whoever knows these calls [`Mount::settled`].

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_till1};
use nom::character::complete::char;
use nom::combinator::{cut, map, value};
use nom::error::context;
use nom::multi::{fold_many0, separated_list1};
use nom::sequence::{delimited, terminated};

use super::settle::is_open;
use crate::diagnostic::Diagnostic;
use crate::input::{Input, Match, Mismatch, complete};
use crate::instruction::{Mount, MountField, MountKind, Sharing, Word};
use crate::span::{Span, Spanned};
use crate::suggest::nearest;
use crate::syntax::Flag;
use crate::text::Text;

/// Every key that some type of mount knows.
const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "mode",
    "uid",
    "gid",
    "size",
    "required",
    "env",
];

const KINDS: &[(&str, MountKind)] = &[
    ("bind", MountKind::Bind),
    ("cache", MountKind::Cache),
    ("tmpfs", MountKind::Tmpfs),
    ("secret", MountKind::Secret),
    ("ssh", MountKind::Ssh),
];

const SHARING: &[(&str, Sharing)] =
    &[("shared", Sharing::Shared), ("private", Sharing::Private), ("locked", Sharing::Locked)];

/// Reads one flag; mistakes go to `found`, and a mount with one is no mount.
pub(super) fn mount(flag: &Flag, found: &mut Vec<Diagnostic>) -> Option<Mount> {
    let text = flag.value.as_ref()?;
    let fields = match complete(record, Input::new(text.as_str())) {
        Ok(fields) => fields,
        Err(mismatch) => {
            found.push(malformed(flag, mismatch));
            return None;
        }
    };
    let fields: Vec<MountField> = fields.iter().map(|pieces| field(text, pieces, flag.span)).collect();
    let before = found.len();
    let mount = from_fields(flag.span, fields, found);
    (found.len() == before).then_some(mount)
}

/// What the fields say. Where one is open only mistakes that no expansion mends are told.
fn from_fields(span: Span, fields: Vec<MountField>, found: &mut Vec<Diagnostic>) -> Mount {
    let mut mount = empty(span);
    let closed = fields.iter().filter(|field| !is_open(field));
    found.extend(closed.filter_map(|field| set(&mut mount, field).err()));
    if fields.iter().any(is_open) {
        mount.open = fields;
    } else {
        found.extend(misplaced(&mount));
    }
    mount
}

/// A mount of which nothing was said.
pub(super) fn empty(span: Span) -> Mount {
    Mount {
        span,
        kind: Spanned::new(MountKind::Bind, span),
        from: None,
        source: None,
        target: None,
        readonly: None,
        id: None,
        sharing: None,
        mode: None,
        uid: None,
        gid: None,
        size: None,
        required: None,
        env: None,
        open: Vec::new(),
    }
}

/// A line of comma-separated values (RFC 4180): each field in the pieces that its quotes leave.
fn record(input: Input<'_>) -> Match<'_, Vec<Vec<Input<'_>>>> {
    let plain = map(take_till(|c| c == ',' || c == '"'), |field: Input<'_>| vec![field]);
    separated_list1(char(','), alt((quoted, plain))).parse(input)
}

fn quoted(input: Input<'_>) -> Match<'_, Vec<Input<'_>>> {
    let doubled = terminated(tag("\""), char('"'));
    let piece = alt((take_till1(|c| c == '"'), doubled));
    let pieces = fold_many0(piece, Vec::new, |mut pieces, piece| {
        pieces.push(piece);
        pieces
    });
    delimited(char('"'), pieces, cut(context("a closing quote", char('"')))).parse(input)
}

fn field(text: &Text<'static>, pieces: &[Input<'_>], flag: Span) -> MountField {
    let mut joined = Text::new();
    for piece in pieces {
        joined.append(&text.part(&piece.range()));
    }
    let end = joined.as_str().len();
    let equals = joined.as_str().find('=');
    let key = joined.get(&(0..equals.unwrap_or(end))).to_ascii_lowercase();
    let value = equals.map(|equals| joined.spanned(&(equals + 1..end)));
    let span = match pieces.first().map(Input::range) {
        _ if end > 0 => joined.span(&(0..end)),
        // Nothing stands there: the comma is what can be shown.
        Some(at) if at.start > 0 && at.start <= text.as_str().len() => text.span(&(at.start - 1..at.start)),
        _ => flag,
    };
    MountField { span, key, value }
}

/// Takes over what `field` says.
pub(super) fn set(mount: &mut Mount, field: &MountField) -> Result<(), Diagnostic> {
    if field.key.is_empty() && field.value.is_none() {
        let message = "nothing stands between two commas, or behind the last one, of --mount";
        return Err(Diagnostic::error("invalid-mount", message, field.span)
            .with_help("a space ends the flag: write the options without spaces"));
    }
    let word = || field.value.clone().ok_or_else(|| no_value(field));
    match field.key.as_str() {
        "type" => mount.kind = one_of(&word()?, "mount type", KINDS)?,
        "sharing" => mount.sharing = Some(one_of(&word()?, "sharing value", SHARING)?),
        "from" => mount.from = Some(constant(word()?)?),
        "source" | "src" => mount.source = Some(word()?),
        "target" | "dst" | "destination" => mount.target = Some(word()?),
        "readonly" | "ro" => mount.readonly = Some(boolean(field)?),
        "readwrite" | "rw" => mount.readonly = Some(boolean(field)?.map(|writable| !writable)),
        "required" => mount.required = Some(boolean(field)?),
        "id" => mount.id = Some(word()?),
        "mode" => mount.mode = Some(word()?),
        "uid" => mount.uid = Some(word()?),
        "gid" => mount.gid = Some(word()?),
        "size" => mount.size = Some(word()?),
        "env" => mount.env = Some(word()?),
        _ => return Err(unknown_key(field)),
    }
    Ok(())
}

fn one_of<T: Copy>(word: &Word, what: &str, choices: &[(&str, T)]) -> Result<Spanned<T>, Diagnostic> {
    let lower = word.value.to_ascii_lowercase();
    if let Some((_, value)) = choices.iter().find(|(choice, _)| *choice == lower) {
        return Ok(Spanned::new(*value, word.span));
    }
    let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
    let message = format!("unsupported {what} \"{}\"", word.value);
    let diagnostic = Diagnostic::error("invalid-mount", message, word.span);
    Err(match nearest(&lower, names.iter().copied()) {
        Some(candidate) => diagnostic.with_suggestion(Some(candidate)),
        None => diagnostic.with_help(format!("use {}", names.join(", "))),
    })
}

/// A value in which variables are not expanded; a `$` at its end is an ordinary one.
fn constant(word: Word) -> Result<Word, Diagnostic> {
    let variable = word.value.find('$').is_some_and(|at| at + 1 < word.value.len());
    if !variable {
        return Ok(word);
    }
    let message = "'from' doesn't support variable expansion, define alias stage instead";
    Err(Diagnostic::error("invalid-mount", message, word.span)
        .with_help("write FROM with the variable AS a name, and use that name here"))
}

/// Alone, a key is true; otherwise the words that Go's `strconv.ParseBool` knows.
fn boolean(field: &MountField) -> Result<Spanned<bool>, Diagnostic> {
    let Some(word) = &field.value else { return Ok(Spanned::new(true, field.span)) };
    let truth = complete(truth, Input::new(&word.value)).map_err(|_| {
        let message = format!("invalid value for {}: {}", field.key, word.value);
        Diagnostic::error("invalid-mount", message, word.span).with_help("use true or false")
    })?;
    Ok(Spanned::new(truth, field.span))
}

fn truth(input: Input<'_>) -> Match<'_, bool> {
    let yes = alt((tag("true"), tag("TRUE"), tag("True"), tag("1"), tag("t"), tag("T")));
    let no = alt((tag("false"), tag("FALSE"), tag("False"), tag("0"), tag("f"), tag("F")));
    alt((value(true, yes), value(false, no))).parse(input)
}

/// Keys that do not go with the mount's type.
pub(super) fn misplaced(mount: &Mount) -> Vec<Diagnostic> {
    let kind = mount.kind.value;
    let name = KINDS.iter().find(|(_, other)| *other == kind).map_or("", |(name, _)| name);
    let secret_or_ssh = matches!(kind, MountKind::Secret | MountKind::Ssh);
    let owned = secret_or_ssh || kind == MountKind::Cache;
    let place = |word: &Option<Word>| word.as_ref().map(|word| word.span);
    let rules = [
        ("required", mount.required.as_ref().map(|flag| flag.span), secret_or_ssh),
        ("size", place(&mount.size), kind == MountKind::Tmpfs),
        ("sharing", mount.sharing.as_ref().map(|sharing| sharing.span), kind == MountKind::Cache),
        ("mode", place(&mount.mode), owned),
        ("uid", place(&mount.uid), owned),
        ("gid", place(&mount.gid), owned),
        ("from", place(&mount.from), kind != MountKind::Secret),
    ];
    let mut found: Vec<Diagnostic> = rules
        .into_iter()
        .filter_map(|(key, span, allowed)| (!allowed).then_some((key, span?)))
        .map(|(key, span)| {
            let message = format!("unexpected key '{key}' for mount type '{name}'");
            Diagnostic::error("invalid-mount", message, span)
        })
        .collect();
    found.extend(secret(mount));
    found
}

/// A secret is named once.
fn secret(mount: &Mount) -> Option<Diagnostic> {
    if mount.kind.value != MountKind::Secret {
        return None;
    }
    let message = match (&mount.source, &mount.target, &mount.id) {
        (None, None, None) => "invalid secret mount: one of id, source, target is required",
        (Some(_), _, Some(_)) => "invalid secret mount: both source and id can't be set",
        _ => return None,
    };
    Some(Diagnostic::error("invalid-mount", message, mount.span))
}

fn malformed(flag: &Flag, mismatch: Mismatch) -> Diagnostic {
    let message = "the value of --mount is not a list of comma-separated fields";
    let label = match mismatch.expected {
        Some(expected) => format!("{expected} is missing"),
        None => "a quote stands inside a field".to_owned(),
    };
    Diagnostic::error("invalid-mount", message, flag.span).with_label(label)
}

fn no_value(field: &MountField) -> Diagnostic {
    if !KEYS.contains(&field.key.as_str()) {
        return unknown_key(field);
    }
    let message = format!("invalid field '{}' must be a key=value pair", field.key);
    Diagnostic::error("invalid-mount", message, field.span)
}

fn unknown_key(field: &MountField) -> Diagnostic {
    let message = format!("unexpected key '{}' in --mount", super::shortened(&field.key));
    let diagnostic = Diagnostic::error("invalid-mount", message, field.span);
    diagnostic.with_suggestion(nearest(&field.key, KEYS))
}

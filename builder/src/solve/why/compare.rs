//! What differs between the keys of two executions of a step, part by part, in the words of a Dockerfile. Pure.
//!
//! The parts' names are those of `super::super::key`. A part that is not known here is told by its name: an explanation may
//! be plain, never wrong.

use std::collections::BTreeMap;

use kiln_cache::Part;

use super::words::{pair, shown};
use crate::account::{About, Change};
use crate::solve::key::{BOUND, FILES, ROOT};

/// One execution: the parts of its key, and what else is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Made<'a> {
    pub(crate) parts: &'a [Part],
    pub(crate) notes: &'a [Part],
}

/// Names of notes.
pub(crate) mod note {
    /// The instruction as it is shown.
    pub(crate) const INSTRUCTION: &str = "instruction";
    /// Which variables are build arguments, one word each.
    pub(crate) const ARGUMENTS: &str = "arguments";
    /// The key of the step that it is built on.
    pub(crate) const BELOW: &str = "below";
    /// The image that it is built on, if that is no step.
    pub(crate) const BASE: &str = "base";
    /// The digest of that image's manifest.
    pub(crate) const BASE_DIGEST: &str = "base digest";
    /// The rules of the ignore file, as a digest.
    pub(crate) const IGNORE: &str = "ignore rules";
}

/// A part in which two keys differ. `nth` counts the parts of one name.
pub(crate) struct Difference<'a> {
    pub(crate) name: &'a str,
    pub(crate) nth: usize,
    pub(crate) before: Option<&'a str>,
    pub(crate) after: Option<&'a str>,
}

impl Made<'_> {
    /// The note of that name.
    pub(crate) fn note(&self, name: &str) -> Option<&str> {
        find(self.notes, name)
    }

    /// The part of that name.
    pub(crate) fn part(&self, name: &str) -> Option<&str> {
        find(self.parts, name)
    }

    fn is_argument(&self, variable: &str) -> bool {
        self.note(note::ARGUMENTS).is_some_and(|names| names.split(' ').any(|name| name == variable))
    }
}

fn find<'a>(parts: &'a [Part], name: &str) -> Option<&'a str> {
    parts.iter().find(|part| part.name == name).map(|part| part.value.as_str())
}

/// The parts that differ, in the order of the new key; what is gone comes last.
pub(crate) fn differences<'a>(old: &'a [Part], new: &'a [Part]) -> Vec<Difference<'a>> {
    let (before, after) = (numbered(old), numbered(new));
    let value = |parts: &BTreeMap<(&'a str, usize), &'a str>, at: &(&'a str, usize)| parts.get(at).copied();
    let mut found = Vec::new();
    for (at, part) in keyed(new) {
        let old = value(&before, &at);
        if old != Some(part) {
            found.push(Difference { name: at.0, nth: at.1, before: old, after: Some(part) });
        }
    }
    for (at, part) in keyed(old) {
        if !after.contains_key(&at) {
            found.push(Difference { name: at.0, nth: at.1, before: Some(part), after: None });
        }
    }
    found
}

fn keyed(parts: &[Part]) -> impl Iterator<Item = ((&str, usize), &str)> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    parts.iter().map(move |part| {
        let nth = seen.entry(part.name.as_str()).or_default();
        *nth += 1;
        ((part.name.as_str(), *nth - 1), part.value.as_str())
    })
}

fn numbered(parts: &[Part]) -> BTreeMap<(&str, usize), &str> {
    keyed(parts).collect()
}

/// What changed, but for files and for what the step is built on, which take more than two keys to tell.
pub(crate) fn settings(old: Made<'_>, new: Made<'_>) -> Vec<Change> {
    let differences = differences(old.parts, new.parts);
    let mut changes = Vec::new();
    let edited = instruction(old, new);
    let mut covered = false;
    for difference in &differences {
        if is_files(difference.name) || difference.name == ROOT {
            continue;
        }
        if follows_from_words(difference.name) && edited.is_some() {
            covered = true;
            continue;
        }
        changes.push(setting(difference, old, new));
    }
    // Other words with the same meaning are no cause of anything.
    changes.extend(edited.filter(|_| covered || differences.iter().any(|one| is_files(one.name))));
    if differences.is_empty() {
        changes.push(same_parts(old, new));
    }
    changes
}

/// The same parts in another order, or made into a key in another way.
fn same_parts(old: Made<'_>, new: Made<'_>) -> Change {
    let text = if old.parts == new.parts {
        "its key was made by another version of kiln"
    } else {
        "the order of its variables or mounts changed"
    };
    Change { about: About::Setting, subject: "key".into(), before: None, after: None, text: text.into() }
}

/// Whether the part stands for selected files.
pub(crate) fn is_files(name: &str) -> bool {
    name == FILES || name.starts_with(BOUND)
}

/// The part that says how much memory the processes of a command can share: by the instruction's words or by `--shm-size`.
const SHARED_MEMORY: &str = "tmpfs /dev/shm";

/// Whether the part is made of the instruction's own words.
fn follows_from_words(name: &str) -> bool {
    const EXACT: [&str; 9] = [
        "command",
        "destination",
        "several sources",
        "with parent directories",
        "owner",
        "mode",
        "unpack",
        "directory",
        "directory mode",
    ];
    const BEGINNINGS: [&str; 9] = [
        "script ",
        "mode of ",
        "tmpfs ",
        "writing to ",
        "cache at ",
        "secret ",
        "SSH agent ",
        "file ",
        "device ",
    ];
    let is_known = EXACT.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning));
    is_known && name != SHARED_MEMORY
}

/// The change of the instruction's words, if they are known to be others.
fn instruction(old: Made<'_>, new: Made<'_>) -> Option<Change> {
    let (before, after) = (old.note(note::INSTRUCTION)?, new.note(note::INSTRUCTION)?);
    (before != after).then(|| Change {
        about: About::Instruction,
        subject: "instruction".to_owned(),
        before: Some(before.to_owned()),
        after: Some(after.to_owned()),
        text: format!("the instruction changed: {}", pair(before, after)),
    })
}

fn setting(difference: &Difference<'_>, old: Made<'_>, new: Made<'_>) -> Change {
    let Difference { name, before, after, .. } = *difference;
    let change = |about, subject: &str, text| Change {
        about,
        subject: subject.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
        text,
    };
    if let Some(variable) = name.strip_prefix("variable ") {
        let made = if after.is_some() { new } else { old };
        let kind = if made.is_argument(variable) { "ARG" } else { "ENV" };
        let subject = format!("{kind} {variable}");
        let text = told(&subject, before, after);
        return change(About::Variable, &subject, text);
    }
    if name == SHARED_MEMORY {
        let [old, new] = [before, after].map(|size| size.map(memory));
        let subject = "the size of /dev/shm";
        return change(About::Setting, subject, told(subject, old.as_deref(), new.as_deref()));
    }
    let subject = match name {
        "working directory" => "WORKDIR",
        "user" => "USER",
        "command" => "the command",
        "directory" => "the directory",
        "unpack" => "whether archives are unpacked",
        other => other,
    };
    let is_script = name.starts_with("script ") || name.starts_with("file ");
    let is_hidden =
        is_script || name == "command" || name == "several sources" || is_list(before) || is_list(after);
    let text = match (before, after) {
        (Some(_), Some(_)) if name == "several sources" => "the number of sources changed".to_owned(),
        (Some(_), Some(_)) if is_script => format!("{subject} changed"),
        (Some(old), Some(new)) if name == "command" => command(old, new),
        (Some(_), Some(_)) if is_hidden => format!("the options of {subject} changed"),
        (Some(old), Some(new)) if name == "user" => {
            let root = |user: &str| if user.is_empty() { "root".to_owned() } else { shown(user) };
            format!("{subject} {} -> {}", root(old), root(new))
        }
        (None, Some(_)) if is_hidden => format!("{subject} is new"),
        _ => told(subject, before, after),
    };
    change(About::Setting, subject, text)
}

fn told(subject: &str, before: Option<&str>, after: Option<&str>) -> String {
    match (before, after) {
        (Some(old), Some(new)) => format!("{subject} {}", pair(old, new)),
        (None, Some(new)) => format!("{subject} {} is new", shown(new)),
        _ => format!("{subject} is gone"),
    }
}

/// A number of bytes as docker writes it: `128m`.
fn memory(size: &str) -> String {
    let Ok(bytes) = size.parse::<u64>() else { return "the kernel's default".to_owned() };
    let units = [(30, "g"), (20, "m"), (10, "k")];
    let unit = units.into_iter().find(|(bits, _)| bytes > 0 && bytes.trailing_zeros() >= *bits);
    unit.map_or_else(|| bytes.to_string(), |(bits, unit)| format!("{}{unit}", bytes >> bits))
}

/// True for a value that is several values.
fn is_list(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.starts_with("[\""))
}

/// What differs between two commands whose instruction reads the same: the shell, or what could not be kept readable.
fn command(old: &str, new: &str) -> String {
    let words = |value: &str| serde_json::from_str::<Vec<String>>(value).ok();
    let (Some(old), Some(new)) = (words(old), words(new)) else {
        return "the text of the command changed".to_owned();
    };
    match (old.split_last(), new.split_last()) {
        (Some((a, shell)), Some((b, other))) if a == b && shell != other => {
            format!("SHELL {} -> {}", shown(&shell.join(" ")), shown(&other.join(" ")))
        }
        _ => format!("the command changed: {}", pair(&old.join(" "), &new.join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, value: &str) -> Part {
        Part { name: name.into(), value: value.into() }
    }

    fn texts(old: (&[Part], &[Part]), new: (&[Part], &[Part])) -> Vec<String> {
        let made = |(parts, notes)| Made { parts, notes };
        settings(made(old), made(new)).into_iter().map(|change| change.text).collect()
    }

    fn changed(old: &[Part], new: &[Part]) -> Vec<String> {
        texts((old, &[]), (new, &[]))
    }

    #[test]
    fn arguments_are_told_from_variables() {
        let notes = [part("arguments", "VERSION OTHER")];
        let with = |value: &str| [part("variable VERSION", value), part("variable MODE", value)];
        assert_eq!(
            texts((&with("1"), &notes), (&with("2"), &notes)),
            ["ARG VERSION 1 -> 2", "ENV MODE 1 -> 2"]
        );
        assert_eq!(
            texts((&with("1"), &notes), (&[], &[])),
            ["ARG VERSION is gone", "ENV MODE is gone"],
            "what is gone is told as it was"
        );
        assert_eq!(changed(&[], &[part("variable A", "")]), ["ENV A (empty) is new"]);
    }

    #[test]
    fn settings_have_the_names_of_their_instructions() {
        let one = |name: &str, old: &str, new: &str| changed(&[part(name, old)], &[part(name, new)]);
        assert_eq!(one("user", "", "nobody"), ["USER root -> nobody"]);
        assert_eq!(one("working directory", "/", "/src"), ["WORKDIR / -> /src"]);
        assert_eq!(one("network", "host", "none"), ["network host -> none"]);
        assert_eq!(one("platform", "linux/amd64", "linux/arm64"), ["platform linux/amd64 -> linux/arm64"]);
        assert_eq!(one("secret token", "[\"a\"]", "[\"b\"]"), ["the options of secret token changed"]);
        assert_eq!(changed(&[], &[part("secret token", "[\"a\"]")]), ["secret token is new"]);
        assert_eq!(changed(&[part("cache at /c", "[\"a\"]")], &[]), ["cache at /c is gone"]);
        assert_eq!(one("something new", "1", "2"), ["something new 1 -> 2"]);
    }

    #[test]
    fn limits_are_told_whatever_the_words_say() {
        let notes = |text: &str| [part("instruction", text)];
        let with = |open: &str, size: &str| [part("ulimit nofile", open), part("tmpfs /dev/shm", size)];
        let (less, more) = (with("1024:2048", "134217728"), with("1024:4096", "1000"));
        assert_eq!(
            changed(&less, &more),
            ["ulimit nofile 1024:2048 -> 1024:4096", "the size of /dev/shm 128m -> 1000"]
        );
        assert_eq!(
            texts((&[], &notes("RUN a")), (&less, &notes("RUN a"))),
            ["ulimit nofile 1024:2048 is new", "the size of /dev/shm 128m is new"]
        );
        assert_eq!(
            texts((&less, &notes("RUN a")), (&[part("command", "b")], &notes("RUN b"))),
            [
                "ulimit nofile is gone",
                "the size of /dev/shm is gone",
                "the instruction changed: RUN a -> RUN b"
            ]
        );
        assert_eq!(
            ["", "1073741824", "3221225472", "1024", "0"].map(memory),
            ["the kernel's default", "1g", "3g", "1k", "0"]
        );
    }

    #[test]
    fn an_edited_instruction_covers_what_follows_from_its_words() {
        let command =
            |text: &str| [part("command", &format!("[\"/bin/sh\",\"-c\",\"{text}\"]")), part("user", "")];
        let note = |text: &str| [part("instruction", text)];
        assert_eq!(
            texts((&command("make"), &note("RUN make")), (&command("make all"), &note("RUN make all"))),
            ["the instruction changed: RUN make -> RUN make all"]
        );
        assert_eq!(
            texts((&command("make"), &note("RUN make")), (&command("make all"), &note("RUN make"))),
            ["the command changed: /bin/sh -c make -> /bin/sh -c make all"]
        );
        let shell = [part("command", "[\"/bin/ash\",\"-c\",\"make\"]"), part("user", "")];
        assert_eq!(
            texts((&command("make"), &note("RUN make")), (&shell, &note("RUN make"))),
            ["SHELL /bin/sh -c -> /bin/ash -c"]
        );
        // The words changed and nothing that they mean: that is not why.
        let user = [command("make")[0].clone(), part("user", "nobody")];
        assert_eq!(
            texts((&command("make"), &note("RUN  make")), (&user, &note("RUN make"))),
            ["USER root -> nobody"]
        );
    }

    #[test]
    fn another_order_is_not_taken_for_something_else() {
        let (a, b) = (part("variable A", "1"), part("variable B", "2"));
        assert_eq!(
            changed(&[a.clone(), b.clone()], &[b.clone(), a.clone()]),
            ["the order of its variables or mounts changed"]
        );
        assert_eq!(
            changed(std::slice::from_ref(&a), std::slice::from_ref(&a)),
            ["its key was made by another version of kiln"]
        );
    }

    #[test]
    fn parts_of_one_name_are_compared_in_order() {
        let old = [part("destination", "/a"), part("destination", "/b")];
        let new = [part("destination", "/a"), part("destination", "/c")];
        let found = differences(&old, &new);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].nth, found[0].after), (1, Some("/c")));
    }
}

//! Archives that ADD is given and that try to reach outside of the destination's root: everything lands beneath it, or
//! the step is refused. What went wrong in other unpackers is named at each.

use super::*;

/// A member: its name and link target as the bytes that the header holds.
struct Member<'a>(tar::EntryType, &'a [u8], &'a [u8]);

/// An archive with names that no well-meant writer would write.
fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Member(kind, name, target) in members {
        let content: &[u8] = if *kind == tar::EntryType::Regular { b"evil" } else { b"" };
        let mut header = tar::Header::new_ustar();
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name);
        raw.linkname[..target.len()].copy_from_slice(target);
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn add(bench: &Bench, destination: &str, members: &[Member<'_>]) -> Result<LayerInfo, FileError> {
    fs::write(bench.context.join("archive.tar"), archive(members)).unwrap();
    let mut action = copy(&["archive.tar"], destination);
    action.unpack = true;
    bench.try_execute(vec![FileAction::Copy(action)], &[])
}

/// The files of the new layer, if there is one. Whatever happens, nothing beside it changes.
fn added(destination: &str, members: &[Member<'_>]) -> Option<BTreeMap<String, String>> {
    let bench = Bench::new();
    let outside = bench.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), "untouched").unwrap();
    let result = add(&bench, destination, members);
    let left: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["victim"]);
    assert_eq!(fs::read_to_string(outside.join("victim")).unwrap(), "untouched");
    for name in ["evil", "x"] {
        assert!(!bench.dir.path().join(name).exists() && !bench.context.join(name).exists(), "{name}");
    }
    let info = result.ok()?;
    let tree = bench.store.layers().tree(&info.diff_id).unwrap().unwrap();
    let mut found = BTreeMap::new();
    describe(&View::new(&[tree]).unwrap(), Path::new("/"), &mut found);
    Some(found)
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const LINK: tar::EntryType = tar::EntryType::Symlink;
const HARD: tar::EntryType = tar::EntryType::Link;
const DIRECTORY: tar::EntryType = tar::EntryType::Directory;

/// The plainest: RUSTSEC-2018-0002 and its like.
#[test]
fn names_with_dots_and_slashes_stay_beneath_the_root() {
    for name in [&b"../../../../../evil"[..], b"/evil", b"//evil", b"a/../../../evil", b"..", b"/", b"./.."] {
        let found = added("/data/", &[Member(FILE, name, b"")]);
        if name.starts_with(b"..") {
            assert_eq!(found, None, "{}", name.escape_ascii());
        }
        assert!(found.unwrap_or_default().keys().all(|path| !path.contains("..")), "{}", name.escape_ascii());
    }
}

/// RUSTSEC-2021-0080: a link, and then something below it.
#[test]
fn links_in_an_archive_are_followed_beneath_the_root() {
    let bench = Bench::new();
    let outside = bench.dir.path().join("outside");
    let target = outside.to_str().unwrap().as_bytes();
    for target in [target, b"../../../../../../outside", b"/proc/self/cwd", b"/"] {
        let members = [
            Member(LINK, b"link", target),
            Member(FILE, b"link/evil", b""),
            Member(DIRECTORY, b"link/made", b""),
            Member(LINK, b"link/again", b".."),
            Member(FILE, b"link/again/evil", b""),
        ];
        added("/data/", &members);
    }
}

/// GHSA-hfg8-hc9c-6c3h and the directory entries of RUSTSEC-2026-0067: what is named last is never followed.
#[test]
fn a_name_that_is_a_link_is_replaced() {
    let members = [
        Member(LINK, b"victim", b"/etc/passwd"),
        Member(FILE, b"victim", b""),
        Member(LINK, b"again", b"/etc"),
        Member(DIRECTORY, b"again", b""),
    ];
    let found = added("/data/", &members).unwrap();
    assert_eq!(found["data/victim"], "4755 0:0 evil");
    assert_eq!(found["data/again"], "4755 0:0/");
    assert!(!found.contains_key("etc/passwd") && !found.contains_key("etc"), "{found:?}");
    let members = [Member(FILE, b"lib", b""), Member(DIRECTORY, b"lib", b"")];
    let found = added("/", &members).unwrap();
    assert!(!found.contains_key("usr/lib"), "the base's own link is not followed either: {found:?}");
}

/// In the base, `data` is a directory with the file `old`.
#[test]
fn a_directory_that_was_something_else_in_between_is_empty() {
    let bench = Bench::new();
    let members = [
        Member(FILE, b"data", b""),
        Member(tar::EntryType::Directory, b"data", b""),
        Member(FILE, b"data/new", b""),
    ];
    let info = add(&bench, "/", &members).unwrap();
    let tree = bench.store.layers().tree(&info.diff_id).unwrap().unwrap();
    let mut found = BTreeMap::new();
    describe(&View::new(&[bench.base[0].clone(), tree]).unwrap(), Path::new("/data"), &mut found);
    expect(&found, &[("data/new", "4755 0:0 evil")]);
}

#[test]
fn hard_links_reach_nothing_that_the_archive_does_not_hold() {
    for target in [&b"/etc/passwd"[..], b"../../../../etc/passwd", b"../etc/passwd", b"nowhere", b""] {
        for members in [
            &[Member(HARD, b"link", target)][..],
            &[Member(FILE, b"one", b""), Member(HARD, b"link", target)],
        ] {
            assert_eq!(added("/data/", members), None, "{}", target.escape_ascii());
        }
    }
    let inside = [Member(FILE, b"one", b""), Member(HARD, b"two", b"/one")];
    assert_eq!(added("/data/", &inside).unwrap()["data/two"], "4755 0:0 evil");
}

/// A destination that leads out by links of the base.
#[test]
fn a_destination_is_followed_beneath_the_root() {
    let bench = Bench::new();
    let evil = [Member(FILE, b"evil", b"")];
    let info = add(&bench, "/lib/../../../..//data/", &evil).unwrap();
    let tree = bench.store.layers().tree(&info.diff_id).unwrap().unwrap();
    assert!(tree.join("data/evil").is_file() || tree.join("usr/data/evil").is_file());
}

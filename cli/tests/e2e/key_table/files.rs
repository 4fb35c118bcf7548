//! The rows of COPY, ADD and WORKDIR, and of what is in no key.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;

use super::{Trial, set_time};
use crate::support::tool::tool_ok;
use crate::web::{Page, WebServer};

#[test]
fn a_copy_counts_what_it_lies_on_unless_it_is_linked() {
    let text = |before: &str, flags: &str| format!("{before}\nCOPY {flags} f /d/f");
    let mut trial = Trial::new(&text("RUN echo 1 > /x", ""), &[("f", "1")]);
    trial.text(&text("RUN echo 2 > /x", "")).misses(&["RUN", "COPY"], "another root");
    trial.text(&text("RUN ln -s tmp /d", "")).misses(&["RUN", "COPY"], "a link at the destination");
    assert!(trial.tree().contains_key("tmp/f"));

    let mut trial = Trial::new(&text("RUN echo 1 > /x", "--link --chown=5"), &[("f", "1")]);
    trial.text(&text("RUN echo 2 > /x", "--link --chown=5")).misses(&["RUN"], "linked");
    trial.text(&text("RUN echo 2 > /x", "--link --chown=6")).misses(&["COPY"], "an owner");
    // A name is what the root says it is.
    let user = |id: &str| format!("RUN echo me:x:{id}:{id}::/: >> /etc/passwd");
    trial.text(&text(&user("70"), "--link --chown=me")).misses(&["RUN", "COPY"], "a name");
    trial
        .text(&text(&format!("{} && echo > /x", user("70")), "--link --chown=me"))
        .misses(&["RUN"], "the same number");
    trial.text(&text(&user("71"), "--link --chown=me")).misses(&["RUN", "COPY"], "another number");
}

#[test]
fn sources_count_by_what_they_are() {
    let trial = Trial::new("COPY d /d", &[("d/a", "1"), ("d/b", "2"), ("d/s/c", "3")]);
    trial.write("d/a", "9").misses(&["COPY"], "content of the same length");
    fs::rename(trial.path("d/a"), trial.path("d/z")).unwrap();
    trial.misses(&["COPY"], "a name");
    fs::set_permissions(trial.path("d/b"), fs::Permissions::from_mode(0o640)).unwrap();
    trial.misses(&["COPY"], "a mode");
    fs::set_permissions(trial.path("d/s"), fs::Permissions::from_mode(0o750)).unwrap();
    trial.misses(&["COPY"], "a directory's mode");
    symlink("b", trial.path("d/l")).unwrap();
    trial.misses(&["COPY"], "a link");
    fs::remove_file(trial.path("d/l")).unwrap();
    symlink("z", trial.path("d/l")).unwrap();
    trial.misses(&["COPY"], "where it leads");
    fs::create_dir(trial.path("d/empty")).unwrap();
    trial.misses(&["COPY"], "an empty directory");
    fs::remove_dir(trial.path("d/empty")).unwrap();
    fs::write(trial.path("d/empty"), "").unwrap();
    trial.misses(&["COPY"], "an empty file in its place");
    fs::rename(trial.path("d"), trial.path("e")).unwrap();
    fs::create_dir(trial.path("d")).unwrap();
    trial.misses(&["COPY"], "all files gone");
    fs::remove_dir(trial.path("d")).unwrap();
    fs::rename(trial.path("e"), trial.path("d")).unwrap();
    trial.hits("all files there again");
    // The order in which sources are given decides which of two files wins.
    let mut trial = Trial::new("COPY d/f e/f /d/", &[("d/f", "1"), ("e/f", "2")]);
    trial.text("COPY e/f d/f /d/").misses(&["COPY"], "another order");
    trial.text("COPY nothing* d/f /d/").misses(&["COPY"], "one file");
    trial.text("COPY d/f none* /d/").hits("patterns that match nothing");
}

#[test]
fn odd_files_are_told_apart() {
    let trial = Trial::new("COPY d /d", &[("d/a\nb", "1"), ("d/ab", "1")]);
    fs::rename(trial.path("d/a\nb"), trial.path("d/a")).unwrap();
    trial.misses(&["COPY"], "a name with a newline");
    tool_ok("mkfifo", [trial.path("d/p")]);
    trial.misses(&["COPY"], "a pipe");
    for (kind, major, minor) in [("c", "1", "3"), ("c", "1", "5"), ("c", "4", "3"), ("b", "4", "3")] {
        fs::remove_file(trial.path("d/p")).unwrap();
        tool_ok("mknod", [trial.path("d/p").as_os_str(), kind.as_ref(), major.as_ref(), minor.as_ref()]);
        trial.misses(&["COPY"], "a device");
    }
    // Two files of the same content, one of them with holes.
    let size = 1 << 20;
    fs::write(trial.path("d/zeros"), vec![0; size]).unwrap();
    trial.misses(&["COPY"], "zeros");
    fs::File::create(trial.path("d/zeros")).unwrap().set_len(size as u64).unwrap();
    trial.hits("holes are zeros");
}

#[test]
fn attributes_count() {
    let trial = Trial::new("COPY f d /d/", &[("f", "1"), ("d/g", "1")]);
    set_attribute(&trial.path("f"), "user.a", b"1");
    trial.misses(&["COPY"], "a new one");
    assert!(trial.tree()["d/f"].contains("user.a"), "{:?}", trial.tree()["d/f"]);
    set_attribute(&trial.path("f"), "user.a", b"2");
    trial.misses(&["COPY"], "another value");
    set_attribute(&trial.path("d/g"), "user.a", b"2");
    trial.misses(&["COPY"], "in a directory");
    // What programs may do: the kernel's own form, version 2, of cap_net_raw.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    set_attribute(&trial.path("f"), "security.capability", &capability);
    trial.misses(&["COPY"], "a capability");
    rustix::fs::removexattr(trial.path("f"), "user.a").unwrap();
    trial.misses(&["COPY"], "one less");
    set_attribute(&trial.path("f"), "user.overlay.origin", b"x");
    trial.hits("what is no layer's");
}

#[test]
fn hard_links_count_within_a_source() {
    let trial = Trial::new("COPY d /d/", &[("d/a", "1"), ("d/b", "1"), ("e/a", "1")]);
    fs::hard_link(trial.path("e/a"), trial.path("e/b")).unwrap();
    trial.hits("elsewhere");
    fs::remove_file(trial.path("d/b")).unwrap();
    fs::hard_link(trial.path("d/a"), trial.path("d/b")).unwrap();
    trial.misses(&["COPY"], "one file with two names");
    let trial = Trial::new("COPY d/a e/b /d/", &[("d/a", "1"), ("e/b", "1")]);
    fs::remove_file(trial.path("e/b")).unwrap();
    fs::hard_link(trial.path("d/a"), trial.path("e/b")).unwrap();
    trial.hits("across sources links are not kept");
}

#[test]
fn owners_count_where_there_are_any() {
    let trial = Trial::new("COPY f /f", &[("f", "1")]);
    lchown(trial.path("f"), Some(5), Some(6)).unwrap();
    trial.hits("the owner in a context");
    let stages = |owner: &str, flags: &str| {
        format!("FROM BASE AS s\nRUN echo > /f && chown {owner} /f\nFROM BASE\nCOPY {flags} --from=s /f /f")
    };
    let mut trial = Trial::new(&stages("5", ""), &[]);
    trial.text(&stages("6", "")).misses(&["RUN", "COPY"], "the owner in a stage");
    trial.text(&stages("6", "--chown=0")).misses(&["COPY"], "an owner in place of the source's");
}

#[test]
fn times_and_inodes_do_not_count() {
    let trial = Trial::new("COPY d /d", &[("d/f", "1"), ("d/g", "1")]);
    set_time(&trial.path("d/f"), 1_000_000);
    trial.hits("a time");
    set_time(&trial.path("d"), 1_000_000);
    trial.hits("a directory's time");
    fs::copy(trial.path("d/f"), trial.path("copy")).unwrap();
    fs::rename(trial.path("copy"), trial.path("d/f")).unwrap();
    trial.hits("another inode");
    // What a stat index must not be taken in by: size and time as they were, right after a build.
    for round in 2..10 {
        let time = fs::metadata(trial.path("d/f")).unwrap().modified().unwrap();
        trial.write("d/f", &round.to_string());
        fs::File::options().append(true).open(trial.path("d/f")).unwrap().set_modified(time).unwrap();
        trial.misses(&["COPY"], "content behind an old time");
    }
    for round in 2..10 {
        // A new file with the time and size of the old one, which may get its inode, too.
        let time = fs::metadata(trial.path("d/g")).unwrap().modified().unwrap();
        fs::remove_file(trial.path("d/g")).unwrap();
        trial.write("d/g", &round.to_string());
        fs::File::options().append(true).open(trial.path("d/g")).unwrap().set_modified(time).unwrap();
        trial.misses(&["COPY"], "another file behind an old time");
    }
}

#[test]
fn what_is_not_copied_does_not_count() {
    let trial = Trial::new("COPY . /d", &[("f", "1")]);
    let socket = std::os::unix::net::UnixListener::bind(trial.path("socket")).unwrap();
    trial.hits("a socket");
    drop(socket);
    fs::set_permissions(&trial.context, fs::Permissions::from_mode(0o700)).unwrap();
    trial.hits("the mode of the context's directory");
    let mut trial = Trial::new("COPY --parents ./d/./f /d/", &[("d/f", "1"), ("d/s/f", "1")]);
    fs::set_permissions(trial.path("d"), fs::Permissions::from_mode(0o700)).unwrap();
    trial.hits("a directory that only leads to what is copied");
    trial.text("COPY --parents d/f /d/").misses(&["COPY"], "a directory that comes along");
    fs::set_permissions(trial.path("d"), fs::Permissions::from_mode(0o755)).unwrap();
    trial.misses(&["COPY"], "its mode");
}

#[test]
fn only_what_is_taken_counts() {
    let files = [("d/a", "1"), ("d/b", "1"), ("other", "1"), (".dockerignore", "*.log\n")];
    let mut trial = Trial::new("COPY d /d", &files);
    trial.write(".dockerignore", "**/*.log\n").write("other", "2").write("d/x.log", "2");
    trial.hits("files that are not taken");
    trial.write(".dockerignore", "# comment\n**/*.log\nother\n").hits("rules that leave the same files");
    trial.write(".dockerignore", "**/*.log\nd/a\n").misses(&["COPY"], "a rule that takes a file away");
    trial.text("COPY --exclude=*.txt d /d").hits("a pattern that leaves the same files");
    trial.text("COPY --exclude=b d /d").misses(&["COPY"], "a pattern that takes a file away");
    trial.write("d/b", "2").hits("a file that is taken away");
}

#[test]
fn where_files_go_and_what_becomes_of_them_counts() {
    let mut trial = Trial::new("COPY f /d", &[("f", "1"), ("dir/f", "1")]);
    trial.text("ENV D=/d\nCOPY f $D").hits("the same destination");
    for (text, why) in [
        ("COPY f /d/", "a directory"),
        ("COPY f /e", "another name"),
        ("COPY --chmod=600 f /d", "a mode"),
        ("COPY --chmod=u+x f /d", "a change of the mode"),
        ("COPY --chown=0 f /d", "an owner"),
        ("COPY --chown=1 f /d", "another owner"),
        ("COPY --chown=1:0 f /d", "a group"),
        ("COPY --parents dir/f /d", "with its directory"),
        ("COPY dir /d", "a directory's contents"),
        ("COPY --link f /d", "on nothing"),
        ("ADD f /d", "archives are unpacked"),
    ] {
        trial.text(text).misses(&[&text[..3]], why);
    }
    trial.text("COPY --link=false f /d").hits("the default");
    trial.text("ADD --unpack=false f /d").hits("as COPY does");
}

#[test]
fn where_files_were_does_not_count() {
    let mut trial = Trial::new("COPY a/f /d/", &[("a/f", "1"), ("b/c/f", "1"), ("b/c/g", "1")]);
    trial.text("COPY b/c/f /d/").hits("the same name in another directory");
    trial.text("COPY b/c/g /d/").misses(&["COPY"], "another name");
}

#[test]
fn a_download_counts_by_its_body() {
    let server = WebServer::start();
    let page = |text: &str, date: &str| Page::new(text).header("Last-Modified", date);
    let [early, late, last] = [1, 2, 3].map(|day| format!("Mon, {day:02} Jan 2024 00:00:00 GMT"));
    for path in ["/f", "/moved/f", "/g"] {
        server.serve(path, [page("1", &early)]);
    }
    let mut trial = Trial::new(&format!("ADD {} /d/", server.url("/f")), &[]);
    server.serve("/f", [page("1", &late)]);
    trial.hits("a later date of the same body");
    trial.text(&format!("ADD {} /d/", server.url("/moved/f"))).hits("another address");
    trial.text(&format!("ADD {} /d/", server.url("/g"))).misses(&["ADD"], "another name");
    trial.text(&format!("ADD {} /d/", server.url("/f")));
    server.serve("/f", [page("2", &last)]);
    trial.misses(&["ADD"], "another body");
}

#[test]
fn a_directory_counts_by_its_path() {
    let mut trial = Trial::new("WORKDIR /a/b", &[]);
    trial.text("WORKDIR /a/./b/").hits("the same path");
    trial.text("ENV X=1\nLABEL a=b\nWORKDIR /a/b").hits("what is no file");
    trial.text("WORKDIR /a/c").misses(&["WORKDIR"], "another path");
    trial.text("RUN echo > /x\nWORKDIR /a/c").misses(&["RUN", "WORKDIR"], "another root");
}

#[test]
fn what_only_describes_does_not_count() {
    let steps = |before: &str| format!("FROM BASE AS s\n{before}\nCOPY f /f\nRUN echo 1 > /a");
    let mut trial = Trial::new(&steps(""), &[("f", "1")]);
    for text in [
        "LABEL a=b",
        "EXPOSE 80",
        "CMD [\"x\"]",
        "HEALTHCHECK CMD x",
        "ONBUILD RUN x",
        "VOLUME /v",
        "STOPSIGNAL 9",
    ] {
        trial.text(&steps(text)).hits(text);
    }
    trial.args(&["--label", "b=c"]).hits("a label of the command line");
    trial.args(&[]).text(&steps("").replace("AS s", "AS another")).hits("a stage's name");
    trial.text(&steps("ENV X=1")).misses(&["RUN"], "a variable: not for the COPY");
}

#[test]
fn the_date_counts_where_it_is_declared() {
    let mut trial = Trial::new("COPY f /f\nRUN echo > /a", &[("f", "1")]);
    trial.args(&["--build-arg", "SOURCE_DATE_EPOCH=5"]).hits("a date that nobody declared");
    let mut trial = Trial::new("ARG SOURCE_DATE_EPOCH\nCOPY f /f\nRUN echo > /a", &[("f", "1")]);
    trial.args(&["--build-arg", "SOURCE_DATE_EPOCH=5"]).misses(&["RUN"], "as any argument");
    trial.args(&["--build-arg", "SOURCE_DATE_EPOCH=6"]).misses(&["RUN"], "another one");
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

//! Kiln in the zoo: the Dockerfiles of `testdata/zoo`, each built in a context that has everything a file system can hold.
//!
//! - `built/` gives the image that docker builds;
//! - `refused/` is refused by both, each in its words;
//! - `newer/` uses what is newer than any builder of the machine: what has to come out stands beside each, in `NAME.golden`
//!   (`KILN_BLESS=1` writes it anew; compare such a change with the newest `BuildKit` by hand).
//!
//! Comments at the top of a Dockerfile say what is special about it; see [`Case`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::compare::{FIELDS, compare, names};
use crate::support::environment::TestEnvironment;
use crate::support::image::{Image, differences};
use crate::support::peer::{Docker, Peer};
use crate::support::registry::base_images;
use crate::support::tool::{Outcome, run};
use crate::support::{scratch_dir, workspace, zoo};

/// A Dockerfile of the zoo, with what its first comments say.
struct Case {
    name: String,
    file: PathBuf,
    /// `# arguments: …`: what the build is given, besides the registry; `ZOO` stands for the context.
    arguments: Vec<String>,
    /// `# docker differs: WHAT: WHY`: a difference that is understood and meant to stay; WHAT as in [`names`].
    known: Vec<(String, String)>,
    /// `# kiln says: …`: what kiln's message has in it.
    kiln_says: Vec<String>,
    /// `# docker says: …`: likewise.
    docker_says: Vec<String>,
    /// `# docker builds it: WHY`: why kiln refuses what docker builds.
    docker_builds: bool,
}

impl Case {
    /// The cases of a directory of `testdata/zoo`.
    fn all(directory: &str) -> Vec<Case> {
        let directory = workspace().join("testdata/zoo").join(directory);
        let entries = fs::read_dir(&directory).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "Dockerfile"));
        files.sort();
        files.into_iter().map(Case::read).collect()
    }

    fn read(file: PathBuf) -> Case {
        let text = fs::read_to_string(&file).unwrap();
        let said = |what: &str| -> Vec<String> {
            let comments = text.lines().take_while(|line| line.starts_with('#'));
            let found = comments.filter_map(|line| line.strip_prefix("# ")?.strip_prefix(what));
            found.map(str::to_owned).collect()
        };
        let known = said("docker differs: ").into_iter().map(|line| {
            let (what, why) = line.split_once(": ").unwrap_or_else(|| panic!("{}: {line}", file.display()));
            (what.to_owned(), why.to_owned())
        });
        Case {
            known: known.collect(),
            arguments: said("arguments: ")
                .iter()
                .flat_map(|line| line.split(' ').map(str::to_owned))
                .collect(),
            kiln_says: said("kiln says: "),
            docker_says: said("docker says: "),
            docker_builds: !said("docker builds it: ").is_empty(),
            name: file.file_stem().unwrap().to_str().unwrap().to_owned(),
            file,
        }
    }

    /// The build's arguments: file, registry, and its own.
    fn arguments(&self, registry: &str, zoo: &Path) -> Vec<String> {
        let file = self.file.to_str().unwrap().to_owned();
        let mut all = vec!["-f".to_owned(), file, "--build-arg".to_owned(), format!("REGISTRY={registry}")];
        all.extend(self.arguments.iter().map(|argument| argument.replace("ZOO", zoo.to_str().unwrap())));
        all
    }

    fn build_with_kiln(&self, env: &TestEnvironment, zoo: &Path) -> Outcome {
        let mut command = env.kiln(["build", "--progress=plain", "-t", &self.name]);
        run(command.args(self.arguments(env.registry.host(), zoo)).arg(zoo))
    }

    fn build_with(&self, peer: &dyn Peer, env: &TestEnvironment, zoo: &Path) -> Outcome {
        let arguments = self.arguments(env.registry.host(), zoo);
        peer.build(zoo, &self.name, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// An empty store, and the zoo.
fn zoo_environment() -> (TestEnvironment, PathBuf) {
    let env = TestEnvironment::new();
    let zoo = env.path("zoo");
    zoo::make(&zoo);
    (env, zoo)
}

/// Does something with each case, a few at a time.
fn each<T: Send>(cases: &[Case], work: impl Fn(&Case) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((number, case)) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    cases.get(number).map(|case| (number, case))
                } {
                    let result = work(case);
                    done.lock().unwrap().insert(number, result);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

/// Builds all, and reads what came of it; what failed is in the report.
fn images_of_kiln(
    cases: &[Case],
    env: &TestEnvironment,
    zoo: &Path,
    report: &mut String,
) -> BTreeMap<String, Image> {
    let outcomes = each(cases, |case| case.build_with_kiln(env, zoo));
    let archive = env.path("images.tar");
    let mut save = env.kiln(["save", "-o"]);
    save.arg(&archive);
    for (case, outcome) in cases.iter().zip(outcomes) {
        if outcome.status.success() {
            save.arg(&case.name);
        } else {
            writeln!(report, "{}: kiln failed\n{outcome}", case.name).unwrap();
        }
    }
    run(&mut save).ok();
    Image::all_of(&archive)
}

fn images_of_docker(
    cases: &[Case],
    env: &TestEnvironment,
    zoo: &Path,
    report: &mut String,
) -> BTreeMap<String, Image> {
    let dir = scratch_dir("docker-");
    let docker = Docker::start(dir.path());
    let outcomes = each(cases, |case| case.build_with(&docker, env, zoo));
    let archive = env.path("peer-images.tar");
    let mut save = docker.docker();
    save.arg("save").arg("-o").arg(&archive);
    for (case, outcome) in cases.iter().zip(outcomes) {
        if outcome.status.success() {
            save.arg(&case.name);
        } else {
            writeln!(report, "{}: docker failed\n{outcome}", case.name).unwrap();
        }
    }
    run(&mut save).ok();
    Image::all_of(&archive)
}

#[test]
fn built_like_docker() {
    let (env, zoo) = zoo_environment();
    let cases = Case::all("built");
    let mut report = String::new();
    let theirs = images_of_docker(&cases, &env, &zoo, &mut report);
    let ours = images_of_kiln(&cases, &env, &zoo, &mut report);
    for case in &cases {
        let (Some(ours), Some(theirs)) = (ours.get(&case.name), theirs.get(&case.name)) else { continue };
        let mut used = BTreeSet::new();
        for (what, text) in compare(ours, theirs) {
            match case.known.iter().position(|(pattern, _)| names(pattern, &what)) {
                Some(number) => _ = used.insert(number),
                None => writeln!(report, "{}: {what}{text}", case.name).unwrap(),
            }
        }
        for (number, (what, why)) in case.known.iter().enumerate() {
            if !used.contains(&number) {
                writeln!(report, "{}: {what} is no difference any more ({why})", case.name).unwrap();
            }
        }
    }
    assert!(report.is_empty(), "kiln and docker differ:\n{report}");
}

#[test]
fn refused_like_docker() {
    let (env, zoo) = zoo_environment();
    let dir = scratch_dir("docker-");
    let docker = Docker::start(dir.path());
    let cases = Case::all("refused");
    let reports = each(&cases, |case| {
        let ours = refusal(case, "kiln", &case.kiln_says, &case.build_with_kiln(&env, &zoo));
        let outcome = case.build_with(&docker, &env, &zoo);
        let theirs = match (case.docker_builds, outcome.status.success()) {
            (false, _) => refusal(case, "docker", &case.docker_says, &outcome),
            (true, true) => String::new(),
            (true, false) => format!("{}: docker does not build it any more\n{outcome}\n", case.name),
        };
        ours + &theirs
    });
    assert!(reports.concat().is_empty(), "{}", reports.concat());
}

/// What is wrong with a refusal: nothing, if it says what it should.
fn refusal(case: &Case, name: &str, says: &[String], outcome: &Outcome) -> String {
    assert!(!says.is_empty(), "{}: what {name} says is missing", case.name);
    let text = format!("{}{}", outcome.stdout, outcome.stderr);
    let failed = outcome.status.code().is_some_and(|code| code != 0);
    if failed && !text.contains("panicked at") && says.iter().all(|words| text.contains(words)) {
        return String::new();
    }
    format!("{}: {name} should refuse it with {says:?}\n{outcome}\n", case.name)
}

#[test]
fn newer_than_docker() {
    let (env, zoo) = zoo_environment();
    let cases = Case::all("newer");
    let mut report = String::new();
    let base = Image::read(&format!("oci:{}:latest", base_images().join("busybox").display()));
    for (name, image) in images_of_kiln(&cases, &env, &zoo, &mut report) {
        let golden = workspace().join("testdata/zoo/newer").join(format!("{name}.golden"));
        let text = describe(&image, &base);
        if std::env::var_os("KILN_BLESS").is_some() {
            fs::write(&golden, &text).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if text != expected {
            writeln!(report, "{name}: expected\n{expected}\n{name}: found\n{text}").unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
}

/// What an image has beyond the base, and what its configuration says.
fn describe(image: &Image, base: &Image) -> String {
    let nothing = BTreeMap::new();
    let on_base = image.tree.get("bin/busybox") == base.tree.get("bin/busybox");
    let mut text = String::new();
    for (path, (_, ours)) in differences(if on_base { &base.tree } else { &nothing }, &image.tree) {
        writeln!(text, "{path}: {ours}").unwrap();
    }
    for field in FIELDS {
        let (ours, theirs) = (image.field(field), base.field(field));
        if ours != theirs {
            writeln!(text, "config.{field}: {ours}").unwrap();
        }
    }
    writeln!(text, "layers: {:?}", image.history()).unwrap();
    text
}

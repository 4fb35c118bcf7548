//! Tests of the command line: docker's spellings and what is said about wrong ones.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn parse_words(words: &[&str]) -> Result<Cli, Stop> {
    let args: Vec<OsString> = std::iter::once(&"kiln").chain(words).map(OsString::from).collect();
    parse(&args)
}

fn build(words: &[&str]) -> BuildFlags {
    match parse_words(words).unwrap().command {
        Command::Build(flags) => flags,
        other => panic!("{other:?}"),
    }
}

fn run(words: &[&str]) -> RunFlags {
    match parse_words(words).unwrap().command {
        Command::Run(flags) => flags,
        other => panic!("{other:?}"),
    }
}

fn usage(words: &[&str]) -> (String, Option<String>, bool) {
    match parse_words(words) {
        Err(Stop::Usage { message, hint, run }) => (message, hint, run),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_tree_is_consistent() {
    boolean::with_go_booleans(Cli::command()).debug_assert();
}

#[test]
fn build_takes_dockers_spellings() {
    let flags = build(&[
        "build",
        "-t",
        "a:1",
        "--tag=b",
        "-f",
        "D",
        "--target",
        "t",
        "--build-arg",
        "A=1",
        "--build-arg=B",
        "--label",
        "k=v",
        "--no-cache",
        "--pull=true",
        "--network=none",
        "--platform",
        "linux/arm64",
        "--progress=plain",
        "--iidfile",
        "id",
        "-q",
        "-o",
        "type=oci,dest=x",
        "--push",
        "--rm",
        "--force-rm=true",
        "--compress=false",
        ".",
    ]);
    assert_eq!(flags.tags, ["a:1", "b"]);
    assert_eq!(flags.build_args, ["A=1", "B"]);
    assert_eq!(flags.progress, Some(build::ProgressKind::Plain));
    assert!(flags.no_cache && flags.pull && flags.quiet && flags.push && flags.rm && flags.force_rm);
    assert!(!flags.compress && !flags.load);
    let place = output::Place::Archive(output::Destination::File("x".into()));
    assert_eq!(flags.outputs.iter().map(|output| &output.place).collect::<Vec<_>>(), [&place]);
    assert_eq!(flags.context, PathBuf::from("."));
}

#[test]
fn a_repeated_flag_counts_once_the_last_one() {
    let flags =
        build(&["build", "--progress=plain", "--progress=quiet", "--no-cache", "--no-cache=false", "."]);
    assert_eq!(flags.progress, Some(build::ProgressKind::Quiet));
    assert!(!flags.no_cache);
}

#[test]
fn options_may_follow_the_context() {
    assert_eq!(build(&["build", ".", "-t", "x"]).tags, ["x"]);
    assert_eq!(build(&["build", "-", "-t", "x"]).context, PathBuf::from("-"));
}

#[test]
fn groups_are_other_spellings() {
    assert_eq!(build(&["buildx", "build", "-t", "x", "."]).tags, ["x"]);
    assert_eq!(build(&["image", "build", "."]).context, PathBuf::from("."));
    assert!(matches!(parse_words(&["image", "ls", "-q"]).unwrap().command, Command::Images(f) if f.quiet));
    assert!(matches!(parse_words(&["image", "rm", "x"]).unwrap().command, Command::Rmi(_)));
    assert!(
        matches!(parse_words(&["system", "prune", "-af"]).unwrap().command, Command::Prune(f) if f.all && f.force)
    );
    assert!(matches!(parse_words(&["container", "run", "x"]).unwrap().command, Command::Run(_)));
    assert!(
        matches!(parse_words(&["buildx", "du", "--verbose"]).unwrap().command, Command::Du(f) if f.verbose)
    );
    assert!(matches!(parse_words(&["system", "df"]).unwrap().command, Command::System(SystemCommand::Df(_))));
    let pruned =
        parse_words(&["builder", "prune", "-f", "--filter", "until=24h", "--keep-storage", "10GB"]).unwrap();
    assert_eq!(pruned.global.keep_storage.as_deref(), Some("10GB"));
    assert!(matches!(pruned.command, Command::Prune(f) if f.force && f.filter == ["until=24h"]));
    assert!(parse_words(&["cache", "rm"]).is_err() && parse_words(&["cache", "rm", "--all"]).is_ok());
}

#[test]
fn run_leaves_everything_after_the_image_to_the_command() {
    let flags = run(&[
        "run", "--rm", "-it", "-eA=b", "-e", "C", "-v", "/a:/b:ro", "img", "sh", "-c", "x", "--rm=7", "-q",
    ]);
    assert!(flags.rm && flags.interactive && flags.tty && !flags.quiet);
    assert_eq!(flags.env, ["A=b", "C"]);
    assert_eq!(flags.volumes, ["/a:/b:ro"]);
    assert_eq!(flags.image_and_command, ["img", "sh", "-c", "x", "--rm=7", "-q"]);
    assert_eq!(run(&["run", "img", "--help"]).image_and_command, ["img", "--help"]);
    assert_eq!(run(&["run", "img", "--", "x"]).image_and_command, ["img", "--", "x"]);
}

#[test]
fn run_options_before_the_image_are_kilns() {
    let flags = run(&[
        "run",
        "--rm=false",
        "-w",
        "/w",
        "-u",
        "1:2",
        "--entrypoint=",
        "--net=host",
        "--name",
        "n",
        "img",
    ]);
    assert!(!flags.rm);
    assert_eq!(flags.workdir.as_deref(), Some("/w"));
    assert_eq!(flags.user.as_deref(), Some("1:2"));
    assert_eq!(flags.entrypoint.as_deref(), Some(""));
    assert_eq!(flags.network.as_deref(), Some("host"));
    assert_eq!(flags.pull, "missing");
}

#[test]
fn global_flags_stand_anywhere_before_the_command_of_run() {
    let cli = parse_words(&["--root", "/r", "images"]).unwrap();
    assert_eq!(cli.global.root, Some(PathBuf::from("/r")));
    let cli = parse_words(&["pull", "--root=/r", "--insecure-registry", "h:5000", "x"]).unwrap();
    assert_eq!(cli.global.root, Some(PathBuf::from("/r")));
    assert_eq!(cli.global.insecure_registry, ["h:5000"]);
}

#[test]
fn flags_without_effect_are_accepted_and_named_in_one_line() {
    let words = "build --builder default --debug -m 2g --memory-swap -1 --resource memory=2g -c 2 --cpu-period 1 \
                 --cpu-quota 1 --cpuset-cpus 0 --cpuset-mems 0 --cgroup-parent x --isolation default .";
    let flags = build(&words.split_whitespace().collect::<Vec<_>>());
    let warning = flags.without_effect.warning().unwrap();
    let named = "warning: --builder, --debug, --resource, --memory, --memory-swap, --cpu-shares, --cpu-period, \
                 --cpu-quota, --cpuset-cpus, --cpuset-mems, --cgroup-parent have no effect here";
    assert!(warning.starts_with(named), "{warning}");
    assert!(build(&["build", "-D", "."]).without_effect.warning().unwrap().contains("--debug has no effect"));
    assert_eq!(build(&["build", "--isolation=default", "--debug=false", "."]).without_effect.warning(), None);
    let (message, ..) = usage(&["build", "--isolation", "hyperv", "."]);
    assert!(message.contains("hyperv") && message.contains("default"), "{message}");
    assert!(usage(&["build", "--resource", "disk=1", "."]).0.contains("there are memory, memory-swap"));
    assert!(usage(&["build", "--resource", "memory", "."]).0.contains("is not NAME=VALUE"));
}

#[test]
fn builders_are_what_scripts_ask_for() {
    let builder =
        |line: &str| match parse_words(&line.split_whitespace().collect::<Vec<_>>()).unwrap().command {
            Command::Builder(command) => command,
            other => panic!("{other:?}"),
        };
    let create =
        "buildx create --name b --use --driver docker-container --driver-opt network=host --bootstrap";
    assert!(matches!(builder(create), BuilderCommand::Create(flags) if flags.name.as_deref() == Some("b")));
    assert!(matches!(builder("buildx use b"), BuilderCommand::Use(_)));
    assert!(matches!(builder("buildx inspect --bootstrap"), BuilderCommand::Inspect(_)));
    assert!(matches!(builder("buildx rm -f b"), BuilderCommand::Rm(_)));
    assert!(matches!(builder("builder ls"), BuilderCommand::Ls));
    assert!(matches!(builder("buildx version"), BuilderCommand::Version));
    assert!(usage(&["buildx", "create", "--driver", "kubernetes"]).0.contains("kubernetes"));
    let info = parse_words(&["system", "info", "-f", "{{.NCPU}}"]).unwrap().command;
    assert!(matches!(info, Command::Info(flags) if flags.format.is_some()));
}

#[test]
fn an_empty_value_is_no_command() {
    let (_, hint, _) = usage(&["--root", "", "images"]);
    assert_eq!(hint.as_deref(), Some("`kiln images --help` shows how it is used"));
}

#[test]
fn hosts_of_a_build() {
    let flags = build(&["build", "--add-host", "db:10.0.0.5", "--add-host=six=[::1]", "."]);
    let names: Vec<&str> = flags.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["db", "six"]);
    assert!(usage(&["build", "--add-host", "db", "."]).0.contains("NAME:ADDRESS"));
}

#[test]
fn limits_of_commands() {
    let words = "--ulimit nofile=2 --ulimit=core=0 --ulimit nofile=1024:2048 --shm-size 128m x";
    let words: Vec<&str> = words.split_whitespace().collect();
    let read = |limits: &limits::LimitFlags| {
        let texts: Vec<String> = limits.ulimits().iter().map(ToString::to_string).collect();
        (texts.join(" "), limits.shared_memory())
    };
    let expected = ("core=0:0 nofile=1024:2048".to_owned(), Some(128 << 20));
    assert_eq!(read(&build(&[&["build"], words.as_slice()].concat()).limits), expected);
    assert_eq!(read(&run(&[&["run"], words.as_slice()].concat()).limits), expected);
    assert_eq!(read(&build(&["build", "--shm-size=0", "."]).limits), (String::new(), None));
    for (command, flag, value, said) in [
        ("build", "--ulimit", "nofile", "`nofile` is not NAME=SOFT[:HARD]"),
        ("run", "--ulimit", "files=1", "`files` is the name of no limit; there are core, cpu"),
        ("build", "--ulimit", "nofile=2:1", "the soft limit of nofile is 2, above its hard limit 1"),
        ("run", "--ulimit", "nofile=x", "`x` is no value of the limit nofile"),
        ("build", "--shm-size", "much", "`much` is no size"),
        ("run", "--shm-size", "-1", "`-1` is no size"),
    ] {
        let (message, ..) = usage(&[command, flag, value, "x"]);
        assert!(message.contains(flag) && message.contains(said), "{message}");
    }
}

#[test]
fn unknown_docker_flags_are_named() {
    let (message, _, run) = usage(&["build", "--squash", "."]);
    assert_eq!(message, "`--squash` of docker build is not supported yet");
    assert!(!run);
    let (message, _, run) = usage(&["run", "-d", "img"]);
    assert_eq!(message, "`-d` of docker run is not supported yet");
    assert!(run);
}

#[test]
fn typing_mistakes_get_a_tip() {
    let (message, hint, _) = usage(&["build", "--no-cach", "."]);
    assert!(message.contains("--no-cach"), "{message}");
    assert!(hint.unwrap().contains("--no-cache"));
    let (message, hint, _) = usage(&["bild"]);
    assert!(message.contains("bild"), "{message}");
    assert!(hint.unwrap().contains("build"));
}

#[test]
fn missing_arguments_are_named() {
    assert!(usage(&["build"]).0.contains("PATH"));
    let (message, _, run) = usage(&["run"]);
    assert!(message.contains("IMAGE") && run, "{message}");
    assert!(usage(&[]).1.unwrap().contains("kiln --help"));
    assert!(usage(&["image"]).1.unwrap().contains("kiln image --help"));
}

#[test]
fn wrong_values_are_named() {
    let (message, _, _) = usage(&["build", "--progress=fancy", "."]);
    assert!(message.contains("fancy") && message.contains("--progress"), "{message}");
    let (message, _, _) = usage(&["build", "-o", "type=zip,dest=x", "."]);
    assert!(message.contains("`zip`"), "{message}");
    let (message, _, _) = usage(&["build", "--pull=perhaps", "."]);
    assert!(message.contains("perhaps"), "{message}");
}

#[test]
fn help_and_version_are_shown() {
    for words in [&["--help"][..], &["--version"], &["build", "--help"], &["run", "--help"], &["image", "-h"]]
    {
        assert!(matches!(parse_words(words), Err(Stop::Show(_))), "{words:?}");
    }
}

//! kiln's images in other people's hands: skopeo inspects them, umoci unpacks them, runc and podman run them, and they do
//! there what they do in `kiln run`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::environment::TestEnvironment;
use crate::support::peer::{Containers, PODMAN_RUN};
use crate::support::scratch_dir;
use crate::support::tool::{Outcome, run, tool, tool_ok};

/// Says all that an image decides about a process: who, where, with what environment, arguments and files.
const APP: &str = "ARG REGISTRY\nFROM ${REGISTRY}/debian\n\
    RUN SOURCE_DATE_EPOCH=0 useradd --create-home --uid 1500 app && mkdir /data && chown app:app /data\n\
    COPY --chmod=755 show.sh /usr/local/bin/show\nCOPY --chown=app:app data.txt /data/\n\
    ENV GREETING=\"hello there\" EMPTY=\nWORKDIR /data\nUSER app\nVOLUME /scratch\nENTRYPOINT [\"show\"]\nCMD [\"one\", \"two words\"]\n";

const SHOW: &str = "#!/bin/bash\n\
    echo \"$(id -u):$(id -g) in $PWD greeting=$GREETING empty=[${EMPTY-unset}] home=$HOME path=$PATH\"\n\
    printf 'argument <%s>\\n' \"$@\"\n\
    stat -c '%n %A %u:%g' /data /data/data.txt /usr/local/bin/show /usr/bin/passwd /tmp\ncat data.txt\n\
    touch written && echo could write; touch /etc/x 2>/dev/null || echo could not write\nexit 7\n";

struct Published {
    env: TestEnvironment,
    reference: String,
}

fn published() -> Published {
    let env = TestEnvironment::new();
    let context = env.dockerfile("app", APP);
    fs::write(context.join("show.sh"), SHOW).unwrap();
    fs::write(context.join("data.txt"), "data\n").unwrap();
    let reference = env.reference("elsewhere/app:1");
    env.build(&context, &reference, &["--push"]).ok();
    Published { env, reference }
}

/// What a run wrote, and that it ended as the program does.
#[track_caller]
fn shown(outcome: Outcome) -> String {
    assert_eq!(outcome.code(), 7, "{outcome}");
    outcome.stdout
}

#[test]
fn skopeo_reads_what_was_pushed() {
    let app = published();
    let target = format!("docker://{}", app.reference);
    let text = tool_ok("skopeo", ["inspect", "--tls-verify=false", &target]);
    let seen: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(seen["Architecture"], json!("amd64"));
    assert_eq!(seen["Os"], json!("linux"));
    assert!(seen["Env"].as_array().unwrap().contains(&json!("GREETING=hello there")));
    let config = tool_ok("skopeo", ["inspect", "--config", "--tls-verify=false", &target]);
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["config"]["Entrypoint"], json!(["show"]));
    assert_eq!(config["config"]["User"], json!("app"));
    let layers = config["history"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["empty_layer"] != json!(true))
        .count();
    assert_eq!(
        config["rootfs"]["diff_ids"].as_array().unwrap().len(),
        layers,
        "a history entry for each layer"
    );
}

#[test]
fn podman_runs_it_like_kiln() {
    let app = published();
    let dir = scratch_dir("podman-");
    let podman = Containers::new(dir.path());
    let with = |args: &[&str]| {
        let mut theirs = podman.podman();
        theirs.args(PODMAN_RUN).args(["--tls-verify=false", &app.reference]);
        let mut ours = vec!["run", "--rm", &app.reference];
        ours.extend(args);
        (shown(app.env.run(ours)), shown(run(theirs.args(args))))
    };
    for args in [&[][..], &["other", "arguments"], &["--flag", "", "*"]] {
        let (ours, theirs) = with(args);
        assert_eq!(ours, theirs, "with {args:?}");
    }
}

#[test]
fn umoci_unpacks_it_and_runc_runs_it_like_kiln() {
    let app = published();
    let archive = app.env.path("app.tar");
    app.env.run(["save", "--format", "oci", "-o", archive.to_str().unwrap(), &app.reference]).ok();
    let layout = app.env.path("layout");
    let target = format!("oci:{}:app", layout.display());
    tool_ok("skopeo", ["copy", "--quiet", &format!("oci-archive:{}", archive.display()), &target]);
    let bundle = app.env.path("bundle");
    let image = format!("{}:app", layout.display());
    tool_ok("umoci", ["--log=error", "unpack", "--image", &image, bundle.to_str().unwrap()]);
    without_terminal(&bundle);

    let name = format!("kiln-{}", std::process::id());
    let state = app.env.path("runc");
    let mut runc = tool("runc");
    runc.arg("--root").arg(&state).arg("run").arg("--bundle").arg(&bundle).arg(name);
    let theirs = shown(run(&mut runc));
    assert_eq!(shown(app.env.run(["run", "--rm", &app.reference])), theirs);
}

fn without_terminal(bundle: &Path) {
    let path = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["process"]["terminal"] = json!(false);
    fs::write(path, config.to_string()).unwrap();
}

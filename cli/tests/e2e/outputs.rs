//! What `kiln build` makes beside the store, as tools of others read it: compression, annotations, provenance, layouts, times.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::environment::TestEnvironment;
use crate::support::tool::tool_ok;

const TEXT: &str = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nCOPY file.txt /file\nRUN echo made > /made\n";

fn context(env: &TestEnvironment) -> std::path::PathBuf {
    let context = env.dockerfile("context", TEXT);
    fs::write(context.join("file.txt"), "file\n").unwrap();
    context
}

fn raw(source: &str) -> Value {
    let text = tool_ok("skopeo", ["inspect", "--raw", "--tls-verify=false", source]);
    serde_json::from_str(&text).unwrap()
}

fn blob(layout: &Path, descriptor: &Value) -> Value {
    let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
    serde_json::from_slice(&fs::read(layout.join("blobs").join(digest)).unwrap()).unwrap()
}

#[test]
fn a_pushed_image_has_the_form_and_the_provenance_that_were_asked_for() {
    let env = TestEnvironment::new();
    let (context, name) = (context(&env), env.reference("outputs/pushed:1"));
    let metadata = env.path("metadata.json");
    let output = "type=image,push=true,compression=zstd,force-compression=true";
    let flags = [
        "--output",
        output,
        "--provenance=mode=max",
        "--annotation",
        "index,manifest:org.example.a=b",
        "--metadata-file",
        metadata.to_str().unwrap(),
    ];
    env.build(&context, &name, &flags).ok();
    let source = format!("docker://{name}");
    let index = raw(&source);
    assert_eq!(index["annotations"]["org.example.a"], "b");
    let [image, stated] = index["manifests"].as_array().unwrap().as_slice() else { panic!("{index:#}") };
    assert_eq!(stated["annotations"]["vnd.docker.reference.digest"], image["digest"]);
    let repository = source.trim_end_matches(":1");
    let manifest = raw(&format!("{repository}@{}", image["digest"].as_str().unwrap()));
    assert_eq!(manifest["annotations"]["org.example.a"], "b");
    for layer in manifest["layers"].as_array().unwrap() {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    }
    let metadata: Value = serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
    let definition = &metadata["buildx.build.provenance"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["configSource"]["path"], "Dockerfile");
    let dependencies = &definition["resolvedDependencies"];
    let base = tool_ok(
        "skopeo",
        [
            "inspect",
            "--tls-verify=false",
            "--format",
            "{{.Digest}}",
            &format!("docker://{}", env.reference("busybox")),
        ],
    );
    assert_eq!(dependencies[0]["digest"]["sha256"], base.trim().trim_start_matches("sha256:"));
    // The image itself is what it is without all that.
    let plain = env.reference("outputs/plain:1");
    env.build(&context, &plain, &["--push"]).ok();
    let again = env.reference("outputs/again:1");
    env.build(&context, &again, &["--push", "--provenance=true"]).ok();
    let digest =
        |name: &str| tool_ok("skopeo", ["inspect", "--tls-verify=false", "--format", "{{.Digest}}", name]);
    let stated = raw(&format!("docker://{again}"));
    assert_eq!(stated["manifests"][0]["digest"], digest(&format!("docker://{plain}")).trim());
}

#[test]
fn a_layout_is_read_by_umoci_and_an_archive_by_skopeo() {
    let env = TestEnvironment::new();
    let context = context(&env);
    let layout = env.path("layout");
    let to = format!("type=oci,tar=false,dest={}", layout.display());
    env.build(&context, "app:1", &["--output", &to, "--provenance=mode=min,version=v0.2"]).ok();
    env.build(&context, "app:2", &["--output", &to]).ok();
    assert_eq!(tool_ok("umoci", ["ls", "--layout", layout.to_str().unwrap()]), "1\n2\n");
    let top: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let index = blob(&layout, &top["manifests"][0]);
    let stated = blob(&layout, &index["manifests"][1]);
    let statement = blob(&layout, &stated["layers"][0]);
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v0.2");
    assert_eq!(statement["subject"][0]["name"], "pkg:docker/app@1?platform=linux%2Famd64");
    let bundle = env.path("bundle");
    let image = format!("{}:2", layout.display());
    tool_ok("umoci", ["unpack", "--image", &image, bundle.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(bundle.join("rootfs/made")).unwrap(), "made\n");

    let archive = env.path("docker.tar");
    let to = format!("type=docker,dest={},annotation.a=b", archive.display());
    env.build(&context, "app:1", &["--output", &to]).ok();
    let manifest = raw(&format!("oci-archive:{}", archive.display()));
    assert_eq!(manifest["annotations"]["a"], "b");
    tool_ok("skopeo", ["inspect", &format!("docker-archive:{}", archive.display())]);
}

#[test]
fn an_image_with_one_time_is_the_same_in_every_store() {
    let env = TestEnvironment::new();
    let other = env.another_store("other");
    let context = context(&env);
    let archive = |env: &TestEnvironment, name: &str| {
        let path = env.path(name);
        let to = format!("type=oci,dest={},rewrite-timestamp=true", path.display());
        env.build(&context, "app:1", &["--build-arg", "SOURCE_DATE_EPOCH=1000000000", "--output", &to]).ok();
        fs::read(path).unwrap()
    };
    assert!(archive(&env, "one.tar") == archive(&other, "two.tar"));
    let files = env.path("files");
    let to = files.to_str().unwrap().to_owned();
    env.build(&context, "app:1", &["--build-arg", "SOURCE_DATE_EPOCH=1000000000", "--output", &to]).ok();
    let time = std::os::unix::fs::MetadataExt::mtime(&files.join("made").metadata().unwrap());
    assert_eq!(time, 1_000_000_000);
}

#[test]
fn what_is_not_met_is_refused_before_anything_is_built() {
    let env = TestEnvironment::new();
    let context = context(&env);
    for (flags, named) in [
        (&["--output", "type=oci,dest=x,compression=estargz"][..], "compression=estargz"),
        (&["--output", "type=oci,dest=x,push=true"], "push=true"),
        (&["--output", "type=image,compression=zstd"], "push=true"),
        (&["--sbom=true"], "sbom"),
        (&["--provenance=true"], "--provenance"),
        (&["--annotation", "a=b"], "--annotation"),
        (&["--output", "type=oci,dest=x", "--annotation", "index:a=b"], "index"),
    ] {
        let said = env.build(&context, "app:1", flags).fails();
        assert!(said.contains(named), "{flags:?}: {said}");
    }
    env.build(&context, "app:1", &["--provenance=false", "--sbom=false"]).ok();
}

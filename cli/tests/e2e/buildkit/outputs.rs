//! Outputs with attributes and statements, as a client of BuildKit's protocol asks for them.

use std::fs;

use serde_json::{Value, json};

use super::client::Server;
use crate::support::tool::tool_ok;

#[test]
fn an_output_is_what_its_attributes_say() {
    let server = Server::start(&[]);
    let context = server.env.dockerfile("context", "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nCOPY f /f\n");
    fs::write(context.join("f"), "f\n").unwrap();
    let to = |name: &str| server.env.path(name);
    let registry = server.env.registry.host();
    let asked = json!({
        "driven": false,
        "attributes": {
            "build-arg:REGISTRY": registry,
            "attest:provenance": "mode=max,version=v1",
        },
        "directories": { "context": context, "dockerfile": context },
        "shared_key": "outputs",
        "outputs": [
            { "type": "oci", "to": to("oci"), "attrs": {
                "name": "example.com/a:1", "compression": "zstd", "annotation.a": "b" } },
            { "type": "local", "to": to("dir") },
            { "type": "tar", "to": to("tar"), "attrs": { "source-date-epoch": "1000000000" } },
        ],
    });
    let report = server.client(asked.clone());
    assert_eq!(report["error"], Value::Null, "{report:#}");
    let raw = tool_ok("skopeo", ["inspect", "--raw", &format!("oci-archive:{}", to("oci").display())]);
    let index: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(index["manifests"][1]["annotations"]["vnd.docker.reference.type"], "attestation-manifest");
    let layout = to("layout");
    fs::create_dir(&layout).unwrap();
    tool_ok("tar", ["-xf", to("oci").to_str().unwrap(), "-C", layout.to_str().unwrap()]);
    let blob = |descriptor: &Value| -> Value {
        let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
        serde_json::from_slice(&fs::read(layout.join("blobs").join(digest)).unwrap()).unwrap()
    };
    let manifest = blob(&index["manifests"][0]);
    assert_eq!(manifest["annotations"]["a"], "b");
    let own = manifest["layers"].as_array().unwrap().last().unwrap();
    assert_eq!(own["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    let statement = blob(&blob(&index["manifests"][1])["layers"][0]);
    let request = &statement["predicate"]["buildDefinition"]["externalParameters"]["request"];
    assert_eq!(request["args"]["build-arg:REGISTRY"], *registry);
    let provenance = fs::read(to("dir").join("provenance.json")).unwrap();
    let provenance: Value = serde_json::from_slice(&provenance).unwrap();
    assert_eq!(provenance["predicateType"], "https://slsa.dev/provenance/v1");
    let listed = tool_ok("tar", ["--utc", "--full-time", "-tvf", to("tar").to_str().unwrap(), "f"]);
    assert!(listed.contains("2001-09-09 01:46:40"), "{listed}");

    for (attribute, value) in [("compression", "estargz"), ("colour", "red"), ("push", "true")] {
        let mut refused = asked.clone();
        refused["outputs"] = json!([{ "type": "oci", "to": to("none"), "attrs": { attribute: value } }]);
        let said = server.client(refused)["error"].to_string();
        assert!(said.contains(&format!("{attribute}={value}")), "{said}");
    }
}

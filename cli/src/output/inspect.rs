//! The JSON of `kiln inspect`, in the shape of `docker inspect` for images.
//!
//! Keys that docker leaves out when they are empty are `null` here, so that a template that asks for one
//! finds it.

use kiln_builder::images::Inspected;
use kiln_graph::image::ContainerConfig;
use kiln_registry::Reference;
use serde::Serialize;
use serde_json::{Value, json};

/// The object for one image.
pub fn image(image: &Inspected) -> Value {
    let listed = &image.listed;
    let config = &image.config;
    let tags = listed.names.iter().filter(|name| name.digest().is_none());
    json!({
        "Id": listed.id.to_string(),
        "RepoTags": tags.map(Reference::familiar).collect::<Vec<_>>(),
        "RepoDigests": listed.repo_digests(),
        "Parent": "",
        "Comment": config.history.last().and_then(|line| line.comment.clone()).unwrap_or_default(),
        "Created": listed.created,
        "DockerVersion": "",
        "Author": config.author.clone().unwrap_or_default(),
        "Config": container(&config.config),
        "Architecture": config.architecture,
        "Variant": config.variant.clone().unwrap_or_default(),
        "Os": config.os,
        "Size": listed.size,
        "VirtualSize": listed.size,
        "RootFS": {"Type": config.rootfs.kind, "Layers": config.rootfs.diff_ids},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    })
}

/// The array of objects as docker lays it out: four spaces a level.
pub fn document(images: &[Value]) -> String {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    // Writing plain JSON values into memory has nothing to fail at.
    images.serialize(&mut serializer).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned() + "\n"
}

fn container(config: &ContainerConfig) -> Value {
    let or_null = |empty: bool, value: Value| if empty { Value::Null } else { value };
    json!({
        "Hostname": "",
        "Domainname": "",
        "User": config.user,
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "ExposedPorts": or_null(config.exposed_ports.is_empty(), json!(config.exposed_ports)),
        "Tty": false,
        "OpenStdin": false,
        "StdinOnce": false,
        "Env": config.env,
        "Cmd": config.cmd,
        "Healthcheck": config.healthcheck,
        "Image": "",
        "Volumes": or_null(config.volumes.is_empty(), json!(config.volumes)),
        "WorkingDir": config.working_dir,
        "Entrypoint": config.entrypoint,
        "OnBuild": or_null(config.on_build.is_empty(), json!(config.on_build)),
        "Labels": or_null(config.labels.is_empty(), json!(config.labels)),
        "StopSignal": config.stop_signal,
        "Shell": config.shell,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kiln_builder::images::Listed;
    use kiln_graph::image::{ImageConfig, RootFs};

    use super::*;
    use crate::output::template::Template;

    fn inspected() -> Inspected {
        let digest = format!("sha256:{}", "b".repeat(64));
        let config = ContainerConfig {
            user: "app".into(),
            env: vec!["PATH=/bin".into()],
            labels: [("org.x".to_owned(), "y".to_owned())].into(),
            ..ContainerConfig::default()
        };
        Inspected {
            listed: Listed {
                id: format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
                names: vec![
                    Reference::parse("app:1").unwrap(),
                    Reference::parse(&format!("app@{digest}")).unwrap(),
                ],
                origin: Some(Reference::parse(&format!("app:1@{digest}")).unwrap()),
                created: Some("2026-01-01T00:00:00Z".into()),
                size: 42,
                platform: "linux/amd64".into(),
            },
            config: ImageConfig {
                architecture: "amd64".into(),
                os: "linux".into(),
                config,
                rootfs: RootFs { diff_ids: vec![digest], ..RootFs::default() },
                ..ImageConfig::default()
            },
        }
    }

    #[test]
    fn the_shape_is_dockers() {
        let value = image(&inspected());
        assert_eq!(value["RepoTags"], json!(["app:1"]));
        assert_eq!(value["RepoDigests"], json!([format!("app@sha256:{}", "b".repeat(64))]));
        assert_eq!(value["Config"]["User"], "app");
        assert_eq!(value["Config"]["Entrypoint"], Value::Null);
        assert_eq!(value["RootFS"]["Type"], "layers");
        assert_eq!(value["Size"], 42);
    }

    #[test]
    fn the_layout_is_dockers() {
        assert_eq!(
            document(&[json!({"Id": "x", "RepoTags": []})]),
            "[\n    {\n        \"Id\": \"x\",\n        \"RepoTags\": []\n    }\n]\n"
        );
        assert_eq!(document(&[]), "[]\n");
    }

    #[test]
    fn templates_find_every_key_of_docker() {
        let render = |text: &str| Template::parse(text).unwrap().render(&image(&inspected())).unwrap();
        assert_eq!(render("{{.Config.User}} {{.Architecture}}/{{.Os}}"), "app amd64/linux");
        assert_eq!(render("{{json .Config.Labels}}"), "{\"org.x\":\"y\"}");
        assert_eq!(render("{{len .RootFS.Layers}} {{.Config.ExposedPorts}}"), "1 <no value>");
        assert_eq!(render("{{index .RepoTags 0}}"), "app:1");
    }
}

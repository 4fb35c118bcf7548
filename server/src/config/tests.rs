//! What files say, and what is said of files that are wrong.

#![allow(clippy::unwrap_used)]

use super::*;

const WHOLE: &str = r#"
debug = true
root = "/var/lib/buildkit"
insecure-entitlements = ["network.host", "security.insecure"]
[log]
  format = "text"
[grpc]
  address = ["tcp://0.0.0.0:1234", "unix:///run/b.sock"]
  debugAddress = "0.0.0.0:6060"
  uid = 0
  gid = 7
  [grpc.tls]
    cert = "/c"
    key = "/k"
    ca = "/a"
[otel]
  socketPath = "/s"
[worker.oci]
  enabled = true
  platforms = ["linux/amd64", "linux/arm64"]
  snapshotter = "auto"
  gc = true
  gckeepstorage = "9GB"
  max-parallelism = 4
  [worker.oci.labels]
    "foo" = "bar"
  [[worker.oci.gcpolicy]]
    keepBytes = 512000000
    keepDuration = "48h"
    filters = ["type==source.local"]
  [[worker.oci.gcpolicy]]
    all = true
    maxUsedSpace = "20%"
[worker.containerd]
  enabled = false
[registry."docker.io"]
  mirrors = ["mirror.example:5000", "other.example/proxy"]
  http = true
  insecure = true
  ca = ["/ca.pem"]
  [[registry."docker.io".keypair]]
    key = "/k"
    cert = "/c"
[dns]
  nameservers = ["1.1.1.1"]
  options = ["edns0"]
  searchDomains = ["example.com"]
"#;

#[test]
fn a_whole_file_is_read() {
    let (config, unused) = Config::parse(WHOLE).unwrap();
    assert!(config.debug);
    assert_eq!(config.root, Some("/var/lib/buildkit".into()));
    assert_eq!(config.entitlements, ["network.host", "security.insecure"]);
    assert_eq!(config.grpc.address, ["tcp://0.0.0.0:1234", "unix:///run/b.sock"]);
    assert_eq!((config.grpc.uid, config.grpc.gid), (Some(0), Some(7)));
    assert_eq!(config.grpc.tls.ca, Some("/a".into()));
    let oci = &config.worker.oci;
    assert_eq!((oci.max_parallelism, oci.keep_storage), (Some(4), Some(Space::Bytes(9 << 30))));
    assert_eq!(oci.labels["foo"], "bar");
    assert_eq!(oci.policies[0].keep_bytes, Some(Space::Bytes(512_000_000)));
    assert_eq!(oci.policies[0].keep_duration.unwrap().0.as_secs(), 48 * 3600);
    assert_eq!((oci.policies[1].all, oci.policies[1].max_used_space), (true, Some(Space::Percent(20))));
    let hub = &config.registry["docker.io"];
    assert_eq!(hub.mirrors, ["mirror.example:5000", "other.example/proxy"]);
    assert!(hub.http && hub.insecure);
    assert_eq!((hub.ca.len(), hub.keypair.len()), (1, 1));
    assert_eq!(
        unused,
        ["grpc.debugAddress", "otel", "worker.containerd", "worker.oci.snapshotter"].map(str::to_owned)
    );
}

#[test]
fn an_empty_file_says_nothing() {
    let (config, unused) = Config::parse("").unwrap();
    assert_eq!((config, unused), (Config::default(), Vec::new()));
}

#[test]
fn a_wrong_value_is_named_with_its_line() {
    for (text, said) in [
        ("\ndebug = \"yes\"\n", "line 2"),
        ("[grpc]\naddress = \"unix:///x\"\n", "line 2"),
        ("[worker.oci]\ngckeepstorage = \"lots\"\n", "no amount of storage"),
        ("[[worker.oci.gcpolicy]]\nkeepDuration = true\n", "text with a unit"),
        ("[registry.x]\nmirrors = [1]\n", "line 2"),
        ("[[registry.x.keypair]]\nkey = \"/k\"\n", "cert"),
        ("root = \n", "line 1"),
    ] {
        let error = Config::parse(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn a_missing_or_wrong_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("buildkitd.toml");
    let name = path.display().to_string();
    assert!(Config::read(&path).unwrap_err().to_string().contains(&name));
    std::fs::write(&path, "\ndebug = 1\n").unwrap();
    let error = Config::read(&path).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "the configuration {name} is wrong at line 2 (`debug = 1`): invalid type: integer `1`, expected a boolean"
        )
    );
}

#[test]
fn names_are_asked_where_the_file_says() {
    let machine = "# by hand\nnameserver 10.0.0.1\nsearch corp.example\noptions ndots:5\n";
    let only_servers =
        DnsConfig { nameservers: vec!["1.1.1.1".into(), "8.8.8.8".into()], ..DnsConfig::default() };
    assert_eq!(
        only_servers.resolv_conf(machine),
        "# by hand\nsearch corp.example\noptions ndots:5\nnameserver 1.1.1.1\nnameserver 8.8.8.8\n"
    );
    let all = DnsConfig {
        nameservers: vec!["1.1.1.1".into()],
        options: vec!["edns0".into()],
        search_domains: vec!["a.example".into(), "b.example".into()],
    };
    assert_eq!(
        all.resolv_conf(machine),
        "# by hand\nsearch a.example b.example\nnameserver 1.1.1.1\noptions edns0\n"
    );
}

#[test]
fn keys_that_nobody_has_are_refused_and_others_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("buildkitd.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Config::read(&path).map(|(_, unused)| unused)
    };
    assert_eq!(read("[worker.oci]\nsnapshotter = \"auto\"\n").unwrap(), ["worker.oci.snapshotter"]);
    assert_eq!(
        read("[system]\nplatformsCacheMaxAge = \"1h\"\n[registry.\"a.b:1\"]\ntlsconfigdir = [\"/x\"]\n")
            .unwrap()
            .len(),
        2
    );
    for (text, key) in [
        ("debg = true\n", "debg"),
        ("[worker.oci]\nmaxParallelism = 4\n", "worker.oci.maxParallelism"),
        ("[registry.\"a.b:1\"]\ninsecur = true\n", "registry.a.b:1.insecur"),
        ("[[worker.oci.gcpolicy]]\nkeepduration = 4\n", "worker.oci.gcpolicy.0.keepduration"),
        ("[workers.oci]\n", "workers"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(&format!("`{key}`")), "{error}");
    }
}

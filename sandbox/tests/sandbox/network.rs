//! The two networks.

use kiln_sandbox::Network;

use crate::fixture::{Fixture, run};
use crate::tests;

tests!("network": without_network_there_is_loopback_only, loopback_works, the_host_network_is_the_hosts);

fn without_network_there_is_loopback_only() {
    let fixture = Fixture::new();
    let mut spec =
        fixture.shell("ls /sys/class/net; cat /sys/class/net/lo/flags; ip -o addr show lo; ip route");
    spec.network = Network::None;
    let lines = run(&spec).lines();
    // Flag 1 is "up".
    assert_eq!(lines[..2], ["lo", "0x9"]);
    assert!(lines[2].contains("127.0.0.1/8"), "{lines:?}");
    assert!(lines[3..].iter().all(|line| line.contains("inet6 ::1/128")), "{lines:?}");
}

fn loopback_works() {
    let fixture = Fixture::new();
    let mut spec = fixture.spec(&["ping", "-c", "1", "127.0.0.1"]);
    spec.network = Network::None;
    assert!(run(&spec).text().contains("1 packets received"));
}

fn the_host_network_is_the_hosts() {
    let inside = run(&Fixture::new().spec(&["ls", "/sys/class/net"])).lines();
    let mut outside: Vec<String> = std::fs::read_dir("/sys/class/net")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    outside.sort();
    assert_eq!(inside, outside);
}

//! A step leaves nothing of the builder in the image: no mount points, no device nodes, no files that kiln lent to it.

use crate::support::environment::TestEnvironment;
use crate::support::image::Image;

fn changes_of(base: &str, steps: &str) -> Vec<String> {
    let env = TestEnvironment::new();
    let context = env.dockerfile("context", &format!("ARG REGISTRY\nFROM ${{REGISTRY}}/{base}\n{steps}"));
    env.build(&context, "traced", &[]).ok();
    let before = Image::read(&format!("docker://{}", env.reference(base)));
    env.image("traced").changes_since(&before)
}

/// Uses whatever a step is lent: the network's files, devices, /proc, /sys, shared memory.
const NOSY: &str = "cat /etc/resolv.conf /etc/hosts > /dev/null; cat /proc/self/mountinfo > /dev/null; \
    ls /dev /dev/pts /dev/shm /sys /proc > /dev/null; echo x > /dev/shm/x; echo x > /dev/null; head -c1 /dev/urandom > /dev/null";

#[test]
fn a_base_without_any_directory_stays_so() {
    assert_eq!(changes_of("bare", "RUN true\n"), [""; 0]);
    assert_eq!(changes_of("bare", &format!("RUN {NOSY}\n")), [""; 0]);
    assert_eq!(changes_of("bare", &format!("RUN {NOSY}; echo mine > /mine\n")), ["mine"]);
}

#[test]
fn ordinary_bases_stay_as_they_are() {
    assert_eq!(changes_of("busybox", &format!("RUN {NOSY}\n")), [""; 0]);
    assert_eq!(changes_of("debian", &format!("RUN {NOSY}\n")), [""; 0]);
}

#[test]
fn what_a_step_itself_puts_there_stays() {
    let steps = "RUN mkdir -p /etc && echo mine > /etc/own && echo gone > /etc/gone\nRUN rm /etc/gone\n";
    assert_eq!(changes_of("bare", steps), ["etc", "etc/own"]);
}

#[test]
fn every_layer_alone_is_clean() {
    let env = TestEnvironment::new();
    let context =
        env.dockerfile("context", &format!("ARG REGISTRY\nFROM ${{REGISTRY}}/bare\nRUN {NOSY}\nRUN true\n"));
    env.build(&context, "layers", &[]).ok();
    let ids = env.image("layers").diff_ids();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[1], ids[2], "two steps that change nothing make the same, empty layer");
}

#[test]
fn run_leaves_no_trace_in_the_image() {
    let env = TestEnvironment::new();
    let bare = env.reference("bare");
    env.run(["pull", &bare]).ok();
    let id = env.id(&bare);
    env.run(["run", "--rm", &bare, "sh", "-c", &format!("{NOSY}; echo changed > /bin/added")]).ok();
    assert_eq!(env.id(&bare), id);
    env.run(["run", "--rm", &bare, "test", "-e", "/bin/added"]).fails();
}

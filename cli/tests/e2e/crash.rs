//! kiln killed at any moment: nothing of it stays on the machine, and the store serves the next build as if nothing had been.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::environment::TestEnvironment;
use crate::support::leftovers;

/// Kills that hit a build which was still under way.
const KILLS: u32 = 60;
/// Every so often the store starts empty, so that pulling and unpacking are hit too.
const FRESH_EVERY: u32 = 6;

/// Something of everything: two stages at once, files from the context and from a stage, an archive, steps that take a moment.
const WORK: &str = "ARG REGISTRY\nFROM ${REGISTRY}/busybox AS one\nARG ROUND MARKER\nCOPY . /context\n\
    RUN for i in $(seq 200); do echo $ROUND $i > /context/$i; done\n\
    FROM ${REGISTRY}/debian AS two\nARG ROUND MARKER\n\
    RUN head -c 4000000 /dev/zero > /zeros && echo $ROUND > /round\n\
    FROM ${REGISTRY}/busybox\nARG ROUND\nCOPY --from=one /context /one\nCOPY --from=two /zeros /round /two/\n\
    ADD . /added/$ROUND\nRUN rm -r /one/1 && ln -s zeros /two/link && sha256sum /two/* > /sums\n";

/// Numbers that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

#[test]
fn a_killed_build_leaves_nothing_behind_and_a_good_store() {
    let env = TestEnvironment::new();
    let marker = env.root().display().to_string().replace('/', "-");
    let word = format!("MARKER={marker}");
    let context = env.dockerfile("context", WORK);
    for number in 0..100 {
        fs::write(context.join(format!("file-{number}")), "x".repeat(number * 50)).unwrap();
    }
    let round = |number: u32| format!("ROUND={number}");
    let (cold, warm) =
        (timed(&env, &context, &[&round(0), &word]), timed(&env, &context, &[&round(1), &word]));

    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut number, mut killed) = (1, 0);
    while killed < KILLS {
        number += 1;
        assert!(
            number < 4 * KILLS,
            "only {killed} of {number} builds were still under way when they were to be killed"
        );
        let fresh = number % FRESH_EVERY == 0;
        if fresh {
            fs::remove_dir_all(env.root())
                .unwrap_or_else(|error| panic!("the store cannot be removed: {error}"));
        }
        let moment = Duration::from_micros(dice.below(if fresh { cold } else { warm }));
        let mut command =
            env.build_command(&context, "killed", &["--build-arg", &round(number), "--build-arg", &word]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let_pass(moment);
        killed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(leftovers::processes(env.root(), &marker), [""; 0], "after kill {number} at {moment:?}");
        assert_eq!(leftovers::mounts(env.root()), [""; 0], "after kill {number} at {moment:?}");
        // What was killed is what the next build needs: it finds what was finished, and never half of something.
        env.build(&context, "after", &["--build-arg", &round(number), "--build-arg", &word]).ok();
    }

    let fresh = env.another_store("fresh");
    fresh.build(&context, "after", &["--build-arg", &round(number), "--build-arg", &word]).ok();
    assert_eq!(env.image("after").tree, fresh.image("after").tree);

    env.run(["prune", "--force", "--all"]).ok();
    assert_eq!(leftovers::mounts(env.root()), [""; 0]);
    env.build(&context, "after", &["--build-arg", &round(number), "--build-arg", &word]).ok();
    assert_eq!(env.image("after").tree, fresh.image("after").tree);
}

/// Builds with these arguments, and tells how many microseconds that took.
fn timed(env: &TestEnvironment, context: &Path, arguments: &[&str]) -> u64 {
    let begin = Instant::now();
    let flags: Vec<&str> = arguments.iter().flat_map(|argument| ["--build-arg", *argument]).collect();
    env.build(context, "timed", &flags).ok();
    u64::try_from(begin.elapsed().as_micros()).unwrap()
}

/// Lets a moment pass. The moment itself is what the test is about: nothing else tells where the build is then.
fn let_pass(moment: Duration) {
    let (_sender, nothing_comes) = mpsc::channel::<()>();
    nothing_comes.recv_timeout(moment).unwrap_err();
}

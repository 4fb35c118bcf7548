//! `make bench`: kiln and the builders that are installed, on the same work, in turns, on one file system.
//!
//! Prints for each kind of work what each builder took (minimum, median, maximum), the ratio of the medians, and the peak
//! memory of its processes and daemons; then whether kiln is as fast as is asked of it. `KILN_BENCH_ROUNDS` sets how many
//! rounds are measured.
//!
//! What makes such numbers wrong, and what is done about it: builders that take turns see the same machine; all state is on
//! one journaled file system of its own, written out before each measurement, so that nobody pays for another's deletions;
//! "cold" means emptied stores and the base in a registry on this machine, for all; an image is committed at the end of
//! every build, for all; every push goes into an empty registry.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot go on says so"
)]

mod builder;
mod buildkit;
mod disk;
mod measure;
mod report;
mod work;

#[path = "../../tests/support/mod.rs"]
#[allow(dead_code, reason = "each of the binaries that share this uses its part")]
mod support;

use builder::Builder;
use disk::Disk;
use measure::Measured;
use report::Report;
use support::registry::Registry;
use work::Work;

/// Rounds that are measured if nothing else is said: the least that has a median worth the name.
const ROUNDS: usize = 3;
/// What takes milliseconds is repeated within a round.
const REPEATS: usize = 5;

fn main() {
    assert!(rustix::process::geteuid().is_root(), "the benchmark must run as root: make bench");
    // `cargo test --benches` asks every benchmark only whether it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rounds = std::env::var("KILN_BENCH_ROUNDS")
        .ok()
        .map_or(ROUNDS, |text| text.parse().expect("a number of rounds"));
    let disk = Disk::mount();
    let registry = Registry::with_bases();
    let work = Work::make(disk.path(), registry.host());
    let mut builders = builder::all(disk.path(), registry.host());
    let mut report = Report::new(builders.iter().map(|builder| builder.name().to_owned()).collect());
    report.describe_machine();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        one_round(&mut report, &mut builders, &work, &disk, round);
    }
    cached_steps(&mut report, builders[0].as_mut(), &work);
    report.print();
}

/// What a builder is asked to do; nothing is measured if it cannot.
type Job<'a> = &'a dyn Fn(&mut dyn Builder) -> Option<Measured>;

/// Steps of the chain that every builder runs.
const CHAIN: usize = 50;
/// Stages of the build that is cached but for its last step.
const STAGES: usize = 200;

/// What a cached step costs kiln: the difference between a build of many stages and one of a single stage, nearly all cached.
fn cached_steps(report: &mut Report, kiln: &mut dyn Builder, work: &Work) {
    let (many, one) = (work.stages(STAGES), work.stages(1));
    for context in [&many, &one] {
        kiln.build(context);
    }
    for _ in 0..REPEATS {
        let [many, one] = [&many, &one].map(|context| {
            work.change_last(context);
            kiln.build(context)
        });
        // A stage is two steps: its RUN, and the COPY from it.
        let difference = many.wall.saturating_sub(one.wall);
        report.add(report::EACH_CACHED, 0, Measured { wall: difference, ..many }.divided(2 * (STAGES - 1)));
    }
}

/// All work once, each kind by all builders before the next kind.
fn one_round(report: &mut Report, builders: &mut [Box<dyn Builder>], work: &Work, disk: &Disk, round: usize) {
    let mut each = |kind: &'static str, builders: &mut [Box<dyn Builder>], job: Job<'_>| {
        for number in 0..builders.len() {
            // Who begins changes from round to round.
            let at = (number + round) % builders.len();
            disk.settle();
            if let Some(measured) = job(builders[at].as_mut()) {
                report.add(kind, at, measured);
            }
        }
    };
    each("cold", builders, &|builder| {
        builder.empty();
        disk.settle();
        Some(builder.build(&work.context()))
    });
    for _ in 0..REPEATS {
        each("no-op", builders, &|builder| Some(builder.build(&work.context())));
    }
    work.change_one_file();
    each("one file changed", builders, &|builder| Some(builder.build(&work.context())));
    each("export OCI, gzip", builders, &|builder| builder.export());
    each("push after export", builders, &|builder| Some(builder.push(&Registry::empty())));
    let chain = work.chain(round, CHAIN);
    each("50 x RUN true", builders, &|builder| Some(builder.build(&chain)));
    for _ in 0..REPEATS {
        each(report::CHAIN_AGAIN, builders, &|builder| Some(builder.build(&chain)));
    }
    // Before the long chain, whose image is the next one of that name.
    for _ in 0..REPEATS {
        each("run --rm true", builders, &|builder| builder.run());
    }
    each(report::EACH_RUN, builders, &|builder| {
        let steps = builder.longest_chain()?;
        Some(builder.build(&work.chain(round, steps)).divided(steps))
    });
}

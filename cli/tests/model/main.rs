//! The model test of the cache: random Dockerfiles and random edits, kiln's answers against two full executions.
//!
//! Each case is a history of states ([`state`]: a Dockerfile, its arguments, a context, an ignore file), made by random
//! edits ([`generate`]). Every state is built twice ([`world`]): in a store that remembers all earlier builds, and in
//! another one with every step executed. What commands do is [`probe`]: a program whose result depends on everything that it
//! can see. Then ([`oracle`]):
//!
//! - The two images are equal, times aside: no hit has another result than the execution that it stands for.
//! - A state that was built before, and an edit that no step can see, execute nothing; a command that sees what it saw
//!   last time is not executed again; a linked copy outlives a change of what it lies on.
//!
//! A history that breaks a rule is made as short as it can be ([`shrink`]) and printed with the Dockerfiles.
//! `KILN_MODEL_BUILDS` says how many builds are compared (with more, the seeds go on), `KILN_MODEL_SEED` which seed comes
//! first. One seed is new in each run; it is printed. Needs root.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unnecessary_debug_formatting,
    reason = "a test that cannot go on says so by failing"
)]

mod generate;
mod oracle;
mod probe;
mod random;
mod shrink;
mod state;
mod world;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use oracle::{Failure, Oracle};
use random::Random;

/// Builds that are compared unless the environment says how many: a minute or so on two cores. A part of a key that is left out
/// (a file's mode, a link's target, a variable) is found within some five hundred.
const BUILDS: usize = 1200;

/// Cases that share a store: enough that steps of one case can be taken for those of another.
const CASES_TO_A_STORE: usize = 24;

/// The first of the seeds that are the same in each run.
const FIRST_SEED: u64 = 1;

fn main() -> ExitCode {
    kiln_sandbox::run_child_if_asked();
    probe::run_if_asked();
    // What cargo and its users pass to every test binary.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        println!("model: test");
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    if !filters.is_empty() && !filters.iter().any(|filter| "model".contains(filter.as_str())) {
        return ExitCode::SUCCESS;
    }
    assert!(rustix::process::geteuid().is_root(), "the model test must run as root: make test");
    run()
}

/// What all workers share.
struct Work {
    wanted: usize,
    built: AtomicUsize,
    seeds: AtomicU64,
    random_seed: Mutex<Option<u64>>,
    failure: Mutex<Option<String>>,
    counts: Mutex<oracle::Counts>,
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, which is no number")))
}

fn run() -> ExitCode {
    let new = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let new = u64::try_from(new).unwrap();
    let wanted = number("KILN_MODEL_BUILDS").map_or(BUILDS, |wanted| usize::try_from(wanted).unwrap());
    let first = number("KILN_MODEL_SEED").unwrap_or(FIRST_SEED);
    let work = Work {
        wanted,
        built: AtomicUsize::new(0),
        seeds: AtomicU64::new(first),
        random_seed: Mutex::new(Some(new)),
        failure: Mutex::new(None),
        counts: Mutex::new(oracle::Counts::default()),
    };
    println!("\nmodel: {wanted} builds, seeds from {first} on, and {new}");
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work.go_on());
        }
    });
    println!("model: {} in {:.1} s", work.counts.lock().unwrap(), began.elapsed().as_secs_f64());
    let failure = work.failure.lock().unwrap();
    match failure.as_deref() {
        None => ExitCode::SUCCESS,
        Some(text) => {
            println!("\n{text}\nmodel: FAILED");
            ExitCode::from(101)
        }
    }
}

impl Work {
    fn go_on(&self) {
        while !self.is_over() {
            let mut oracle = Oracle::new();
            for _ in 0..CASES_TO_A_STORE {
                if self.is_over() {
                    break;
                }
                let random = self.random_seed.lock().unwrap().take();
                let seed = random.unwrap_or_else(|| self.seeds.fetch_add(1, Ordering::Relaxed));
                self.case(seed, &mut oracle);
            }
            self.counts.lock().unwrap().add(oracle.counts());
        }
    }

    fn is_over(&self) -> bool {
        self.built.load(Ordering::Relaxed) >= self.wanted || self.failure.lock().unwrap().is_some()
    }

    fn case(&self, seed: u64, oracle: &mut Oracle) {
        let history = generate::history(&mut Random::new(seed));
        self.built.fetch_add(history.len(), Ordering::Relaxed);
        let Err(Failure { at, text }) = oracle.check(&history) else { return };
        // Another worker may have failed at the same time; one failure is enough to look at.
        if self.failure.lock().unwrap().is_some() {
            return;
        }
        println!("seed {seed}, build {at}: {text}\nlooking for a shorter history …");
        let shown = shrink::shrink(&history[..=at], &text);
        *self.failure.lock().unwrap() = Some(format!("seed {seed}, build {at}: {text}\n\n{shown}"));
    }
}

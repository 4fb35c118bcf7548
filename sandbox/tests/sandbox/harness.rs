//! The part of libtest that cargo and people rely on: filters, `--list`, `--skip`, `--exact`, `--test-threads`, one line
//! a test and a summary. Tests run on several threads at once, as callers of the crate do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

pub struct Test {
    pub name: &'static str,
    pub run: fn(),
}

/// The tests of a module, by the names of their functions.
#[macro_export]
macro_rules! tests {
    ($module:literal: $($name:ident),* $(,)?) => {
        pub const TESTS: &[$crate::harness::Test] = &[
            $($crate::harness::Test { name: concat!($module, "::", stringify!($name)), run: $name }),*
        ];
    };
}

#[derive(Default)]
struct Options {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
    threads: Option<usize>,
}

impl Options {
    fn parse() -> Options {
        let mut options = Options::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => options.exact = true,
                "--list" => options.list = true,
                "--skip" => options.skipped.extend(arguments.next()),
                "--test-threads" => options.threads = arguments.next().and_then(|number| number.parse().ok()),
                "--format" | "--color" | "--logfile" | "-Z" => drop(arguments.next()),
                flag if flag.starts_with('-') => {
                    let number = flag.strip_prefix("--test-threads=").and_then(|number| number.parse().ok());
                    options.threads = options.threads.or(number);
                }
                _ => options.filters.push(argument),
            }
        }
        options
    }

    fn wants(&self, name: &str) -> bool {
        let fits =
            |pattern: &String| if self.exact { name == pattern } else { name.contains(pattern.as_str()) };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skipped.iter().any(fits)
    }
}

pub fn run(tests: &[&Test]) -> ExitCode {
    let options = Options::parse();
    let wanted: Vec<&Test> = tests.iter().copied().filter(|test| options.wants(test.name)).collect();
    if options.list {
        for test in &wanted {
            println!("{}: test", test.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", wanted.len());
    let start = Instant::now();
    let failed = run_all(&wanted, options.threads);
    let outcome = if failed.is_empty() { "ok" } else { "FAILED" };
    if !failed.is_empty() {
        println!("\nfailures:\n    {}", failed.join("\n    "));
    }
    println!(
        "\ntest result: {outcome}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        wanted.len() - failed.len(),
        failed.len(),
        tests.len() - wanted.len(),
        start.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn run_all(tests: &[&Test], threads: Option<usize>) -> Vec<&'static str> {
    let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let passed = catch_unwind(AssertUnwindSafe(test.run)).is_ok();
                    println!("test {} ... {}", test.name, if passed { "ok" } else { "FAILED" });
                    if !passed {
                        failed.lock().unwrap().push(test.name);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

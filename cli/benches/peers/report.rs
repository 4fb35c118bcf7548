//! The numbers, and what is asked of them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::measure::Measured;
use crate::support::tool::{installed, run, tool};

/// How many times as fast as whom which builder has to be at what.
const ASKED: &[(&str, &str, &str, f64)] = &[
    ("cold", KILN, "docker", 4.0),
    ("no-op", KILN, "docker", 15.0),
    ("no-op", KILN, "buildah", 50.0),
    ("one file changed", KILN, "docker", 2.5),
    ("50 x RUN true", KILN, "docker", 8.0),
    (EACH_RUN, KILN, "docker", 4.0),
    (EACH_RUN, KILN, "buildkit", 4.0),
    ("run --rm true", KILN, "buildah", 5.0),
    ("no-op", SERVED, "buildkit", 5.0),
    (CHAIN_AGAIN, SERVED, "buildkit", 5.0),
];

/// kiln itself, and kiln asked by BuildKit's client.
const KILN: &str = "kiln";
pub const SERVED: &str = "kiln serve";

/// What one RUN that does nothing costs in a long chain of them.
pub const EACH_RUN: &str = "each RUN of a chain";
/// The chain once more, all cached: most of its time is a client's that has nothing to send.
pub const CHAIN_AGAIN: &str = "no-op of 50 x RUN";
/// What one step costs that is cached.
pub const EACH_CACHED: &str = "each cached step";

/// What kiln may take at most.
const LIMITS: &[(&str, Duration)] = &[(EACH_CACHED, Duration::from_micros(200))];

/// What kiln may use at most, at whatever it does.
const MEMORY: u64 = 100_000_000;

/// All measurements.
pub struct Report {
    builders: Vec<String>,
    kinds: Vec<&'static str>,
    measured: BTreeMap<(&'static str, usize), Vec<Measured>>,
}

/// Least, middle and most of some durations.
struct Spread {
    least: Duration,
    median: Duration,
    most: Duration,
}

impl Report {
    /// Without measurements; the first builder is the one that the others are compared with.
    pub fn new(builders: Vec<String>) -> Report {
        Report { builders, kinds: Vec::new(), measured: BTreeMap::new() }
    }

    /// Prints what the numbers depend on.
    pub fn describe_machine(&self) {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let kernel = run(tool("uname").arg("-r")).stdout;
        let pigz = if installed("unpigz").is_some() { "with" } else { "without" };
        println!("{cores} cores, Linux {}, {pigz} pigz; podman runs what buildah builds", kernel.trim());
        println!("builders: {}\n", self.builders.join(", "));
    }

    /// Adds a measurement.
    pub fn add(&mut self, kind: &'static str, builder: usize, measured: Measured) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
        eprintln!("  {kind}: {} {}", self.builders[builder], seconds(measured.wall));
        self.measured.entry((kind, builder)).or_default().push(measured);
    }

    /// Prints the table, and which of the things asked for hold.
    pub fn print(&self) {
        println!(
            "{:<20}{:<20}{:>8}{:>9}{:>9}{:>8}{:>10}{:>10}",
            "", "", "min", "median", "max", "ratio", "process", "daemons"
        );
        for kind in &self.kinds {
            for (number, name) in self.builders.iter().enumerate() {
                self.print_row(kind, number, name);
            }
        }
        println!();
        for (kind, builder, peer, times) in ASKED {
            match self.ratio(kind, builder, peer) {
                Some(ratio) => {
                    let verdict = if ratio >= *times { "holds" } else { "MISSED" };
                    println!(
                        "{verdict:<7} {kind}: {builder} {ratio:.1} times as fast as {peer}, {times} asked"
                    );
                }
                None => println!("unknown {kind}: {builder} or {peer} took no part"),
            }
        }
        for (kind, limit) in LIMITS {
            if let Some(spread) = self.spread(kind, 0) {
                let verdict = if spread.median <= *limit { "holds" } else { "MISSED" };
                println!("{verdict:<7} {kind}: {:?}, {limit:?} asked", spread.median);
            }
        }
        let most = self.kinds.iter().map(|kind| self.memory(kind, 0).0).max().unwrap_or_default();
        let verdict = if most <= MEMORY { "holds" } else { "MISSED" };
        println!("{verdict:<7} peak memory: {}, {} asked", megabytes(most), megabytes(MEMORY));
    }

    fn print_row(&self, kind: &'static str, number: usize, name: &str) {
        let Some(spread) = self.spread(kind, number) else { return };
        let ratio =
            self.spread(kind, 0).map_or(0.0, |own| spread.median.as_secs_f64() / own.median.as_secs_f64());
        let (process, daemons) = self.memory(kind, number);
        let title = if number == 0 { kind } else { "" };
        println!(
            "{title:<20}{name:<20}{:>8}{:>9}{:>9}{ratio:>8.1}{:>10}{:>10}",
            seconds(spread.least),
            seconds(spread.median),
            seconds(spread.most),
            megabytes(process),
            if daemons == 0 { String::new() } else { megabytes(daemons) },
        );
    }

    fn ratio(&self, kind: &'static str, builder: &str, peer: &str) -> Option<f64> {
        let number = |builder: &str| self.builders.iter().position(|name| name.starts_with(builder));
        let (own, theirs) = (self.spread(kind, number(builder)?)?, self.spread(kind, number(peer)?)?);
        Some(theirs.median.as_secs_f64() / own.median.as_secs_f64())
    }

    fn spread(&self, kind: &'static str, builder: usize) -> Option<Spread> {
        let mut walls: Vec<Duration> =
            self.measured.get(&(kind, builder))?.iter().map(|one| one.wall).collect();
        walls.sort_unstable();
        Some(Spread { least: walls[0], median: walls[walls.len() / 2], most: walls[walls.len() - 1] })
    }

    /// The peak of the processes, and that of the daemons.
    fn memory(&self, kind: &'static str, builder: usize) -> (u64, u64) {
        let all = self.measured.get(&(kind, builder)).map(Vec::as_slice).unwrap_or_default();
        let peak = |of: fn(&Measured) -> u64| all.iter().map(of).max().unwrap_or_default();
        (peak(|one| one.memory), peak(|one| one.daemons))
    }
}

fn seconds(duration: Duration) -> String {
    match duration.as_millis() {
        // A part of a piece of work takes less than what three digits show.
        0..100 => format!("{:.6}", duration.as_secs_f64()),
        _ => format!("{:.3}", duration.as_secs_f64()),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

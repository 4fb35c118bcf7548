//! What the builders have to do: a context of ten thousand files with a Dockerfile, long chains of small steps, and many
//! stages.

use std::cell::Cell;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const DIRECTORIES: u64 = 100;
const FILES_IN_EACH: u64 = 100;
const SMALLEST: u64 = 1024;
const LARGEST: u64 = 20 * 1024;

/// Lists the tree and writes 100 MB that no compressor makes smaller, then something small.
const STEPS: &str = "WORKDIR /work\nCOPY . .\n\
    RUN find . -type f | sort > /list && dd if=/dev/urandom of=/data bs=1M count=100 2>/dev/null\n\
    RUN echo small > /small\nCMD [\"true\"]\n";

/// The contexts.
pub struct Work {
    directory: PathBuf,
    base: String,
    changes: Cell<u32>,
}

impl Work {
    /// Makes the contexts below `disk`, on the Debian base of the registry.
    pub fn make(disk: &Path, registry: &str) -> Work {
        let work =
            Work { directory: disk.join("work"), base: format!("{registry}/debian"), changes: Cell::new(0) };
        let context = work.context();
        let mut numbers = Numbers(42);
        for directory in 0..DIRECTORIES {
            let path = context.join(format!("directory-{directory:02}"));
            fs::create_dir_all(&path).expect("the disk is writable");
            for file in 0..FILES_IN_EACH {
                let size = SMALLEST + numbers.below(LARGEST - SMALLEST);
                fs::write(path.join(format!("file-{file:02}.txt")), numbers.text(size))
                    .expect("the disk has room");
            }
        }
        fs::write(context.join("Dockerfile"), format!("FROM {}\n{STEPS}", work.base))
            .expect("the disk has room");
        work
    }

    /// The context of ten thousand files.
    pub fn context(&self) -> PathBuf {
        self.directory.join("context")
    }

    /// Gives one of the ten thousand files another content.
    pub fn change_one_file(&self) {
        let number = self.changes.get() + 1;
        self.changes.set(number);
        let path = self.context().join("directory-50/file-50.txt");
        fs::write(path, format!("changed {number} times\n")).expect("the disk has room");
    }

    /// A context with a chain of that many small steps, none of which was run in an earlier round. Each has its own words: two
    /// equal commands on the same files are one step to kiln.
    pub fn chain(&self, round: usize, steps: usize) -> PathBuf {
        let mut text = format!("FROM {}\nENV ROUND={round}\n", self.base);
        for step in 0..steps {
            writeln!(text, "RUN true {step}").expect("a string takes everything");
        }
        self.dockerfile(&format!("chain-{steps}-{round}"), &text)
    }

    /// A context with that many stages, each with a step, all of which the last one needs. Its file `last` is copied there.
    pub fn stages(&self, stages: usize) -> PathBuf {
        let mut text = String::new();
        for stage in 0..stages {
            writeln!(text, "FROM {} AS s{stage}\nRUN echo {stage} > /out{stage}", self.base)
                .expect("a string takes everything");
        }
        text.push_str("FROM scratch\n");
        for stage in 0..stages {
            writeln!(text, "COPY --from=s{stage} /out{stage} /").expect("a string takes everything");
        }
        text.push_str("COPY last /\n");
        let context = self.dockerfile(&format!("stages-{stages}"), &text);
        self.change_last(&context);
        context
    }

    /// Gives the file that the last step copies another content.
    pub fn change_last(&self, context: &Path) {
        let number = self.changes.get() + 1;
        self.changes.set(number);
        fs::write(context.join("last"), format!("changed {number} times\n")).expect("the disk has room");
    }

    fn dockerfile(&self, name: &str, text: &str) -> PathBuf {
        let context = self.directory.join(name);
        fs::create_dir_all(&context).expect("the disk is writable");
        fs::write(context.join("Dockerfile"), text).expect("the disk has room");
        context
    }
}

/// Numbers that look random and are the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Text of words and numbers, about as compressible as program sources.
    fn text(&mut self, size: u64) -> String {
        const WORDS: [&str; 16] = [
            "let", "layer", "(", ")", "{", "}", "return", "digest", "=", "path", ";\n", "self.", "match",
            "->", "if", "store",
        ];
        let size = usize::try_from(size).expect("a small number");
        let mut text = String::with_capacity(size + 16);
        while text.len() < size {
            let number = self.next();
            text.push_str(WORDS[usize::try_from(number % 16).expect("less than 16")]);
            write!(text, " {:x} ", number >> 44).expect("a string takes everything");
        }
        text.truncate(size);
        text
    }
}

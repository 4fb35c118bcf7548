//! A thousand random graphs of file operations, merges and differences, built and compared with the model. All of them use one
//! store, so that an answer of the cache that is not theirs is found, too.

use super::model::{CopyRules, Editing, Fails, Layer, difference, merged};
use super::world::World;
use super::{Writer, file};
use crate::api::pb;
use crate::api::pb::file_action::Action;

/// How many graphs.
const GRAPHS: u64 = 1000;

/// The time of everything: times are not modelled.
const TIME: i64 = 1_500_000_000_000_000_000;

/// Numbers that look random; the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end as u64)).unwrap()
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn path(&mut self) -> String {
        (0..=self.below(3)).flat_map(|_| ["/", self.pick(&["a", "b", "c.d"])]).collect()
    }

    fn mode(&mut self) -> u32 {
        [0o755, 0o700, 0o644, 0o600][self.below(4)]
    }
}

/// A result that operations can take: where it is in the definition (nothing for an empty file system), and its layers.
struct Made {
    edge: Option<String>,
    layers: Vec<Layer>,
}

/// A graph that is being made.
struct Growing {
    numbers: Numbers,
    writer: Writer,
    results: Vec<Made>,
}

impl Growing {
    fn pick(&mut self) -> usize {
        self.numbers.below(self.results.len())
    }

    /// One more operation; whether it is one that fails.
    fn grow(&mut self) -> Result<(), Fails> {
        match self.numbers.below(6) {
            0 => self.merge(),
            1 => self.diff(),
            _ => return self.file(),
        }
        Ok(())
    }

    fn merge(&mut self) {
        let picked: Vec<usize> = (0..2 + self.numbers.below(2)).map(|_| self.pick()).collect();
        let layers = picked.iter().flat_map(|index| self.results[*index].layers.clone()).collect();
        let (inputs, numbers) = self.inputs(&picked);
        let inputs_of = numbers.iter().map(|input| pb::MergeInput { input: *input }).collect();
        let edge = self.writer.add(pb::op::Op::Merge(pb::MergeOp { inputs: inputs_of }), &edges(&inputs));
        self.results.push(Made { edge: Some(edge), layers });
    }

    fn diff(&mut self) {
        let picked = [self.pick(), self.pick()];
        let [lower, upper] = picked.map(|index| self.results[index].layers.clone());
        let layers = match upper.strip_prefix(lower.as_slice()) {
            Some(rest) => rest.to_vec(),
            None => vec![difference(&merged(&lower), &merged(&upper))],
        };
        let (inputs, numbers) = self.inputs(&picked);
        let op = pb::DiffOp {
            lower: Some(pb::LowerDiffInput { input: numbers[0] }),
            upper: Some(pb::UpperDiffInput { input: numbers[1] }),
        };
        let edge = self.writer.add(pb::op::Op::Diff(op), &edges(&inputs));
        self.results.push(Made { edge: Some(edge), layers });
    }

    fn file(&mut self) -> Result<(), Fails> {
        let first = self.pick();
        let count = 1 + self.numbers.below(3);
        let others: Vec<usize> = (0..count).map(|_| self.pick()).collect();
        let picked: Vec<usize> = std::iter::once(first).chain(others.iter().copied()).collect();
        let (inputs, numbers) = self.inputs(&picked);
        let mut editing = Editing::new(merged(&self.results[first].layers));
        let (mut actions, mut fails) = (Vec::new(), false);
        for (other, secondary) in others.iter().zip(&numbers[1..]) {
            let (action, outcome) = self.likely(&mut editing, *other);
            actions.push((action, *secondary));
            if outcome.is_err() {
                fails = true;
                break;
            }
        }
        let count = i64::try_from(inputs.len()).unwrap();
        let edge = self.writer.add(file(actions, numbers[0], count), &edges(&inputs));
        let mut layers = self.results[first].layers.clone();
        layers.push(editing.layer());
        self.results.push(Made { edge: Some(edge), layers });
        if fails { Err(Fails) } else { Ok(()) }
    }

    /// An action that fails seldom: most of those that would are passed over.
    fn likely(&mut self, editing: &mut Editing, other: usize) -> (Action, Result<(), Fails>) {
        loop {
            let mut tried = editing.clone();
            let (action, outcome) = self.action(&mut tried, other);
            if outcome.is_ok() || self.numbers.below(40) == 0 {
                *editing = tried;
                return (action, outcome);
            }
        }
    }

    fn action(&mut self, editing: &mut Editing, other: usize) -> (Action, Result<(), Fails>) {
        let (path, mode) = (self.numbers.path(), self.numbers.mode());
        let message_mode = i32::try_from(mode).unwrap();
        match self.numbers.below(8) {
            0 | 1 => {
                let data = self.numbers.pick(&["", "one", "two"]).as_bytes().to_vec();
                let outcome = editing.make_file(&path, mode, &data);
                let (timestamp, owner) = (TIME, None);
                (
                    Action::Mkfile(pb::FileActionMkFile { path, mode: message_mode, data, owner, timestamp }),
                    outcome,
                )
            }
            2 | 3 => {
                let make_parents = self.numbers.coin();
                let outcome = editing.make_directory(&path, mode, make_parents);
                let (timestamp, owner) = (TIME, None);
                let mode = message_mode;
                (Action::Mkdir(pb::FileActionMkDir { path, mode, make_parents, owner, timestamp }), outcome)
            }
            4 => {
                let target = self.numbers.pick(&["a", "/b", "../a", "c.d", "b/a", "/"]).to_owned();
                let outcome = editing.make_link(&path, &target);
                let (timestamp, owner) = (TIME, None);
                (
                    Action::Symlink(pb::FileActionSymlink {
                        oldpath: target,
                        newpath: path,
                        owner,
                        timestamp,
                    }),
                    outcome,
                )
            }
            5 => {
                let allow_not_found = self.numbers.coin();
                let outcome = editing.remove(&path, allow_not_found);
                (Action::Rm(pb::FileActionRm { path, allow_not_found, allow_wildcard: false }), outcome)
            }
            _ => self.copy(editing, other, path),
        }
    }

    fn copy(&mut self, editing: &mut Editing, other: usize, dest: String) -> (Action, Result<(), Fails>) {
        let src = if self.numbers.below(4) == 0 { "/".to_owned() } else { self.numbers.path() };
        let dest = if self.numbers.below(4) == 0 { format!("{dest}/") } else { dest };
        let mode = self.numbers.coin().then(|| self.numbers.mode());
        let rules = CopyRules {
            follow: self.numbers.coin(),
            contents: self.numbers.coin(),
            parents: self.numbers.coin(),
            replace: self.numbers.coin(),
            mode,
        };
        let from = merged(&self.results[other].layers);
        let outcome = editing.copy(&from, &src, &dest, rules);
        let copy = pb::FileActionCopy {
            src,
            dest,
            mode: mode.map_or(-1, |mode| i32::try_from(mode).unwrap()),
            follow_symlink: rules.follow,
            dir_copy_contents: rules.contents,
            create_dest_path: rules.parents,
            always_replace_existing_dest_paths: rules.replace,
            timestamp: TIME,
            ..pb::FileActionCopy::default()
        };
        (Action::Copy(copy), outcome)
    }

    /// The inputs of an operation that takes these results, and the number of each: -1 for an empty file system.
    fn inputs(&self, picked: &[usize]) -> (Vec<String>, Vec<i64>) {
        let mut inputs: Vec<String> = Vec::new();
        let mut numbers = Vec::new();
        for index in picked {
            let Some(edge) = &self.results[*index].edge else {
                numbers.push(-1);
                continue;
            };
            let known = inputs.iter().position(|known| known == edge);
            let number = known.unwrap_or_else(|| {
                inputs.push(edge.clone());
                inputs.len() - 1
            });
            numbers.push(i64::try_from(number).unwrap());
        }
        (inputs, numbers)
    }
}

fn edges(inputs: &[String]) -> Vec<(&str, i64)> {
    inputs.iter().map(|digest| (digest.as_str(), 0)).collect()
}

#[tokio::test]
async fn random_graphs_build_what_the_model_says() {
    let world = World::new();
    let (mut built, mut failed) = (0, 0);
    for seed in 1..=GRAPHS {
        let empty = Made { edge: None, layers: Vec::new() };
        let numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut growing = Growing { numbers, writer: Writer::default(), results: vec![empty] };
        let outcome = (0..2 + growing.numbers.below(6)).try_for_each(|_| growing.grow());
        let Some(Made { edge: Some(edge), layers }) = growing.results.last() else { continue };
        let said = world.build(&growing.writer.definition((edge, 0))).await;
        if outcome == Ok(()) {
            assert_eq!(said.as_ref(), Ok(&merged(layers)), "graph {seed}");
            built += 1;
        } else {
            assert!(said.is_err(), "graph {seed} was built, and should not");
            failed += 1;
        }
    }
    assert!(built > 500 && failed > 100, "{built} were built, {failed} failed");
}

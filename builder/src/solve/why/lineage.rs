//! Which step of the last build a step was: the same instruction, or the one that was edited into it. Pure.
//!
//! Within a stage, equal instructions are matched in order as a diff does; what is left between two of them is paired,
//! first with first, where the keyword (`RUN`, `COPY`) is the same. A stage that was renamed is the one of the old stages
//! without a successor that has most of its instructions.

use std::collections::{BTreeMap, BTreeSet};

/// A step, as far as it counts here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    /// Its stage.
    pub(crate) stage: &'a str,
    /// The instruction (`RUN make`).
    pub(crate) instruction: &'a str,
}

/// Two stages are compared line by line only up to this many pairs of lines.
const MOST_PAIRS: usize = 4_000_000;

/// For each new step, the number of the old one that it was.
pub(crate) fn align(old: &[Written<'_>], new: &[Written<'_>]) -> Vec<Option<usize>> {
    let (old_stages, new_stages) = (stages(old), stages(new));
    let mut free: BTreeSet<&str> =
        old_stages.keys().filter(|name| !new_stages.contains_key(*name)).copied().collect();
    let mut was = vec![None; new.len()];
    for (name, lines) in &new_stages {
        let before = match old_stages.get(name) {
            Some(before) => before,
            None => match renamed(old, new, &old_stages, &free, lines) {
                Some(before) => {
                    free.remove(before);
                    &old_stages[before]
                }
                None => continue,
            },
        };
        pair(old, new, before, lines, &mut was);
    }
    was
}

type Stages<'a> = BTreeMap<&'a str, Vec<usize>>;

fn stages<'a>(steps: &[Written<'a>]) -> Stages<'a> {
    let mut stages = Stages::new();
    for (number, step) in steps.iter().enumerate() {
        stages.entry(step.stage).or_default().push(number);
    }
    stages
}

/// The old stage that has most instructions of these lines, if any has one.
fn renamed<'a>(
    old: &[Written<'a>],
    new: &[Written<'_>],
    stages: &Stages<'a>,
    free: &BTreeSet<&'a str>,
    lines: &[usize],
) -> Option<&'a str> {
    let wanted: BTreeSet<&str> = lines.iter().map(|line| new[*line].instruction).collect();
    let shared =
        |name: &str| stages[name].iter().filter(|line| wanted.contains(old[**line].instruction)).count();
    free.iter().map(|name| (shared(name), *name)).filter(|(count, _)| *count > 0).max().map(|(_, name)| name)
}

/// Pairs the lines of one stage.
fn pair(
    old: &[Written<'_>],
    new: &[Written<'_>],
    before: &[usize],
    lines: &[usize],
    was: &mut [Option<usize>],
) {
    let equal = |(i, j): (usize, usize)| old[before[i]].instruction == new[lines[j]].instruction;
    let (mut i, mut j) = (0, 0);
    for (a, b) in common(before.len(), lines.len(), equal).into_iter().chain([(before.len(), lines.len())]) {
        edited(old, new, &before[i..a], &lines[j..b], was);
        if a < before.len() && b < lines.len() {
            was[lines[b]] = Some(before[a]);
        }
        (i, j) = (a + 1, b + 1);
    }
}

/// Pairs what stands between two equal instructions.
fn edited(
    old: &[Written<'_>],
    new: &[Written<'_>],
    before: &[usize],
    lines: &[usize],
    was: &mut [Option<usize>],
) {
    let keyword = |instruction: &str| instruction.split_whitespace().next().unwrap_or_default().to_owned();
    let mut left: Vec<usize> = before.to_vec();
    for line in lines {
        let wanted = keyword(new[*line].instruction);
        if let Some(at) = left.iter().position(|number| keyword(old[*number].instruction) == wanted) {
            was[*line] = Some(left[at]);
            // Lines do not cross: what stands before the one that was taken is gone.
            left.drain(..=at);
        }
    }
}

/// A longest common subsequence of two lists, as pairs of numbers.
fn common(old: usize, new: usize, equal: impl Fn((usize, usize)) -> bool) -> Vec<(usize, usize)> {
    let start = (0..old.min(new)).take_while(|at| equal((*at, *at))).count();
    let mut pairs: Vec<(usize, usize)> = (0..start).map(|at| (at, at)).collect();
    let (rows, columns) = (old - start, new - start);
    if rows == 0 || columns == 0 || rows.saturating_mul(columns) > MOST_PAIRS {
        return pairs;
    }
    let at = |row: usize, column: usize| row * (columns + 1) + column;
    let mut longest = vec![0_u32; (rows + 1) * (columns + 1)];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            longest[at(row, column)] = if equal((start + row, start + column)) {
                longest[at(row + 1, column + 1)] + 1
            } else {
                longest[at(row + 1, column)].max(longest[at(row, column + 1)])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    while row < rows && column < columns {
        if equal((start + row, start + column)) {
            pairs.push((start + row, start + column));
            (row, column) = (row + 1, column + 1);
        } else if longest[at(row + 1, column)] >= longest[at(row, column + 1)] {
            row += 1;
        } else {
            column += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps<'a>(texts: &[&'a str]) -> Vec<Written<'a>> {
        let split = |text: &'a str| text.split_once(": ").unwrap_or(("", text));
        texts
            .iter()
            .map(|text| split(text))
            .map(|(stage, instruction)| Written { stage, instruction })
            .collect()
    }

    fn aligned(old: &[&str], new: &[&str]) -> Vec<Option<usize>> {
        align(&steps(old), &steps(new))
    }

    #[test]
    fn an_edited_instruction_is_the_one_in_its_place() {
        let old = ["COPY . .", "RUN make", "RUN test"];
        assert_eq!(aligned(&old, &["COPY . .", "RUN make all", "RUN test"]), [Some(0), Some(1), Some(2)]);
        assert_eq!(
            aligned(&old, &["COPY . .", "WORKDIR /x", "RUN make all", "RUN test"]).last(),
            Some(&Some(2))
        );
        assert_eq!(aligned(&old, &["COPY . .", "WORKDIR /x", "RUN test"]), [Some(0), None, Some(2)]);
    }

    #[test]
    fn added_and_removed_lines_move_none_of_the_others() {
        let old = ["RUN a", "RUN b", "RUN c"];
        assert_eq!(aligned(&old, &["RUN b", "RUN c"]), [Some(1), Some(2)]);
        assert_eq!(
            aligned(&old, &["RUN a", "COPY x .", "RUN b", "RUN c"]),
            [Some(0), None, Some(1), Some(2)]
        );
        assert_eq!(
            aligned(&["RUN true", "RUN true"], &["RUN true", "RUN true", "RUN true"]),
            [Some(0), Some(1), None]
        );
    }

    #[test]
    fn stages_are_apart_and_may_be_renamed() {
        let old = ["a: RUN x", "b: RUN y"];
        assert_eq!(aligned(&old, &["b: RUN y2", "a: RUN x"]), [Some(1), Some(0)]);
        assert_eq!(aligned(&old, &["a: RUN x", "c: RUN y"]), [Some(0), Some(1)]);
        assert_eq!(aligned(&old, &["a: RUN x", "c: RUN z"]), [Some(0), None]);
    }

    #[test]
    fn an_endless_list_is_not_compared_pair_by_pair() {
        let old: Vec<String> = (0..3000).map(|number| format!("RUN {number}")).collect();
        let new: Vec<String> = (0..3000).map(|number| format!("RUN {}", number + 1)).collect();
        let (old, new): (Vec<&str>, Vec<&str>) =
            (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
        assert_eq!(aligned(&old, &new).len(), 3000);
    }
}

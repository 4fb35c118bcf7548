//! What is to go so that a store fits its limit. Pure: sizes, times and references in, a list of victims out.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What takes less than this and keeps nothing else alive goes last: it was kept because making it again costs more.
const WORTHWHILE: u64 = 64 * 1024;

/// Something that can be removed on its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Bytes on disk that go with it.
    pub bytes: u64,
    /// What must stay while this stays. Without circles.
    pub holds: Vec<usize>,
    /// When it was used last, nanoseconds since 1970.
    pub used: i64,
    /// When it was made. Of what was used at the same time, the newest goes first: the end of a chain of steps before
    /// its beginning.
    pub made: i64,
    /// A name or a running process needs it.
    pub pinned: bool,
    /// It is among what may go at all.
    pub eligible: bool,
}

/// What goes, in an order in which nothing that stays refers to what is gone already.
///
/// Least recently used first, until everything together takes at most `limit` bytes; `rest` bytes never go. What was
/// only there for something that goes, goes with it.
pub(crate) fn victims(units: &[Unit], rest: u64, limit: u64) -> Vec<usize> {
    let kept = kept(units);
    let mut holders = vec![0_usize; units.len()];
    for held in units.iter().flat_map(|unit| &unit.holds) {
        holders[*held] += 1;
    }
    let mut queues = [BinaryHeap::new(), BinaryHeap::new()];
    for (index, unit) in units.iter().enumerate() {
        if !kept[index] && holders[index] == 0 {
            let worthwhile = unit.bytes >= WORTHWHILE || unit.holds.iter().any(|held| !kept[*held]);
            let order = (Reverse(unit.used), unit.made, Reverse(index));
            queues[usize::from(!worthwhile)].push((order, index));
        }
    }
    let mut total = units.iter().fold(rest, |total, unit| total.saturating_add(unit.bytes));
    let mut victims = Vec::new();
    while total > limit {
        let [first, second] = &mut queues;
        let Some((_, index)) = first.pop().or_else(|| second.pop()) else { break };
        let mut going = vec![index];
        while let Some(index) = going.pop() {
            victims.push(index);
            total = total.saturating_sub(units[index].bytes);
            for held in &units[index].holds {
                holders[*held] -= 1;
                if holders[*held] == 0 && !kept[*held] {
                    going.push(*held);
                }
            }
        }
    }
    victims
}

/// What stays in any case: what is pinned, what is not to be touched, and what those hold.
pub(crate) fn kept(units: &[Unit]) -> Vec<bool> {
    let mut kept = vec![false; units.len()];
    let mut todo: Vec<usize> =
        (0..units.len()).filter(|index| units[*index].pinned || !units[*index].eligible).collect();
    while let Some(index) = todo.pop() {
        if !std::mem::replace(&mut kept[index], true) {
            todo.extend(&units[index].holds);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn unit(bytes: u64, used: i64, holds: &[usize]) -> Unit {
        Unit { bytes, used, made: used, holds: holds.to_vec(), pinned: false, eligible: true }
    }

    /// Large enough to be worth removing.
    const MIB: u64 = 1 << 20;

    #[test]
    fn the_least_recently_used_goes_first_and_no_more_than_need_be() {
        let units = [unit(MIB, 3, &[]), unit(MIB, 1, &[]), unit(MIB, 2, &[])];
        assert_eq!(victims(&units, 0, 3 * MIB), [0; 0]);
        assert_eq!(victims(&units, 0, 3 * MIB - 1), [1]);
        assert_eq!(victims(&units, 1, 3 * MIB), [1]);
        assert_eq!(victims(&units, 0, MIB), [1, 2]);
        assert_eq!(victims(&units, 0, 0), [1, 2, 0]);
    }

    #[test]
    fn the_end_of_a_chain_goes_before_its_beginning() {
        let mut units = [unit(MIB, 5, &[]), unit(MIB, 5, &[]), unit(MIB, 5, &[])];
        for (made, unit) in [(10, 0), (12, 1), (11, 2)] {
            units[unit].made = made;
        }
        assert_eq!(victims(&units, 0, 0), [1, 2, 0]);
    }

    #[test]
    fn what_is_shared_goes_with_its_last_holder() {
        let units = [unit(1, 1, &[2]), unit(1, 2, &[2]), unit(MIB, 0, &[3]), unit(MIB, 9, &[])];
        assert_eq!(victims(&units, 0, 2 * MIB + 1), [0]);
        assert_eq!(victims(&units, 0, 2 * MIB), [0, 1, 2, 3]);
    }

    #[test]
    fn what_is_pinned_keeps_what_it_holds() {
        let mut units = [unit(1, 1, &[1]), unit(MIB, 1, &[2]), unit(MIB, 1, &[]), unit(MIB, 2, &[])];
        units[0].pinned = true;
        assert_eq!(victims(&units, 0, 0), [3]);
        units[0] = Unit { pinned: false, eligible: false, ..units[0].clone() };
        assert_eq!(victims(&units, 0, 0), [3]);
    }

    #[test]
    fn small_things_that_free_nothing_go_last() {
        let mut units = [unit(4096, 1, &[1]), unit(MIB, 1, &[]), unit(MIB, 7, &[]), unit(4096, 2, &[])];
        units[1].pinned = true;
        assert_eq!(victims(&units, 0, MIB + 8192), [2], "the record of a pinned layer would free nothing");
        assert_eq!(victims(&units, 0, 0), [2, 0, 3]);
    }

    fn any_unit(index: usize) -> impl Strategy<Value = Unit> {
        let holds = proptest::collection::btree_set(0..index.max(1), 0..3);
        let bytes = prop_oneof![0..10_u64, WORTHWHILE..4 * WORTHWHILE];
        (bytes, holds, 0..6_i64, 0..6_i64, 0..8_u8, 0..8_u8).prop_map(
            move |(bytes, holds, used, made, pinned, eligible)| Unit {
                bytes,
                holds: if index == 0 { Vec::new() } else { holds.into_iter().collect() },
                used,
                made,
                pinned: pinned == 0,
                eligible: eligible != 0,
            },
        )
    }

    fn any_units() -> impl Strategy<Value = Vec<Unit>> {
        (0..24_usize).prop_flat_map(|count| (0..count).map(any_unit).collect::<Vec<_>>())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn the_rules_hold_for_any_store(units in any_units(), rest in 0..9_u64, percent in 0..120_u64) {
            let bytes = |units: &mut dyn Iterator<Item = &Unit>| units.map(|unit| unit.bytes).sum::<u64>();
            let total = rest + bytes(&mut units.iter());
            let limit = total * percent / 100;
            let victims = victims(&units, rest, limit);
            let gone: BTreeSet<usize> = victims.iter().copied().collect();
            prop_assert_eq!(gone.len(), victims.len(), "each goes once");

            // Nothing that is needed goes, at no moment.
            let mut left: BTreeSet<usize> = (0..units.len()).collect();
            for victim in &victims {
                prop_assert!(!units[*victim].pinned && units[*victim].eligible);
                left.remove(victim);
                prop_assert!(left.iter().all(|unit| !units[*unit].holds.contains(victim)));
            }
            // It fits, or all that may go is gone.
            let after = total - bytes(&mut victims.iter().map(|victim| &units[*victim]));
            let kept = kept(&units);
            prop_assert!(after <= limit || (0..units.len()).all(|unit| kept[unit] || gone.contains(&unit)));
            // Nothing goes that need not: a part of the list would not have been enough.
            let roots: Vec<usize> = (0..victims.len())
                .filter(|at| !victims[..*at].iter().any(|earlier| units[*earlier].holds.contains(&victims[*at])))
                .collect();
            if let Some(last) = roots.last() {
                let before = total - bytes(&mut victims[..*last].iter().map(|victim| &units[*victim]));
                prop_assert!(before > limit);
            }
            // What is large goes in the order of its last use.
            let held = |unit: usize| units.iter().any(|other| other.holds.contains(&unit));
            let free = |unit: usize| !kept[unit] && !held(unit) && units[unit].bytes >= WORTHWHILE;
            for stays in (0..units.len()).filter(|unit| free(*unit) && !gone.contains(unit)) {
                for goes in gone.iter().copied().filter(|unit| free(*unit)) {
                    prop_assert!(units[goes].used <= units[stays].used);
                }
            }
            // What nothing holds any more went with its last holder.
            for unit in (0..units.len()).filter(|unit| !kept[*unit] && !gone.contains(unit)) {
                let holders: Vec<usize> =
                    (0..units.len()).filter(|other| units[*other].holds.contains(&unit)).collect();
                prop_assert!(holders.is_empty() || holders.iter().any(|holder| !gone.contains(holder)));
            }
        }
    }
}

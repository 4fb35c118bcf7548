//! Filters and policies against what they select and keep.

#![allow(clippy::unwrap_used)]

use super::*;

fn now() -> Timestamp {
    "2026-01-03T00:00:00Z".parse().unwrap()
}

fn read(filters: &[&str]) -> Result<Vec<Selection>, FilterError> {
    selections(&filters.iter().map(|&filter| filter.to_owned()).collect::<Vec<_>>(), now())
}

#[test]
fn conditions_of_one_filter_hold_together_and_filters_add_up() {
    assert_eq!(read(&[]).unwrap(), [Selection::default()]);
    assert_eq!(read(&[""]).unwrap(), [Selection::default()]);
    let two = read(&["type==exec.cachemount,description~=apt,inuse!=true", "shared"]).unwrap();
    assert_eq!(two[0].kinds, [ItemKind::CacheMount]);
    assert_eq!(two[0].descriptions, ["apt"]);
    assert_eq!((two[0].in_use, two[0].shared, two[1].shared), (Some(false), None, Some(true)));
    let old = read(&["until=24h", "type=regular,private"]).unwrap();
    assert_eq!(old[0].unused_since, Some("2026-01-02T00:00:00Z".parse().unwrap()));
    assert_eq!((old[1].kinds.clone(), old[1].shared), (vec![ItemKind::Regular], Some(false)));
}

#[test]
fn a_kind_that_nothing_is_of_selects_nothing() {
    for filter in ["type==frontend", "id==ab,type==frontend", "type==regular,type==image", "id==a,id==b"] {
        let selected = read(&[filter]).unwrap().remove(0);
        assert_eq!(selected.ids, [NOTHING], "{filter}");
    }
}

#[test]
fn filters_that_mean_nothing_are_named() {
    for (filter, said) in [
        ("label==x", "`label` is not known"),
        ("inuse==7", "cannot be asked"),
        ("type!=regular", "cannot be asked"),
        ("until=yesterday", "cannot be asked"),
        ("id!x", "cannot be asked"),
    ] {
        let error = read(&[filter]).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(filter), "{filter}: {error}");
    }
}

#[test]
fn what_the_store_keeps_for_itself_goes_only_with_all() {
    let some = Policy::default().selections(now()).unwrap().remove(0);
    assert!(!some.kinds.contains(&ItemKind::Internal) && some.kinds.contains(&ItemKind::Regular));
    let all = Policy { all: true, unused_for: Duration::from_hours(1), ..Policy::default() };
    let all = all.selections(now()).unwrap().remove(0);
    assert!(all.kinds.is_empty());
    assert_eq!(all.unused_since, Some("2026-01-02T23:00:00Z".parse().unwrap()));
}

#[test]
fn amounts_that_are_kept() {
    let policy = |max_used, min_free, reserved| Policy { reserved, max_used, min_free, ..Policy::default() };
    let table = [
        // limit, free on the disk, reserve; store, free now; kept
        (policy(0, 0, 0), 100, 0, None),
        (policy(0, 0, 30), 100, 0, Some(30)),
        (policy(50, 0, 30), 100, 0, Some(50)),
        (policy(50, 20, 30), 100, 20, Some(50)),
        (policy(0, 20, 30), 100, 5, Some(85)),
        (policy(50, 80, 30), 100, 5, Some(30)),
        (policy(0, 20, 30), 100, 500, Some(100)),
        (policy(0, 200, 0), 100, 0, Some(0)),
    ];
    for (policy, total, free, kept) in table {
        assert_eq!(policy.keep(total, free), kept, "{policy:?}");
    }
}

#[test]
fn what_went_is_what_is_not_there_any_more() {
    let item = |id: &str, bytes| Item {
        id: id.to_owned(),
        kind: ItemKind::Regular,
        bytes,
        created: None,
        last_used: None,
        in_use: false,
        named: false,
        shared: false,
        description: String::new(),
    };
    let lost = gone(vec![item("a", 5), item("b", 7), item("c", 9)], &[item("b", 7), item("c", 4)]);
    let lost: Vec<_> = lost.into_iter().map(|record| (record.id, record.size)).collect();
    assert_eq!(lost, [("a".to_owned(), 5), ("c".to_owned(), 5)]);
}

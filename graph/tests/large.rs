//! Files whose plans would be out of proportion to them, were nothing counted. Nothing is timed here; what is not refused
//! shows as a test that ends for want of memory.
#![allow(clippy::unwrap_used)]

// Plans are printed by the goldens only.
#[allow(dead_code)]
mod toy;

use std::fmt::Write;

use kiln_graph::{LowerOptions, Lowered, lower};

fn lowered(source: &str) -> Lowered {
    let dockerfile = kiln_parser::parse(source).dockerfile;
    lower(source, &dockerfile, &LowerOptions::default(), &toy::Bases::default())
}

fn is_refused(source: &str) -> bool {
    let lowered = lowered(source);
    lowered.plan.is_none() && lowered.diagnostics.iter().any(|found| found.code == "too-large")
}

#[test]
fn environments_are_counted_for_each_step() {
    let long = "x".repeat(60_000);
    assert!(is_refused(&format!("FROM debian:12\nENV A={long}\n{}", "RUN x\n".repeat(6_000))));
    assert!(lowered(&format!("FROM debian:12\nENV A={long}\n{}", "RUN x\n".repeat(1_000))).plan.is_some());
    let mut many = "FROM debian:12\n".to_owned();
    for number in 0..3_500 {
        write!(many, "ENV A{number}=b\nRUN x\n").unwrap();
    }
    assert!(is_refused(&many));
}

#[test]
fn histories_are_counted_for_each_stage() {
    let mut chain = "FROM debian:12 AS s0\n".to_owned();
    for number in 1..2_500 {
        write!(chain, "FROM s{} AS s{number}\nLABEL a={number}\n", number - 1).unwrap();
    }
    assert!(lowered(&chain).plan.is_some());
    let label = "x".repeat(50_000);
    let mut long = format!("FROM debian:12 AS s0\nLABEL x={label}\n");
    for number in 1..6_000 {
        writeln!(long, "FROM s{} AS s{number}", number - 1).unwrap();
    }
    assert!(is_refused(&long));
}

//! What reading a presence document costs, beside a plain walk of quick-xml over the same bytes.
//! `cargo bench --bench documents`: ratios of one run are what counts; the machine's speed drifts.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)]

use quick_xml::Reader;
use quick_xml::events::Event;
use sip_presence::presence::pidf::{self, Limits};
use sip_presence::presence::status;
use sip_presence::time::Instant;
use std::hint::black_box;

const ROUNDS: usize = 200;
const READS: u32 = 200;

/// Some 900 bytes, as a phone and a soft client of one person would publish them.
const DOCUMENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:bob@example.com">
  <tuple id="t4f1c">
    <status><basic>open</basic></status>
    <dm:deviceID>urn:uuid:48662e19-5fbf-43fc-a2fd-d23002787599</dm:deviceID>
    <contact priority="0.8">sip:bob@example.com</contact>
    <note xml:lang="en">In a meeting until three</note>
    <timestamp>2026-11-25T13:37:00Z</timestamp>
  </tuple>
  <dm:person id="p4f1c">
    <rpid:activities until="2026-11-25T15:00:00Z"><rpid:meeting/><rpid:busy/></rpid:activities>
    <rpid:mood><rpid:happy/></rpid:mood>
    <rpid:user-input idle-threshold="600">active</rpid:user-input>
    <dm:note xml:lang="en">In a meeting until three</dm:note>
    <dm:timestamp>2026-11-25T13:37:00Z</dm:timestamp>
  </dm:person>
</presence>
"#;

fn walk(text: &str) -> usize {
    let mut reader = Reader::from_str(text);
    let mut events = 0;
    while !matches!(black_box(reader.read_event().unwrap()), Event::Eof) {
        events += 1;
    }
    events
}

/// The shortest time of one call, in nanoseconds.
fn shortest(rounds: &mut [f64], round: usize, mut call: impl FnMut()) {
    let started = std::time::Instant::now();
    for _ in 0..READS {
        call();
    }
    rounds[round] = started.elapsed().as_secs_f64() * 1e9 / f64::from(READS);
}

fn main() {
    let limits = Limits::default();
    let now = Instant::from_millis(1_764_077_820_000);
    let (presence, warnings) = pidf::read(DOCUMENT.as_bytes(), &limits).unwrap();
    assert!(warnings.is_empty());
    let names = ["quick-xml, a walk", "read", "read and status rule", "write"];
    let mut times = vec![vec![0.0; ROUNDS]; names.len()];
    // One after the other in every round, so that a slow moment meets all of them.
    for round in 0..ROUNDS {
        shortest(&mut times[0], round, || {
            black_box(walk(black_box(DOCUMENT)));
        });
        shortest(&mut times[1], round, || {
            black_box(pidf::read(black_box(DOCUMENT.as_bytes()), &limits).unwrap());
        });
        shortest(&mut times[2], round, || {
            let (presence, _) = pidf::read(black_box(DOCUMENT.as_bytes()), &limits).unwrap();
            black_box(status::summarize(&presence, now));
        });
        shortest(&mut times[3], round, || {
            black_box(pidf::write(black_box(&presence)));
        });
    }
    println!("{} bytes; the best of {ROUNDS} rounds of {READS}", DOCUMENT.len());
    let best = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
    let unit = best(&times[0]);
    for (name, times) in names.iter().zip(&times) {
        println!("{name:<24} {:>8.0} ns   {:>5.2} x the walk", best(times), best(times) / unit);
    }
}

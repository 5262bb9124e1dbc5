//! Real messages spoiled at random. The seed decides everything.

use sip_presence::random::Random;

/// What is put in: ends of lines and of strings, numbers at the edge, beginnings of what is forbidden.
const SPLINTERS: &[&[u8]] = &[
    b"\r\n",
    b"\r",
    b"\n",
    b"\n ",
    b"\0",
    b"\"",
    b"\\",
    b"<",
    b">",
    b",",
    b";tag=",
    b";;=",
    b"\xff\xfe",
    b"\xc3",
    b"%00",
    b"[::",
    b"-1",
    b"0",
    b"4294967295",
    b"99999999999999999999",
    b"sip:",
    b"*",
    b"SIP/2.0 200 OK\r\n",
    b"Content-Length: 4294967296\r\n",
    b"Require: magic\r\n",
    b"Expires: 0\r\n",
    b"terminated;reason=probation;retry-after=4294967295",
    b"<!DOCTYPE x [<!ENTITY a \"b\">]>",
    b"&#0;",
    b"&a;",
    b"]]>",
    b"xmlns:a=\"b\" ",
    "é\u{202e}".as_bytes(),
];

/// `message` with one to three places spoiled.
pub fn mutilate(message: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for _ in 0..=below(random, 3) {
        let at = below(random, bytes.len() + 1);
        let end = (at + 1 + below(random, 40)).min(bytes.len());
        match below(random, 7) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << below(random, 8);
                }
            }
            1 => drop(bytes.splice(at..at, pick(SPLINTERS, random).iter().copied())),
            2 => drop(bytes.splice(at..end, pick(SPLINTERS, random).iter().copied())),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                let to = below(random, bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            5 => {
                let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
                if !lines.is_empty() {
                    let line = lines.remove(below(random, lines.len()));
                    lines.insert(below(random, lines.len() + 1), line);
                }
                bytes = lines.concat();
            }
            // Rarely: what is cut off tells little.
            _ if below(random, 4) == 0 => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}

/// A number below `bound`.
pub fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(u64::try_from(bound).unwrap())).unwrap()
}

/// One of several.
pub fn pick<'a, T>(choices: &'a [T], random: &mut Random) -> &'a T {
    &choices[below(random, choices.len())]
}

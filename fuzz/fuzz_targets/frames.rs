//! Bytes of a client and of a site, as they arrive: nothing panics, every message is consumed to its
//! last byte, and how they are cut into pieces changes nothing.

#![no_main]

use domicile_router::relay::{Expected, Relay, Step};
use domicile_router::wire::{
    Bind, Close, Describe, Execute, Frame, Frames, HEADER_BYTES, Notice, ParameterStatus, Parse,
    Query, read_startup,
};
use libfuzzer_sys::fuzz_target;

fn read_everything(frame: &Frame<'_>) {
    let _ = Query::read(frame);
    let _ = Parse::read(frame);
    let _ = Execute::read(frame);
    let _ = Describe::read(frame);
    let _ = Close::read(frame);
    let _ = Notice::read(frame);
    let _ = ParameterStatus::read(frame);
    if let Ok(bind) = Bind::read(frame) {
        for number in 0..=bind.parameter_count() + 1 {
            let is_there = bind.parameter(number).is_some();
            assert_eq!(is_there, (1..=bind.parameter_count()).contains(&number));
        }
    }
}

fn walk(frames: Frames, mut bytes: &[u8]) {
    while let Ok(Some(frame)) = frames.first(bytes) {
        assert_eq!(frame.whole.len(), frame.body.len() + HEADER_BYTES);
        assert_eq!(frames.length(bytes), Ok(Some(frame.whole.len())));
        read_everything(&frame);
        bytes = &bytes[frame.whole.len()..];
    }
}

/// What the client and the driver are told of answers that arrive in pieces of this length.
fn relayed(expected: &[Expected], bytes: &[u8], piece: usize) -> (Vec<u8>, Vec<Step>, bool) {
    let mut relay = Relay::new();
    for expected in expected {
        relay.expect(expected.clone());
    }
    let (mut out, mut steps) = (Vec::new(), Vec::new());
    let (mut start, mut end) = (0, 0);
    while end < bytes.len() {
        end = (end + piece).min(bytes.len());
        loop {
            let Ok((count, step)) = relay.advance(&bytes[start..end], &mut out) else {
                return (out, steps, true);
            };
            start += count;
            match step {
                Step::More => break,
                Step::Ready(_) => {
                    steps.push(step);
                    return (out, steps, false);
                }
                Step::Failed(_) => relay.pass_error(&mut out),
                Step::CopyIn => {}
            }
            steps.push(step);
        }
    }
    (out, steps, false)
}

fuzz_target!(|bytes: &[u8]| {
    let _ = read_startup(bytes);
    walk(Frames::Frontend, bytes);
    walk(Frames::Backend, bytes);
    let Some((kinds, answers)) = bytes.split_at_checked(4) else { return };
    let mut expected: Vec<Expected> = kinds
        .iter()
        .map(|kind| match kind % 8 {
            0 => Expected::Done { ours: kind & 8 != 0 },
            1 => Expected::Statement { ours: kind & 8 != 0 },
            2 => Expected::Portal,
            3 => Expected::Execute { ours: kind & 8 != 0 },
            4 => Expected::Query { hidden: usize::from(kind / 8 % 3) },
            5 => Expected::OurQuery,
            6 => Expected::Spared(b"1\0\0\0\x04".to_vec()),
            _ => Expected::Sync,
        })
        .collect();
    expected.push(Expected::Sync);
    let whole = relayed(&expected, answers, usize::MAX / 2);
    for piece in [1, 7] {
        let pieces = relayed(&expected, answers, piece);
        // Of a long row that breaks off, the beginning may have gone on already.
        assert_eq!((&pieces.1, pieces.2), (&whole.1, whole.2));
    }
});

//! The client sees the answers to what it said, in order, whatever else was said and however the
//! bytes arrive.

use super::*;
use crate::wire::{command_complete, error_response, frame, ready_for_query};
use proptest::prelude::*;

/// One message as it goes to the server: what answers it, and what of that is the client's.
#[derive(Clone, Debug)]
struct Said {
    expected: Expected,
    answers: Vec<u8>,
    for_client: Vec<u8>,
}

fn message(tag: u8, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, tag, |to| to.extend(std::iter::repeat_n(b'x', length)));
    bytes
}

fn said(expected: Expected, answers: Vec<u8>, is_for_client: bool) -> Said {
    let for_client = if is_for_client { answers.clone() } else { Vec::new() };
    Said { expected, answers, for_client }
}

fn complete() -> Vec<u8> {
    let mut bytes = Vec::new();
    command_complete(&mut bytes, "SELECT 1");
    bytes
}

fn ready() -> Vec<u8> {
    let mut bytes = Vec::new();
    ready_for_query(&mut bytes, b'I');
    bytes
}

fn rows(count: usize, length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..count).flat_map(|_| message(b'D', length)).collect();
    bytes.extend(complete());
    bytes
}

/// Of a batch in the extended protocol, without its `Sync`.
fn part() -> impl Strategy<Value = Said> {
    prop_oneof![
        (any::<bool>(), prop::sample::select(&b"123"[..])).prop_map(|(ours, tag)| said(
            Expected::Done { ours },
            message(tag, 0),
            !ours
        )),
        any::<bool>().prop_map(|ours| {
            let answers = [message(b't', 6), message(b'T', 9)].concat();
            said(Expected::Statement { ours }, answers, !ours)
        }),
        Just(said(Expected::Portal, message(b'n', 0), true)),
        (any::<bool>(), 0usize..4, prop_oneof![0usize..9, Just(40_000usize)]).prop_map(
            |(ours, count, length)| said(Expected::Execute { ours }, rows(count, length), !ours)
        ),
        Just(Said {
            expected: Expected::Spared(message(b'1', 0)),
            answers: Vec::new(),
            for_client: message(b'1', 0)
        }),
    ]
}

fn batch() -> impl Strategy<Value = Vec<Said>> {
    let extended = prop::collection::vec(part(), 0..6).prop_map(|mut parts| {
        parts.push(said(Expected::Sync, ready(), true));
        parts
    });
    let simple = (0usize..3, 0usize..3, 0usize..9).prop_map(|(hidden, count, length)| {
        let ours = (0..hidden).flat_map(|_| rows(1, 3)).collect::<Vec<u8>>();
        let theirs = [rows(count, length), ready()].concat();
        let answers = [ours, theirs.clone()].concat();
        vec![Said { expected: Expected::Query { hidden }, answers, for_client: theirs }]
    });
    let ours = Just(vec![said(Expected::OurQuery, [complete(), ready()].concat(), false)]);
    prop_oneof![extended, simple, ours]
}

/// Feeds bytes in pieces; gives what the client got and the last step.
fn feed(relay: &mut Relay, bytes: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<Step>), Broken> {
    let (mut to, mut buffer, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    for arrived in bytes.chunks(piece) {
        buffer.extend(arrived);
        loop {
            let (count, step) = relay.advance(&buffer, &mut to)?;
            buffer.drain(..count);
            if step == Step::More {
                break;
            }
            steps.push(step);
        }
    }
    assert!(buffer.is_empty(), "{} bytes were left", buffer.len());
    Ok((to, steps))
}

proptest! {
    #[test]
    fn the_client_sees_the_answers_to_what_it_said(
        batches in prop::collection::vec(batch(), 1..4),
        piece in prop_oneof![1usize..40, 1000usize..100_000],
    ) {
        let said = batches.concat();
        let mut relay = Relay::new();
        said.iter().for_each(|said| relay.expect(said.expected.clone()));
        let answers: Vec<u8> = said.iter().flat_map(|said| said.answers.clone()).collect();
        let for_client: Vec<u8> = said.iter().flat_map(|said| said.for_client.clone()).collect();
        let (got, steps) = feed(&mut relay, &answers, piece).expect("nothing is broken");
        prop_assert_eq!(got, for_client);
        prop_assert_eq!(steps, [Step::Ready(b'I')]);
        prop_assert!(!relay.is_waiting());
    }

    #[test]
    fn hostile_bytes_break_the_connection_or_are_waited_for(
        batches in prop::collection::vec(batch(), 1..3),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut relay = Relay::new();
        batches.concat().into_iter().for_each(|said| relay.expect(said.expected));
        let mut at = 0;
        while let Ok((count, step)) = relay.advance(&bytes[at..], &mut Vec::new()) {
            at += count;
            if step == Step::More {
                break;
            }
        }
    }
}

fn refusal() -> Vec<u8> {
    let mut bytes = Vec::new();
    error_response(&mut bytes, "ERROR", "DM001", "this person has moved to dub1", None);
    bytes
}

fn insert_with_sync() -> Relay {
    let mut relay = Relay::new();
    let done = Expected::Done { ours: false };
    for expected in [done.clone(), done, Expected::Execute { ours: false }, Expected::Sync] {
        relay.expect(expected);
    }
    relay
}

#[test]
fn an_error_before_any_answer_is_shown_first() {
    let mut relay = insert_with_sync();
    let bytes = [message(b'1', 0), message(b'2', 0), refusal(), ready()].concat();
    let mut to = Vec::new();
    let (at, step) = relay.advance(&bytes, &mut to).expect("read");
    let Step::Failed(notice) = step else { panic!("{step:?}") };
    assert_eq!(notice.code(), "DM001");
    assert!(!relay.has_answered());
    // Dropped: the client is told nothing, and the driver learns when the server is ready again.
    relay.drop_error();
    let (_, step) = relay.advance(&bytes[at..], &mut to).expect("read");
    assert_eq!(step, Step::Ready(b'I'));
    assert!(!relay.has_answered());
}

#[test]
fn an_error_that_is_passed_on_comes_before_what_follows() {
    let mut relay = insert_with_sync();
    let bytes = [message(b'1', 0), refusal(), ready()].concat();
    let mut to = Vec::new();
    let (at, _) = relay.advance(&bytes, &mut to).expect("read");
    relay.pass_error(&mut to);
    relay.advance(&bytes[at..], &mut to).expect("read");
    assert_eq!(to, bytes);
}

#[test]
fn an_error_after_an_answer_comes_in_its_place() {
    let mut relay = insert_with_sync();
    relay.expect(Expected::Query { hidden: 0 });
    let first = [message(b'1', 0), message(b'2', 0), complete(), ready()].concat();
    let bytes = [first.clone(), refusal(), ready()].concat();
    let mut to = Vec::new();
    let (at, step) = relay.advance(&bytes, &mut to).expect("read");
    assert!(matches!(step, Step::Failed(_)) && relay.has_answered());
    assert_eq!(to, first);
    relay.pass_error(&mut to);
    assert_eq!(relay.advance(&bytes[at..], &mut to).expect("read").1, Step::Ready(b'I'));
    assert_eq!(to, bytes);
}

#[test]
fn an_answer_to_nothing_breaks_the_connection() {
    for tag in [b'D', b'C', b'1', b'Z', b'T', b'R', b'K', b'W'] {
        let mut relay = Relay::new();
        let bytes = message(tag, 1);
        assert!(relay.advance(&bytes, &mut Vec::new()).is_err(), "{}", char::from(tag));
        let mut relay = Relay::new();
        relay.expect(Expected::Portal);
        assert_eq!(relay.advance(&bytes, &mut Vec::new()).is_ok(), tag == b'T');
    }
}

#[test]
fn rows_are_asked_for() {
    let mut relay = Relay::new();
    relay.expect(Expected::Query { hidden: 0 });
    let bytes = [message(b'G', 3), complete(), ready()].concat();
    let mut to = Vec::new();
    let (at, step) = relay.advance(&bytes, &mut to).expect("read");
    assert_eq!(step, Step::CopyIn);
    assert_eq!(relay.advance(&bytes[at..], &mut to).expect("read").1, Step::Ready(b'I'));
}

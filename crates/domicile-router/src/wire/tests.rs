//! Frames and bodies: what was written is read, and nothing hostile is believed.

use super::*;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,12}"
}

/// Everything that reads bytes from outside, on the same bytes.
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

proptest! {
    #[test]
    fn hostile_bytes_are_refused_or_read_and_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_startup(&bytes);
        for end in [Frames::Frontend, Frames::Backend] {
            if let Ok(Some(frame)) = end.first(&bytes) {
                prop_assert!(frame.whole.len() == frame.body.len() + HEADER_BYTES);
                read_everything(&frame);
            }
        }
        read_everything(&Frame { tag: b'B', body: &bytes, whole: &bytes });
    }

    #[test]
    fn a_bind_is_read_as_it_was_written(
        portal in text(),
        statement in text(),
        values in prop::collection::vec((prop::option::of(prop::collection::vec(any::<u8>(), 0..9)), any::<bool>()), 0..6),
        results in 0u16..3,
    ) {
        let mut bytes = Vec::new();
        frame(&mut bytes, b'B', |to| {
            for name in [&portal, &statement] {
                to.extend(name.as_bytes());
                to.push(0);
            }
            let count = u16::try_from(values.len()).expect("few");
            to.extend(count.to_be_bytes());
            to.extend(values.iter().flat_map(|(_, binary)| u16::from(*binary).to_be_bytes()));
            to.extend(count.to_be_bytes());
            for (value, _) in &values {
                let length = value.as_ref().map_or(-1, |value| i32::try_from(value.len()).expect("short"));
                to.extend(length.to_be_bytes());
                to.extend(value.iter().flatten());
            }
            to.extend(results.to_be_bytes());
            to.extend((0..results).flat_map(|_| 1u16.to_be_bytes()));
        });
        let frame = Frames::Frontend.first(&bytes).expect("read").expect("whole");
        let bind = Bind::read(&frame).expect("read");
        prop_assert_eq!((bind.portal, bind.statement), (&portal[..], &statement[..]));
        prop_assert_eq!(bind.parameter_count(), values.len());
        for (at, (value, binary)) in values.iter().enumerate() {
            prop_assert_eq!(bind.parameter(at + 1), Some((value.as_deref(), *binary)));
        }
        let mut again = Vec::new();
        bind.write_for(&statement, &mut again);
        prop_assert_eq!(&again, &bytes);
        // No part of it is a whole one.
        for end in 0..bytes.len() {
            prop_assert_eq!(Frames::Frontend.first(&bytes[..end]), Ok(None));
        }
        // A body with a byte more or less is not believed.
        for cut in [frame.body.len().saturating_sub(1), 0] {
            let short = Frame { body: &frame.body[..cut], ..frame };
            prop_assert!(Bind::read(&short).is_err());
        }
    }

    #[test]
    fn a_start_is_read_as_it_was_written(minor in 0u16..3, parameters in prop::collection::vec(("[a-z]{1,8}", text()), 0..5)) {
        let startup = Startup { minor, parameters };
        let mut bytes = Vec::new();
        startup.write(&mut bytes);
        let length = bytes.len();
        prop_assert_eq!(read_startup(&bytes), Ok(Some((StartupMessage::Startup(startup), length))));
    }
}

#[test]
fn lengths_that_lie_are_refused_before_anything_is_kept() {
    for (tag, length, is_fine) in [
        (b'Q', 3u32, false),
        (b'Q', 4, true),
        (b'Q', 0x3fff_ffff, true),
        (b'Q', 0x4000_0000, false),
        (b'Q', u32::MAX, false),
        (b'S', 4, true),
        (b'S', 10_001, false),
        (b'E', 0x0fff_ffff, false),
    ] {
        let mut bytes = vec![tag];
        bytes.extend(length.to_be_bytes());
        assert_eq!(
            Frames::Frontend.length(&bytes).is_ok(),
            is_fine,
            "{} {length}",
            char::from(tag)
        );
    }
    assert_eq!(Frames::Frontend.length(b"y"), Err(Broken::Unknown { tag: 'y' }));
    assert_eq!(Frames::Frontend.length(b""), Ok(None));
}

#[test]
fn what_begins_no_session_is_refused() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0, 0, 0, 7, 0, 3, 0],
        &[0, 0, 0, 8, 0, 2, 0, 0],
        &[0, 0, 0, 9, 0, 3, 0, 0, 1],
        &[0, 0, 0, 9, 4, 210, 22, 47, 0],
        &[0, 0, 0, 12, 4, 210, 22, 46, 0, 0, 0, 1],
        &[0xff, 0xff, 0xff, 0xff],
    ] {
        assert_eq!(read_startup(bytes), Err(Broken::Startup), "{bytes:?}");
    }
    let cancel = Cancel { process: 7, secret: vec![1, 2, 3, 4] };
    let mut bytes = Vec::new();
    cancel.write(&mut bytes);
    assert_eq!(read_startup(&bytes), Ok(Some((StartupMessage::Cancel(cancel), 16))));
}

#[test]
fn an_error_says_what_it_is() {
    let mut bytes = Vec::new();
    error_response(&mut bytes, "ERROR", "0A000", "no", Some("do"));
    let frame = Frames::Backend.first(&bytes).expect("read").expect("whole");
    let notice = Notice::read(&frame).expect("read");
    assert_eq!(
        (notice.code(), notice.field(b'M'), notice.field(b'H')),
        ("0A000", Some("no"), Some("do"))
    );
}

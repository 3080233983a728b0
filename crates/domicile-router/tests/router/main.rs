//! The router in front of two real sites.

#![expect(clippy::panic, clippy::expect_used, reason = "helpers of tests")]

mod messages;
mod raw;
mod session;
mod support;
mod tls;

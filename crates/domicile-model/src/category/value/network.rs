//! Addresses of devices.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 address, also with a prefix length as PostgreSQL's `inet` prints it.
pub fn is_ip(text: &str) -> bool {
    let text = text.trim();
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let fits = |max: u8| prefix.is_none_or(|p| p.parse::<u8>().is_ok_and(|bits| bits <= max));
    (address.parse::<Ipv4Addr>().is_ok() && fits(32))
        || (address.parse::<Ipv6Addr>().is_ok() && fits(128))
}

/// A UUID in its usual form (RFC 9562, section 4).
pub fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.trim().split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A 48-bit hardware address in six groups (IEEE 802).
pub fn is_mac(text: &str) -> bool {
    let text = text.trim();
    let separator = if text.contains(':') { ':' } else { '-' };
    let groups: Vec<&str> = text.split(separator).collect();
    groups.len() == 6
        && groups.iter().all(|g| g.len() == 2 && g.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

//! `NO_PROXY`: what is reached without a proxy.
//!
//! | entry | what it names |
//! |---|---|
//! | `*` | everything |
//! | `10.96.0.1`, `fd00::1` | an address |
//! | `10.96.0.0/12`, `fd00::/8` | the addresses of a network |
//! | `example.org`, `.example.org` | the host and all hosts below it |
//! | `*.example.org` | the hosts below it |
//! | `example.org:8443`, `10.0.0.1:6443`, `[fd00::1]:6443` | the same, on that port only |
//!
//! What is none of these names nothing. Names are not resolved.

use core::net::IpAddr;

use url::{Host, Url};

/// The entries of `NO_PROXY`.
#[derive(Clone, Debug, Default)]
pub struct Exceptions(Vec<Entry>);

#[derive(Clone, Debug)]
enum Entry {
    Everything,
    Network {
        address: IpAddr,
        length: u8,
    },
    Address {
        address: IpAddr,
        port: Option<u16>,
    },
    Domain {
        name: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Exceptions {
    /// Reads entries that commas or spaces separate.
    pub(super) fn read(text: &str) -> Self {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace());
        Self(entries.filter_map(Entry::read).collect())
    }

    /// Whether the server of `url` is reached without a proxy.
    pub(super) fn contains(&self, url: &Url) -> bool {
        let port = url.port_or_known_default();
        let (address, name) = match url.host() {
            Some(Host::Domain(name)) => (None, Some(name.trim_end_matches('.'))),
            Some(Host::Ipv4(address)) => (Some(IpAddr::from(address)), None),
            Some(Host::Ipv6(address)) => (Some(address.to_canonical()), None),
            None => return false,
        };
        self.0.iter().any(|entry| match (entry, address, name) {
            (Entry::Everything, _, _) => true,
            (Entry::Network { address, length }, Some(asked), _) => share(*address, asked, *length),
            (Entry::Address { address, port: on }, Some(asked), _) => {
                *address == asked && is_on(*on, port)
            }
            (
                Entry::Domain {
                    name,
                    itself,
                    port: on,
                },
                _,
                Some(asked),
            ) => is_below(asked, name, *itself) && is_on(*on, port),
            _ => false,
        })
    }
}

impl Entry {
    fn read(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        if text == "*" {
            return Some(Self::Everything);
        }
        if let Some((address, length)) = text.split_once('/') {
            let (address, length) = (address.parse::<IpAddr>().ok()?, length.parse().ok()?);
            let longest = if address.is_ipv4() { 32 } else { 128 };
            return (length <= longest).then_some(Self::Network { address, length });
        }
        if let Some(address) = address(&text) {
            return Some(Self::Address {
                address,
                port: None,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text.as_str(), None),
        };
        if let Some(address) = address(host) {
            return Some(Self::Address { address, port });
        }
        let below = host.strip_prefix("*.");
        let name = below.unwrap_or(host.strip_prefix('.').unwrap_or(host));
        let name = name.trim_end_matches('.');
        (!name.is_empty()).then(|| Self::Domain {
            name: name.to_owned(),
            itself: below.is_none(),
            port,
        })
    }
}

/// An address, with brackets or without.
fn address(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address: IpAddr = inner.unwrap_or(text).parse().ok()?;
    Some(address.to_canonical())
}

/// Whether two addresses have the first `length` bits in common.
fn share(network: IpAddr, address: IpAddr, length: u8) -> bool {
    let length = u32::from(length);
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let differ = network.to_bits() ^ address.to_bits();
            differ.leading_zeros() >= length
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let differ = network.to_bits() ^ address.to_bits();
            differ.leading_zeros() >= length
        }
        _ => false,
    }
}

fn is_below(asked: &str, name: &str, itself: bool) -> bool {
    match asked.strip_suffix(name) {
        Some("") => itself,
        Some(head) => head.ends_with('.'),
        None => false,
    }
}

fn is_on(wanted: Option<u16>, port: Option<u16>) -> bool {
    wanted.is_none() || wanted == port
}

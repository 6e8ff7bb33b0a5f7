//! Which addresses this device has, and so which links are still bound to one and which neighbours are on a wire of ours.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use if_addrs::{IfAddr, Interface};

/// The addresses of all interfaces that are up, without loopback, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interfaces {
    addresses: Vec<Address>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Address {
    ip: IpAddr,
    prefix: u8,
    /// The interface's number, which is also the scope id of link-local addresses.
    index: u32,
    /// Its bytes cost money.
    metered: bool,
}

impl Interfaces {
    /// Asks the system; `None` if it gives no answer. `metered` are names of interfaces whose bytes cost money, see
    /// [`LanConfig::metered`](super::LanConfig::metered).
    pub(super) fn load(metered: &[String]) -> Option<Self> {
        let mut addresses: Vec<Address> = if_addrs::get_if_addrs().ok()?.iter().filter_map(|it| usable(it, metered)).collect();
        addresses.sort_unstable();
        Some(Self { addresses })
    }

    /// Whether a link with this local address can still carry anything.
    pub(super) fn hold(&self, local: SocketAddr) -> bool {
        let (ip, scope) = parts(local);
        ip.is_loopback() || self.addresses.iter().any(|address| address.ip == ip && (scope == 0 || scope == address.index))
    }

    /// Whether the bytes of a link with this local address cost money.
    pub(super) fn is_metered(&self, local: SocketAddr) -> bool {
        let (ip, scope) = parts(local);
        self.addresses.iter().any(|address| address.metered && address.ip == ip && (scope == 0 || scope == address.index))
    }

    /// Whether this is another host's address, one hop away. mDNS answers are anybody's word: without this, a neighbour could have us dial
    /// the programs on this device or the whole internet.
    pub(super) fn reach(&self, target: SocketAddr) -> bool {
        let (ip, scope) = parts(target);
        target.port() != 0
            && !ip.is_loopback()
            && !ip.is_multicast()
            && !ip.is_unspecified()
            && !self.addresses.iter().any(|address| address.ip == ip || is_broadcast(address, ip))
            && self.addresses.iter().any(|address| shares_prefix(address, ip) && (scope == 0 || scope == address.index))
            && (scope != 0 || !is_link_local_v6(ip))
    }

    /// Whether there is an address that `earlier` lacks.
    pub(super) fn gained_over(&self, earlier: &Self) -> bool {
        self.addresses.iter().any(|address| !earlier.addresses.contains(address))
    }

    /// Whether there is a network, or an interface to it, that `earlier` lacks. A further address within a known prefix is none, such as
    /// the temporary ones of IPv6.
    pub(super) fn joined_over(&self, earlier: &Self) -> bool {
        let known = |address: &Address| {
            let same = |other: &Address| {
                (other.index, other.prefix, other.ip.is_ipv4()) == (address.index, address.prefix, address.ip.is_ipv4())
                    && shares_prefix(other, address.ip)
            };
            earlier.addresses.iter().any(same)
        };
        !self.addresses.iter().all(known)
    }
}

/// Whether a name is one of these, or begins like one that ends in `*`.
fn is_named(name: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    })
}

fn usable(interface: &Interface, metered: &[String]) -> Option<Address> {
    if !interface.is_oper_up() || interface.is_loopback() {
        return None;
    }
    let (ip, prefix) = match &interface.addr {
        IfAddr::V4(v4) => (IpAddr::V4(v4.ip), v4.prefixlen),
        IfAddr::V6(v6) => (IpAddr::V6(v6.ip), v6.prefixlen),
    };
    Some(Address { ip, prefix, index: interface.index.unwrap_or(0), metered: is_named(&interface.name, metered) })
}

fn parts(address: SocketAddr) -> (IpAddr, u32) {
    match address {
        SocketAddr::V4(v4) => (IpAddr::V4(*v4.ip()), 0),
        SocketAddr::V6(v6) => (v6.ip().to_canonical(), v6.scope_id()),
    }
}

pub(super) fn is_link_local_v6(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn shares_prefix(own: &Address, other: IpAddr) -> bool {
    let (own_bits, other_bits, width) = match (own.ip, other) {
        (IpAddr::V4(own), IpAddr::V4(other)) => (widen(own.to_bits()), widen(other.to_bits()), 32),
        (IpAddr::V6(own), IpAddr::V6(other)) => (Ipv6Addr::to_bits(own), Ipv6Addr::to_bits(other), 128),
        _ => return false,
    };
    let prefix = u32::from(own.prefix).min(width);
    (own_bits ^ other_bits).leading_zeros() >= prefix
}

/// Whether it means all hosts of a network: its highest address, and, of old, its lowest.
fn is_broadcast(own: &Address, other: IpAddr) -> bool {
    let IpAddr::V4(v4) = other else { return false };
    let hosts = u32::MAX.checked_shr(u32::from(own.prefix)).unwrap_or(0);
    let number = v4.to_bits() & hosts;
    v4.is_broadcast() || (own.prefix < 31 && shares_prefix(own, other) && (number == hosts || number == 0))
}

/// Moves the bits of an IPv4 address to the top.
fn widen(bits: u32) -> u128 {
    u128::from(bits) << 96
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces() -> Interfaces {
        let address = |ip: &str, prefix, index, metered| Address { ip: ip.parse().unwrap(), prefix, index, metered };
        let wire = [address("192.168.7.2", 24, 3, false), address("fd00::2", 64, 3, false), address("fe80::2", 64, 3, false)];
        Interfaces { addresses: [&wire[..], &[address("10.64.0.2", 32, 4, true), address("fe80::2", 64, 4, true)]].concat() }
    }

    #[test]
    fn only_neighbours_are_reached() {
        let reach = |address: &str| interfaces().reach(address.parse().unwrap());
        for near in ["192.168.7.9:4000", "[fd00::9]:4000", "[fe80::9%3]:4000", "[::ffff:192.168.7.9]:4000"] {
            assert!(reach(near), "{near}");
        }
        for far in [
            "192.168.8.9:4000",
            "192.168.7.2:4000",
            "192.168.7.0:4000",
            "192.168.7.255:4000",
            "255.255.255.255:4000",
            "[fd00::2]:4000",
            "[fe80::2%3]:4000",
            "[ff02::1%3]:4000",
            "[::ffff:192.168.7.2]:4000",
            "127.0.0.1:4000",
            "[::1]:4000",
            "8.8.8.8:53",
            "0.0.0.0:1",
            "224.0.0.251:1",
            "192.168.7.9:0",
            "[fe80::9]:4000",
            "[fe80::9%5]:4000",
            "[::ffff:127.0.0.1]:4000",
            "[2001:db8::1]:4000",
        ] {
            assert!(!reach(far), "{far}");
        }
    }

    #[test]
    fn a_link_is_held_while_its_address_is_there() {
        let hold = |address: &str| interfaces().hold(address.parse().unwrap());
        assert!(hold("192.168.7.2:9") && hold("[::ffff:192.168.7.2]:9") && hold("[fe80::2%3]:9") && hold("127.0.0.1:9") && hold("[::1]:9"));
        assert!(!hold("192.168.7.3:9") && !hold("[fe80::2%5]:9"));
    }

    #[test]
    fn a_link_is_metered_by_the_interface_it_goes_over() {
        let is_metered = |address: &str| interfaces().is_metered(address.parse().unwrap());
        assert!(is_metered("10.64.0.2:9") && is_metered("[::ffff:10.64.0.2]:9") && is_metered("[fe80::2%4]:9"));
        assert!(!is_metered("192.168.7.2:9") && !is_metered("[fe80::2%3]:9") && !is_metered("127.0.0.1:9"));
        let patterns = ["wwan*".to_owned(), "usb0".to_owned()];
        for (name, metered) in [("wwan0", true), ("wwan", true), ("usb0", true), ("usb01", false), ("eth0", false), ("xwwan0", false)] {
            assert_eq!(is_named(name, &patterns), metered, "{name}");
        }
    }

    #[test]
    fn a_new_prefix_or_interface_is_a_network_and_a_further_address_is_none() {
        let address = |ip: &str, prefix, index| Address { ip: ip.parse().unwrap(), prefix, index, metered: false };
        let with = |address: Address| {
            let mut more = interfaces();
            more.addresses.push(address);
            more.joined_over(&interfaces())
        };
        assert!(!with(address("fd00::1234", 64, 3)) && !with(address("192.168.7.77", 24, 3)));
        assert!(with(address("192.168.8.2", 24, 3)) && with(address("192.168.7.2", 16, 3)) && with(address("fe80::2", 64, 5)));
        assert!(!Interfaces::default().joined_over(&interfaces()) && interfaces().joined_over(&Interfaces::default()));
    }

    #[test]
    fn a_new_address_is_noticed_and_a_lost_one_is_no_gain() {
        let now = interfaces();
        let mut fewer = now.clone();
        fewer.addresses.pop();
        assert!(now.gained_over(&fewer) && !fewer.gained_over(&now) && !now.gained_over(&now));
    }
}

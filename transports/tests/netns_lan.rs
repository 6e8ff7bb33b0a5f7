//! The local network between two devices that share a wire, each in a network namespace of its own. Needs root and
//! iproute2: `cargo test -p hedgerow-transports --features lan --test netns_lan -- --ignored --nocapture --test-threads 1`.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "these tests measure time and fail by panic")]

use std::{
    fs::{File, read_dir, read_to_string},
    net::{Ipv4Addr, UdpSocket},
    os::fd::AsFd,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

#[path = "../../tests/common/netns.rs"]
mod netns;

use netns::{INTERFACE, Network, Running};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A bound on every wait that is no measurement itself.
const PATIENCE: Duration = Duration::from_secs(20);
/// Both started, no configuration, to the first link.
const FIRST_LINK: Duration = Duration::from_secs(2);
/// Interface up to link.
const LINK_AGAIN: Duration = Duration::from_secs(3);

/// So long a link stands before its wire is taken away: of two that dialled each other at once, one link is gone by then.
const STANDS: Duration = Duration::from_secs(2);

/// The harness, on a node.
fn probe(network: &Network, node: usize, arguments: &[&str]) -> Running {
    Running::start(network.command(node, probe_program()).args(arguments))
}

/// Builds the example, which `cargo test --test` leaves as it was, and says where it is.
fn probe_program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let build = ["build", "-q", "-p", env!("CARGO_PKG_NAME"), "--features", "lan", "--example", "lan_probe"];
        assert!(Command::new(env!("CARGO")).args(build).status().unwrap().success());
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(2).unwrap();
        folder.join("examples/lan_probe").to_str().unwrap().to_owned()
    })
}

fn first_link_within_two_seconds(with_v4: bool) {
    let network = Network::new(2, with_v4);
    (0..2).for_each(|node| network.wait_for_v6(node));
    let start = Instant::now();
    let (a, b) = (probe(&network, 0, &[]), probe(&network, 1, &[]));
    let (at_a, line) = a.wait_for(" up ", PATIENCE);
    let (at_b, _) = b.wait_for(" up ", PATIENCE);
    let taken = at_a.max(at_b) - start;
    println!("first link after {taken:?}: {line}");
    assert!(taken <= FIRST_LINK, "{taken:?}");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn neighbours_without_configuration_are_linked_within_two_seconds() {
    first_link_within_two_seconds(true);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn neighbours_with_nothing_but_link_local_ipv6_are_linked_within_two_seconds() {
    first_link_within_two_seconds(false);
}

fn link_again_after_a_flap(with_v4: bool, down_for: Duration) {
    let network = Network::new(2, with_v4);
    (0..2).for_each(|node| network.wait_for_v6(node));
    let (a, b) = (probe(&network, 0, &[]), probe(&network, 1, &[]));
    a.wait_for(" up ", PATIENCE);
    b.wait_for(" up ", PATIENCE);
    thread::sleep(STANDS);
    let start = Instant::now();
    network.set_interface(1, "down");
    let (at, _) = b.wait_for("down links 0", PATIENCE);
    println!("interface down to links closed: {:?}", at - start);
    thread::sleep(down_for);
    let start = Instant::now();
    network.set_interface(1, "up");
    let (at, line) = b.wait_for(" up ", PATIENCE);
    let taken = at - start;
    println!("interface up to link, IPv4 {with_v4}, down for {down_for:?}: {taken:?}: {line}");
    let limit = if with_v4 { LINK_AGAIN } else { LINK_AGAIN + Duration::from_secs(2) };
    assert!(taken <= limit, "{taken:?}");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_is_back_within_three_seconds_after_the_interface_is() {
    for down_for in [0, 1, 8] {
        link_again_after_a_flap(true, Duration::from_secs(down_for));
    }
}

/// Two seconds more: the kernel gives a new IPv6 address no leave to send before it has looked for duplicates.
#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_over_link_local_ipv6_comes_back() {
    link_again_after_a_flap(false, Duration::from_secs(3));
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_second_interface_takes_over_within_three_seconds() {
    let network = Network::new(2, true);
    network.add_wire(0, 1);
    (0..2).for_each(|node| network.wait_for_v6(node));
    let (a, b) = (probe(&network, 0, &[]), probe(&network, 1, &[]));
    a.wait_for(" up ", PATIENCE);
    let (_, line) = b.wait_for(" up ", PATIENCE);
    thread::sleep(STANDS);
    let (used, other) = if line.contains(" 10.98.") || line.contains("%3") { ("eth1", "eth0") } else { ("eth0", "eth1") };
    let start = Instant::now();
    network.ip(1, &format!("link set {used} down"));
    let (at, line) = b.wait_for(" up ", PATIENCE);
    println!("{used} down to a link over {other}: {:?}: {line}", at - start);
    assert!(at - start <= LINK_AGAIN);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn without_multicast_a_given_address_is_linked() {
    let network = Network::new(2, true);
    network.block_multicast();
    let start = Instant::now();
    let (a, b) = (probe(&network, 0, &["--listen", "0.0.0.0:7000"]), probe(&network, 1, &["--no-mdns", "--connect", "10.99.0.1:7000"]));
    let (at, line) = b.wait_for(" up ", PATIENCE);
    println!("given address: {:?}: {line}", at - start);
    a.wait_for(" up ", PATIENCE);
    let lonely = probe(&network, 1, &[]);
    assert!(lonely.find(&[" up "], Duration::from_secs(4)).is_none(), "multicast is not blocked, so that this test shows nothing");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_given_link_local_address_with_its_interface_is_linked() {
    let network = Network::new(2, false);
    network.ip(0, &format!("address add fe80::1:1/64 dev {INTERFACE} nodad"));
    network.wait_for_v6(1);
    let (_a, b) = (
        probe(&network, 0, &["--no-mdns", "--listen", "[::]:7000"]),
        probe(&network, 1, &["--no-mdns", "--connect", &format!("[fe80::1:1%{INTERFACE}]:7000")]),
    );
    b.wait_for(" up ", PATIENCE);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_new_beacon_is_found_the_old_one_lapses_without_goodbye_and_the_link_lives_on() {
    let network = Network::new(2, true);
    let (a, b) = (probe(&network, 0, &["--rotate-ms", "5000", "--silence-ms", "3000"]), probe(&network, 1, &[]));
    let old = a.wait_for(" beacon ", PATIENCE).1.rsplit(' ').next().unwrap().to_owned();
    b.wait_for(&format!("found {old}"), PATIENCE);
    let new = a.wait_for(" beacon ", PATIENCE).1.rsplit(' ').next().unwrap().to_owned();
    assert_ne!(old, new);
    // A goodbye would make the old one `lost` within a second, and so before the new one is found.
    let (_, line) = b.find(&["found", "lost"], PATIENCE).unwrap();
    assert!(line.ends_with(&format!("found {new}")), "{line}");
    let more = b.find(&[" up ", "down"], Duration::from_secs(3));
    assert!(more.is_none(), "the link did not live on alone: {more:?}");
}

/// An mDNS response with 40 names of our service that nobody has had, in 1,300 bytes.
fn invented_names(first: u64) -> Vec<u8> {
    const COUNT: u64 = 40;
    let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, COUNT as u8, 0, 0, 0, 0];
    packet.extend(b"\x09_hedgerow\x04_tcp\x05local\0");
    for number in first..first + COUNT {
        if number > first {
            packet.extend([0xc0, 12]);
        }
        // PTR, class IN, 75 min, 19 bytes: the instance and where the rest stands.
        packet.extend([0, 12, 0, 1, 0, 0, 0x11, 0x94, 0, 19, 16]);
        packet.extend(format!("{number:016x}").bytes());
        packet.extend([0xc0, 12]);
    }
    packet
}

/// Sends invented names as fast as it can from within a node's network, until it is to stop.
fn flood(network: &Network, node: usize, stop: &AtomicBool, sent: &AtomicU64) {
    let namespace = File::open(network.namespace(node)).unwrap();
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 5353)).unwrap();
    while !stop.load(Ordering::Relaxed) {
        let packet = invented_names(sent.fetch_add(1, Ordering::Relaxed) * 40);
        socket.send_to(&packet, (Ipv4Addr::new(224, 0, 0, 251), 5353)).unwrap();
    }
}

/// How many mDNS daemons there are in a process.
fn daemons(id: u32) -> usize {
    let names = read_dir(format!("/proc/{id}/task")).unwrap().filter_map(|task| read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("mDNS")).count()
}

fn resident_kib(id: u32) -> u64 {
    let status = read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_flood_of_names_is_noticed_costs_one_thread_and_neighbours_are_found_after_it() {
    let network = Network::new(3, true);
    (0..3).for_each(|node| network.wait_for_v6(node));
    network.ip(1, &format!("route add 224.0.0.0/4 dev {INTERFACE}"));
    let a = probe(&network, 0, &[]);
    a.wait_for(" beacon ", PATIENCE);
    let (stop, sent, start) = (AtomicBool::new(false), AtomicU64::new(0), Instant::now());
    let before = resident_kib(a.id());
    thread::scope(|scope| {
        scope.spawn(|| flood(&network, 1, &stop, &sent));
        let noticed = a.find(&["trouble somebody floods"], PATIENCE);
        // Long enough for another, if one were begun beside the daemon that can't be ended.
        thread::sleep(Duration::from_secs(20));
        stop.store(true, Ordering::Relaxed);
        let seconds = start.elapsed().as_secs_f64();
        let (packets, after) = (sent.load(Ordering::Relaxed), resident_kib(a.id()));
        println!("{:.0} packets/s for {seconds:.0} s: resident {before} KiB, then {after} KiB", packets as f64 / seconds);
        println!("noticed after {:?}", noticed.as_ref().map(|(at, _)| *at - start));
        assert!(noticed.is_some(), "the flood was not noticed");
        assert!(daemons(a.id()) <= 1, "a second daemon beside one that is flooded");
    });
    let stopped = Instant::now();
    let (again, _) = a.wait_for(" beacon ", Duration::from_secs(60));
    println!("shown again after {:?}", again - stopped);
    assert!(daemons(a.id()) <= 1, "the flooded daemon lives on");
    let b = probe(&network, 2, &[]);
    b.wait_for(" up ", PATIENCE);
    assert_eq!(daemons(a.id()), 1);
    let (since, used) = (Instant::now(), a.processor_time());
    a.wait_for("trouble over", Duration::from_secs(90));
    let (waited, used) = (since.elapsed(), a.processor_time().saturating_sub(used));
    println!("processor time in the {waited:?} after that: {used:?}");
    assert!(used < waited / 20, "the flood still costs {used:?} in {waited:?}");
}

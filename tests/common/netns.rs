//! A local network of this test's own: nodes in network namespaces, joined by a bridge in one more. Needs root and iproute2.
//!
//! Names hold this process's id and a counter, so that nothing else is touched; dropping a [`Network`] removes all of it. Included by
//! `#[path]` where it is needed.
#![allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "each test that includes this file uses a part of it; it fails by panic and measures time"
)]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::{Duration, Instant},
};

/// The interface of every node.
pub(crate) const INTERFACE: &str = "eth0";

/// Longest that a node's IPv6 addresses may take until they can send: duplicate address detection takes up to 2 s.
const V6_WITHIN: Duration = Duration::from_secs(20);

/// The bridge of the first wire.
pub(crate) const BRIDGE: &str = "br0";

static COUNTER: AtomicUsize = AtomicUsize::new(0);

/// Nodes on one wire or several.
pub(crate) struct Network {
    switch: String,
    nodes: Vec<String>,
}

impl Network {
    /// Makes so many nodes on one wire; node `n` gets 10.99.0.(n+1)/24 if `with_v4`, and in any case its link-local IPv6 address.
    pub(crate) fn new(nodes: usize, with_v4: bool) -> Self {
        let all: Vec<usize> = (0..nodes).collect();
        Self::of_wires(&[&all], with_v4)
    }

    /// Makes nodes on wires that nothing joins: wire `w` is a bridge with the nodes that it lists, whose addresses are 10.(99-w).0.(n+1)/24.
    /// A node's interfaces are eth0, eth1, … in the order of its wires. No node forwards.
    pub(crate) fn of_wires(wires: &[&[usize]], with_v4: bool) -> Self {
        let stem = format!("hr{}x{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let switch = format!("{stem}sw");
        ip(&format!("netns add {switch}"));
        // From here on, dropping it cleans up whatever the steps below have made.
        let mut network = Self { switch, nodes: Vec::new() };
        let switch = network.switch.clone();
        for (wire, members) in wires.iter().enumerate() {
            ip(&format!("-n {switch} link add br{wire} type bridge stp_state 0 mcast_snooping 0"));
            ip(&format!("-n {switch} link set br{wire} up"));
            for &number in *members {
                while network.nodes.len() <= number {
                    let node = format!("{stem}n{}", network.nodes.len());
                    ip(&format!("netns add {node}"));
                    network.nodes.push(node.clone());
                    ip(&format!("-n {node} link set lo up"));
                }
                let node = &network.nodes[number];
                let interface = format!("eth{}", wires[..wire].iter().filter(|earlier| earlier.contains(&number)).count());
                ip(&format!("link add {interface} netns {node} type veth peer name port{wire}x{number} netns {switch}"));
                ip(&format!("-n {switch} link set port{wire}x{number} master br{wire} up"));
                if with_v4 {
                    ip(&format!("-n {node} address add 10.{}.0.{}/24 dev {interface}", 99 - wire, number + 1));
                }
                ip(&format!("-n {node} link set {interface} up"));
            }
        }
        network
    }

    /// Joins two nodes by a second wire, `eth1` at both, with addresses of 10.98.0.0/24.
    pub(crate) fn add_wire(&self, one: usize, other: usize) {
        ip(&format!("link add eth1 netns {} type veth peer name eth1 netns {}", self.nodes[one], self.nodes[other]));
        for node in [one, other] {
            self.ip(node, &format!("address add 10.98.0.{}/24 dev eth1", node + 1));
            self.ip(node, "link set eth1 up");
        }
    }

    /// Waits out duplicate address detection: only then can a node's IPv6 addresses send.
    pub(crate) fn wait_for_v6(&self, node: usize) {
        let end = Instant::now() + V6_WITHIN;
        loop {
            let output =
                self.command(node, "ip").args(["-6", "address", "show", "dev", INTERFACE, "-tentative"]).output().expect("ip runs");
            if String::from_utf8_lossy(&output.stdout).contains("fe80") {
                return;
            }
            assert!(Instant::now() < end, "no usable IPv6 address");
            std::thread::sleep(Duration::from_millis(20)); // the kernel tells nobody
        }
    }

    /// A command that will run on a node.
    pub(crate) fn command(&self, node: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.nodes[node], program]);
        command
    }

    /// A command that will run beside the bridge, whose interface [`BRIDGE`] sees everything once it is promiscuous.
    pub(crate) fn command_at_bridge(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.switch, program]);
        command
    }

    /// Takes a node's first interface down or up.
    pub(crate) fn set_interface(&self, node: usize, state: &str) {
        self.set(node, INTERFACE, state);
    }

    /// Takes one of a node's interfaces down or up.
    pub(crate) fn set(&self, node: usize, interface: &str, state: &str) {
        ip(&format!("-n {} link set {interface} {state}", self.nodes[node]));
    }

    /// The file that stands for a node's network namespace.
    pub(crate) fn namespace(&self, node: usize) -> PathBuf {
        Path::new("/run/netns").join(&self.nodes[node])
    }

    /// Runs `ip` with these arguments on a node.
    pub(crate) fn ip(&self, node: usize, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.nodes[node]));
    }

    /// Keeps these nodes from hearing each other; all others still hear them.
    pub(crate) fn part(&self, nodes: &[usize]) {
        for number in nodes {
            ip(&format!("-n {} link set port0x{number} type bridge_slave isolated on", self.switch));
        }
    }

    /// Lets the first wire carry no multicast any more, as guest networks do. IPv4 still finds its neighbours, by broadcast.
    pub(crate) fn block_multicast(&self) {
        for number in 0..self.nodes.len() {
            ip(&format!("-n {} link set port0x{number} type bridge_slave mcast_flood off", self.switch));
        }
    }

    /// Bytes and packets that a node has sent and received in all on its first interface.
    pub(crate) fn traffic(&self, node: usize) -> (u64, u64) {
        let output = self.command(node, "cat").arg("/proc/net/dev").output().expect("ip runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find_map(|line| line.trim().strip_prefix(INTERFACE)?.strip_prefix(':')).expect("the interface is listed");
        let fields: Vec<u64> = line.split_whitespace().map(|field| field.parse().expect("a number")).collect();
        (fields[0] + fields[8], fields[1] + fields[9])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.nodes.iter().chain([&self.switch]) {
            let _ = Command::new("ip").args(["netns", "delete", name]).status();
        }
    }
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A program on a node, whose lines are read as they come. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<(Instant, String)>,
}

impl Running {
    /// Starts it. `ip netns exec` becomes the program itself, so that the child is the program.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let output = child.stdout.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for a line that holds `part`, and says when it came.
    pub(crate) fn wait_for(&self, part: &str, patience: Duration) -> (Instant, String) {
        self.find(&[part], patience).unwrap_or_else(|| panic!("no line with {part:?} within {patience:?}"))
    }

    /// Waits for a line that holds one of `parts`; `None` if none comes.
    pub(crate) fn find(&self, parts: &[&str], patience: Duration) -> Option<(Instant, String)> {
        let end = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((at, line)) if parts.iter().any(|part| line.contains(part)) => return Some((at, line)),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => panic!("the program has ended"),
            }
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processor time it has used, all threads.
    pub(crate) fn processor_time(&self) -> Duration {
        processor_time(self.child.id())
    }
}

/// Processor time that the living threads of a process have used.
pub(crate) fn processor_time(id: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).expect("the program runs");
    let nanoseconds = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

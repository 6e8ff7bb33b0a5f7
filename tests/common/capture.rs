//! Captures of a [`Network`]: what tcpdump writes, taken apart down to TCP streams and mDNS records. Included by `#[path]` beside `netns`.
//! Anything it does not understand fails the test: what is skipped would be unseen.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "a part for each test binary; it fails by panic")]

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io::{BufRead, BufReader, Read},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use crate::netns::{BRIDGE, Network};

const MDNS_PORT: u16 = 5353;

/// All values of 8 bytes in these.
pub(crate) fn pieces<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> HashSet<[u8; 8]> {
    parts.into_iter().flat_map(|part| part.windows(8).map(|window| window.try_into().unwrap())).collect()
}

/// A running tcpdump on the bridge. Dropping it ends it.
pub(crate) struct Recorder {
    child: Child,
    written: Option<JoinHandle<Vec<u8>>>,
}

impl Recorder {
    /// Starts it and waits until it listens.
    pub(crate) fn start(network: &Network) -> Self {
        let mut command = network.command_at_bridge("tcpdump");
        command.args(["-i", BRIDGE, "--immediate-mode", "-U", "-n", "-Z", "root", "-w", "-"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut out, errors) = (child.stdout.take().unwrap(), BufReader::new(child.stderr.take().unwrap()));
        let written = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            out.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let recorder = Self { child, written: Some(written) };
        let mut lines = errors.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("listening on")), "tcpdump does not listen");
        // Its last words, how much it caught, go nowhere; it must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        recorder
    }

    /// Ends it and gives what it has seen.
    pub(crate) fn stop(mut self) -> Capture {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(self.child.wait().unwrap().success());
        Capture::parse(self.written.take().unwrap().join().unwrap())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Big-endian fields from the front; panics at the end.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }
}

type Flow = (IpAddr, u16, IpAddr, u16);

/// What mDNS told, above fields of at most 4 bytes.
#[derive(Default)]
pub(crate) struct Told {
    /// How many messages.
    count: usize,
    /// The labels of all names.
    pub(crate) labels: BTreeSet<String>,
    /// Addresses in records.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// TXT strings.
    pub(crate) texts: BTreeSet<Vec<u8>>,
}

impl Told {
    /// How many messages.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }
}

/// One capture.
pub(crate) struct Capture {
    bytes: Vec<u8>,
    packets: usize,
    addresses: BTreeSet<IpAddr>,
    /// Segments of each direction of each connection: sequence number and payload.
    segments: BTreeMap<Flow, Vec<(u32, Vec<u8>)>>,
    mdns: Vec<Vec<u8>>,
}

impl Capture {
    fn parse(bytes: Vec<u8>) -> Self {
        let mut capture = Self { bytes: Vec::new(), packets: 0, addresses: BTreeSet::new(), segments: BTreeMap::new(), mdns: Vec::new() };
        // pcap, little-endian: a header of 24 bytes, link type 1 (Ethernet); then 16 bytes before each packet.
        assert_eq!(bytes[..4], 0xa1b2_c3d4_u32.to_le_bytes());
        assert_eq!(bytes[20..24], 1_u32.to_le_bytes());
        let mut rest = &bytes[24..];
        while !rest.is_empty() {
            let length = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
            let (caught, was) = (length(8), length(12));
            assert_eq!(caught, was, "a packet was cut");
            capture.ethernet(&rest[16..16 + caught]);
            rest = &rest[16 + caught..];
        }
        capture.bytes = bytes;
        capture
    }

    fn ethernet(&mut self, frame: &[u8]) {
        self.packets += 1;
        let mut fields = Fields(&frame[12..]);
        match fields.u16() {
            0x0806 => {} // ARP
            0x0800 => {
                let header_len = usize::from(fields.0[0] & 0x0f) * 4;
                let total = usize::from(u16::from_be_bytes([fields.0[2], fields.0[3]]));
                let packet = fields.take(total);
                let address = |at: usize| IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap()));
                self.internet(packet[9], address(12), address(16), &packet[header_len..]);
            }
            0x86dd => {
                let length = usize::from(u16::from_be_bytes([fields.0[4], fields.0[5]]));
                let packet = fields.take(40 + length);
                let address = |at: usize| IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap()));
                self.internet(packet[6], address(8), address(24), &packet[40..]);
            }
            other => panic!("a packet of type {other:04x}"),
        }
    }

    fn internet(&mut self, protocol: u8, from: IpAddr, to: IpAddr, payload: &[u8]) {
        self.addresses.insert(from);
        let mut fields = Fields(payload);
        match protocol {
            // Options of IPv6 for each hop (multicast membership), ICMP, IGMP, ICMPv6: of the system, not of the program.
            0 | 1 | 2 | 58 => {}
            6 => {
                let (source, target, sequence) = (fields.u16(), fields.u16(), fields.u32());
                let flags = payload[13];
                let data = &payload[usize::from(payload[12] >> 4) * 4..];
                let segments = self.segments.entry((from, source, to, target)).or_default();
                let first = flags & 0x02 != 0; // SYN
                if first || !data.is_empty() {
                    segments.push((sequence.wrapping_add(u32::from(first)), data.to_vec()));
                }
            }
            17 => {
                let ports = (fields.u16(), fields.u16());
                assert!(ports.0 == MDNS_PORT || ports.1 == MDNS_PORT, "UDP on {ports:?}");
                self.mdns.push(payload[8..].to_vec());
            }
            other => panic!("a packet of protocol {other}"),
        }
    }

    /// The file itself.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many packets there were.
    pub(crate) const fn packets(&self) -> usize {
        self.packets
    }

    /// Who sent them.
    pub(crate) fn addresses(&self) -> BTreeSet<IpAddr> {
        self.addresses.clone()
    }

    /// What was said in each direction of each connection, put together.
    pub(crate) fn tcp_streams(&self) -> Vec<Vec<u8>> {
        let stream = |segments: &Vec<(u32, Vec<u8>)>| {
            let start = segments.first().unwrap().0;
            let mut bytes = Vec::new();
            for (sequence, data) in segments {
                let at = sequence.wrapping_sub(start) as usize;
                assert!(at < 1 << 30, "a segment before the first");
                bytes.resize(bytes.len().max(at + data.len()), 0);
                bytes[at..at + data.len()].copy_from_slice(data);
            }
            bytes
        };
        self.segments.values().filter(|segments| !segments.is_empty()).map(stream).filter(|bytes| !bytes.is_empty()).collect()
    }

    /// What was told by mDNS.
    pub(crate) fn mdns(&self) -> Told {
        let mut told = Told { count: self.mdns.len(), ..Told::default() };
        self.mdns.iter().for_each(|message| read_mdns(message, &mut told));
        told
    }
}

/// RFC 1035, section 4.1.
fn read_mdns(message: &[u8], told: &mut Told) {
    let mut fields = Fields(message);
    let [_id, _flags, questions, answers, authorities, others] = [0; 6].map(|_: u8| fields.u16());
    for _ in 0..questions {
        read_name(message, &mut fields, told);
        fields.take(4);
    }
    for _ in 0..answers + authorities + others {
        read_name(message, &mut fields, told);
        let kind = fields.u16();
        fields.take(6);
        let length = usize::from(fields.u16());
        let mut data = Fields(fields.take(length));
        match kind {
            1 => drop(told.addresses.insert(Ipv4Addr::from(<[u8; 4]>::try_from(data.take(4)).unwrap()).into())),
            28 => drop(told.addresses.insert(Ipv6Addr::from(<[u8; 16]>::try_from(data.take(16)).unwrap()).into())),
            12 => read_name(message, &mut data, told),
            16 => {
                while !data.0.is_empty() {
                    let length = usize::from(data.u8());
                    let text = data.take(length);
                    if !text.is_empty() {
                        told.texts.insert(text.to_vec());
                    }
                }
            }
            33 => {
                data.take(6);
                read_name(message, &mut data, told);
            }
            47 => {
                // NSEC: a name and a bitmap of types, which mDNS limits to one block (RFC 6762, section 6.1).
                read_name(message, &mut data, told);
                let (block, length) = (data.u8(), usize::from(data.u8()));
                assert_eq!(block, 0);
                assert!(data.take(length).iter().filter(|byte| **byte != 0).count() <= 4);
            }
            other => panic!("an mDNS record of type {other}"),
        }
        assert!(data.0.is_empty(), "more in a record of type {kind}");
    }
    assert!(fields.0.is_empty(), "more after an mDNS message");
}

fn read_name(message: &[u8], fields: &mut Fields<'_>, told: &mut Told) {
    loop {
        let length = fields.u8();
        match length {
            0 => return,
            0xc0.. => {
                let target = usize::from(length & 0x3f) << 8 | usize::from(fields.u8());
                // What it points to was read where it stands, or is read here.
                return read_name(message, &mut Fields(&message[target..]), told);
            }
            _ => {
                let label = fields.take(usize::from(length)).to_ascii_lowercase();
                told.labels.insert(String::from_utf8(label).unwrap());
            }
        }
    }
}

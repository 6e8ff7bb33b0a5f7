//! The simulator's program as its users and their scripts meet it: what it prints, and what it says of bad input.
#![expect(clippy::unwrap_used, reason = "what can't be read fails the test")]
#![cfg(unix)]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

const TRACE: &str = "start_s,end_s,node_a,node_b\n0,60,0,1\n100,160,1,2\n400,460,0,2\n500,560,2,3\n";
const WORKLOAD: &str = "created_s,src,dst,size\n0,0,1,120\n10,0,2,900\n300,3,2,500\n";
const KEYS: [&str; 22] = [
    "trace",
    "profile",
    "faults",
    "ttl",
    "delivered",
    "oracle",
    "of_oracle",
    "med_delay_s",
    "oracle_med_delay_s",
    "p95_delay_s",
    "oracle_p95_delay_s",
    "small",
    "oracle_small",
    "bytes_payload",
    "control_pct",
    "recognition_pct",
    "resent_pct",
    "dup_pct",
    "evicted",
    "store_max",
    "sim_s",
    "log_hash",
];

/// A folder with a trace and a workload.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("four.csv", TRACE.as_bytes());
        files.write("four.workload.csv", WORKLOAD.as_bytes());
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        sim(self.0.path()).args(arguments).output().unwrap()
    }

    /// Runs the four people's trace, and gives what stands on standard output.
    fn rows(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["--trace", "four.csv", "--workload", "four.workload.csv"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn sim(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// What is said about input that nothing was run with.
fn refusal(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
    said
}

#[test]
fn a_row_as_json_has_the_agreed_keys_in_their_order() {
    let rows = Files::new().rows(&["--json", "--profile", "wifi", "--profile", "lan", "--ttl", "1h", "--ttl", "none"]);
    let lines: Vec<&str> = rows.lines().collect();
    assert_eq!(lines.len(), 4, "a row for each profile and lifetime: {rows}");
    for (line, [profile, ttl]) in lines.iter().zip([["wifi", "1h"], ["wifi", "none"], ["lan", "1h"], ["lan", "none"]]) {
        let row: Value = serde_json::from_str(line).unwrap();
        assert_eq!([&row["trace"], &row["profile"], &row["faults"], &row["ttl"]], ["four", profile, "none", ttl]);
        let places: Vec<_> = KEYS.iter().map(|key| line.find(&format!("\"{key}\":"))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{line}");
        assert_eq!(row.as_object().unwrap().len(), KEYS.len());
        assert_eq!((&row["delivered"], &row["of_oracle"]), (&1.0.into(), &1.0.into()), "three that nothing keeps from arriving");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let files = Files::new();
    let hash = |seed: &str| {
        let row: Value = serde_json::from_str(&files.rows(&["--json", "--profile", "wifi", "--faults", "cut", "--seed", seed])).unwrap();
        row["log_hash"].as_str().unwrap().to_owned()
    };
    assert_eq!(hash("7"), hash("7"));
    assert_ne!(hash("7"), hash("8"));
}

#[test]
fn the_table_has_a_head_and_a_row_for_each_run() {
    let rows = Files::new().rows(&["--profile", "wifi", "--faults", "none", "--faults", "cut"]);
    let lines: Vec<Vec<&str>> = rows.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..7], ["trace", "profile", "faults", "ttl", "delivered", "oracle", "of-oracle"]);
    assert_eq!([&lines[1][..4], &lines[2][..4]], [["four", "wifi", "none", "24h"], ["four", "wifi", "cut", "24h"]]);
    assert!(lines.iter().all(|line| line.len() == lines[0].len()) && lines.len() == 3, "{rows}");
}

#[test]
fn a_line_that_is_wrong_is_named() {
    let files = Files::new();
    let bad_trace = |text: &str| {
        files.write("bad.csv", text.as_bytes());
        refusal(&files.run(&["--trace", "bad.csv"]))
    };
    let said = bad_trace("start_s,end_s,node_a,node_b\n0,20,0,1\n10,30,0,1\n");
    assert!(said.contains("bad.csv:3: nodes 0 and 1 are in contact until 20 already") && said.contains("hint: "), "{said}");
    assert!(bad_trace("").contains("bad.csv:1: the file must begin with the header `start_s,end_s,node_a,node_b`"));
    files.write("bad.workload.csv", b"created_s,src,dst,size\n0,0,4,10\n");
    let said = refusal(&files.run(&["--trace", "four.csv", "--workload", "bad.workload.csv"]));
    assert!(said.contains("bad.workload.csv:2: dst is 4, and the trace has nodes 0 to 3 only"), "{said}");
}

#[test]
fn packed_files_are_read_and_damaged_ones_are_named() {
    use std::io::Write;

    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(TRACE.as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let files = Files::new();
    files.write("packed.csv.gz", &packed);
    assert!(files.run(&["--trace", "packed.csv.gz", "--letters", "3", "--profile", "lan"]).status.success());
    files.write("short.csv.gz", &packed[..packed.len() - 9]);
    assert!(refusal(&files.run(&["--trace", "short.csv.gz"])).contains("the gzip data breaks off here"));
    let mut damaged = packed;
    let last = damaged.len() - 5;
    damaged[last] ^= 1;
    files.write("damaged.csv.gz", &damaged);
    assert!(refusal(&files.run(&["--trace", "damaged.csv.gz"])).contains("damaged.csv.gz:6: the gzip data is damaged"));
}

#[test]
fn a_command_line_that_makes_no_sense_says_why() {
    let files = Files::new();
    for (arguments, why) in [
        (&[][..], "required"),
        (&["--trace", "four.csv", "--mobility", "camp"], "cannot be used with"),
        (&["--trace", "four.csv", "--workload", "four.workload.csv", "--letters", "5"], "cannot be used with"),
        (&["--trace", "none.csv"], "none.csv: No such file"),
        (&["--trace", "."], "Is a directory"),
        (&["--trace", "four.csv", "--profile", "ble"], "no link profile is called"),
        (&["--trace", "four.csv", "--faults", "rain"], "none, cut"),
        (&["--trace", "four.csv", "--ttl", "24"], "a whole number and a unit are needed"),
        (&["--trace", "four.csv", "--store", "20 MB"], "a whole number and a unit are needed"),
        (&["--trace", "four.csv", "--letters", "0"], "a whole number from 1"),
        (&["--trace", "four.csv", "--seed", "1.5"], "invalid value"),
        (&["--trace", "four.csv", "--svg", "."], "--svg needs the name of a file"),
        (&["--trace", "four.csv", "--svg", "none/x.svg"], "No such file"),
        (&["--mobility", "camp:nodes=5"], "nodes must be from 10"),
    ] {
        let said = refusal(&files.run(arguments));
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
}

#[test]
fn a_picture_is_written_whole_or_not_at_all() {
    let files = Files::new();
    files.rows(&["--profile", "wifi", "--svg", "delivery.svg"]);
    let svg = fs::read_to_string(files.path("delivery.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(fs::read_dir(files.0.path()).unwrap().count(), 3, "nothing is left beside it");
}

#[test]
fn a_run_that_is_interrupted_leaves_whole_rows() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--mobility", "camp", "--json", "--svg", "x.svg", "--profile", "lan"];
    let mut child = sim(folder.path()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.starts_with("camp: 100 nodes") && line.contains("seed 1"), "{line}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(130), 0), "{rest}");
    assert!(rest.contains("stopped after 0 of 1 runs"), "{rest}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no picture, and nothing of one");
}

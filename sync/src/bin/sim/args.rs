//! The command line.

use std::path::PathBuf;

use clap::{ArgGroup, Parser};
use hedgerow_sync::{
    engine::RelayPolicy,
    sim::{abuse::Abuses, faults::FaultMix, mobility::Mobility, profile::Profile, workload::MAX_LETTERS},
};

use crate::units::{self, Lifetime};

/// Replays who met whom over Hedgerow's real engine, and says how close it comes to the best that any protocol could do.
///
/// A trace says which devices were in reach of each other, and when; a workload says who writes to whom. Each device runs the engine that
/// ships, with a store in memory; links have a rate, a delay and a set-up, and break if they are told to. The oracle is the limit: what
/// would arrive, and when, if links carried everything at once and nobody ever ran out of room.
#[derive(Parser, Debug)]
#[command(name = "sim", version, after_help = EXAMPLES, max_term_width = 110, group(ArgGroup::new("meetings").required(true)))]
pub(crate) struct Arguments {
    /// Who met whom: a file of rows `start_s,end_s,node_a,node_b`, packed with gzip or not.
    #[arg(long, value_name = "FILE", group = "meetings")]
    pub(crate) trace: Option<PathBuf>,

    /// Made-up people in place of a trace: camp, march, city or village, as they are or with numbers of your own, such as
    /// `camp:nodes=100,hours=48,seed=1`.
    #[arg(long, value_name = "MODEL", group = "meetings")]
    pub(crate) mobility: Option<Mobility>,

    /// Who writes to whom: a file of rows `created_s,src,dst,size`. Without it, messages are drawn.
    #[arg(long, value_name = "FILE")]
    pub(crate) workload: Option<PathBuf>,

    /// How many messages are drawn where there is no workload: 80 % of 120 to 1,000 bytes, 15 % of 8 to 60 kB, 5 % of 150 to 500 kB, between
    /// any two, in the first half of the trace. [default: 500]
    #[arg(long, value_name = "N", conflicts_with = "workload", value_parser = letters)]
    pub(crate) letters: Option<usize>,

    /// What links are like; may be given several times. Without it, all of them:
    /// ble-poor (10 kB/s, up after 3 s), ble-good (50 kB/s, 3 s), wifi (300 kB/s, 1 s), lan (5 MB/s, 0.2 s), tor (50 kB/s, 5 s, far away).
    #[arg(long = "profile", value_name = "NAME")]
    pub(crate) profiles: Vec<Profile>,

    /// What goes wrong; may be given several times, for a run each: none; cut (each link breaks after 10 s on average and is up again 5 s
    /// later); half-open (one side learns of a break 15 s late); loss (1 % of messages lost, 1 % twice); crash; full (disks); clocks; hostile (a
    /// tenth of the nodes does harm); several joined by commas; or mix, for all of them.
    #[arg(long, value_name = "NAMES", default_value = "none")]
    pub(crate) faults: Vec<FaultMix>,

    /// Turns the three devices that meet most against the others, and prints a table of its own, a row with the defence and one without; may be
    /// given several times: flood (six times the honest traffic), urgent (the same, all of it urgent), aged, copied-tags, lying-stored; to
    /// hold them against, carrying (the three carry honestly) and absent (they are switched off); or all.
    #[arg(long = "abuse", value_name = "NAME", conflicts_with_all = ["policy", "svg"])]
    pub(crate) abuses: Vec<Abuses>,

    /// How bundles spread: standard, which is what ships, or for comparison direct (only to the reader), spray-N (N copies of everything),
    /// oldest-first or random-order.
    #[arg(long, value_name = "NAME", default_value = "standard")]
    pub(crate) policy: RelayPolicy,

    /// Holds every step against the rules that nothing may break (docs/simulation.md); takes longer. A broken rule ends the program.
    #[arg(long)]
    pub(crate) check: bool,

    /// How old a message may be when it arrives, to count: such as 24h, 90min, 7d, or none for any age. May be given several times, for a
    /// row each; the run is the same.
    #[arg(long = "ttl", value_name = "TIME", default_value = "24h", value_parser = units::lifetime)]
    pub(crate) lifetimes: Vec<Lifetime>,

    /// Room at each device for messages of others, such as 20MB or 300kB.
    #[arg(long, value_name = "SIZE", default_value = "20MB", value_parser = units::size)]
    pub(crate) store: u64,

    /// Decides everything random, drawn messages too: the same seed gives the same run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// One JSON object a row in place of the table.
    #[arg(long)]
    pub(crate) json: bool,

    /// Also draws what was delivered after what time, against the oracle, as a picture.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sim --mobility camp                        people in a camp who write 500 messages, over all kinds of links
  sim --mobility march:nodes=500,hours=6 --profile ble-poor --faults none --faults cut
  sim --trace school.csv.gz --workload school.csv --profile wifi --ttl 24h --ttl 7d --json
  sim --trace school.csv.gz --letters 3000 --store 5MB --svg school.svg

The table goes to standard output, a row as soon as it is known; progress and the seed go to standard error. Exit code 2 means that the
command line or a file is wrong, and that nothing was run. docs/simulation.md says what the columns mean.";

fn letters(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=MAX_LETTERS).contains(&count) => Ok(count),
        _ => Err(format!("a whole number from 1 to {MAX_LETTERS} is needed")),
    }
}

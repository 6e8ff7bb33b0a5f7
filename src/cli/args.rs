//! The words of the command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use hedgerow_sync::id::MessageId;

/// What stands below `--help`.
const EXIT_CODES: &str = "\
Exit codes: 0 done, 2 usage, 3 configuration (also: the profile is in use), 4 peer or not found, 5 no daemon,
6 store (disk full, damaged, locked, wrong passphrase), 70 internal.
Variables: HEDGEROW_HOME, HEDGEROW_PASSPHRASE_FILE, and HEDGEROW_LOG for the daemon: off, error, warn (if unset), info or debug.
For the interface: NO_COLOR; HEDGEROW_WORDS=1 for words in place of signs; HEDGEROW_DAEMON_OPTIONS for the daemon that it starts.";

/// An offline-first mesh messenger. Without a command the interface opens.
#[derive(Parser, Debug)]
#[command(name = "hedgerow", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Settings for every command.
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// What to do; without it the interface opens, on a terminal.
    #[command(subcommand)]
    pub(crate) action: Option<Action>,
}

/// Settings for every command, before or after its name.
#[derive(Args, Debug, Clone)]
pub(crate) struct Globals {
    /// The profile's folder.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// A file that holds the passphrase; one newline at its end does not count.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Prints one JSON document, or one a line for streams; errors too, on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub(crate) enum Action {
    /// Shows the interface among made-up people, on real engines in this process. Nothing touches the disk or a network.
    Demo,
    /// Makes a profile in a folder that is empty or does not exist.
    Init {
        /// What contacts see, 1 to 50 bytes.
        #[arg(long)]
        name: String,
        /// Tells neighbours the name where the daemon is first started, for 12 hours or until the network changes. People find each other by
        /// it; anybody near can note who was here when, and claim the same name.
        #[arg(long, conflicts_with = "hidden")]
        visible: bool,
        /// Tells nobody the name but contacts; this holds if neither is given. Strangers see a node without a name, and becoming contacts
        /// takes a link.
        #[arg(long)]
        hidden: bool,
    },
    /// Runs the node in the foreground; prints `ready` once it answers.
    Daemon(DaemonArgs),
    /// Shows how the daemon's node is doing.
    Status,
    /// Chooses whom this node gives mail to carry, and for whom it carries; without an argument, prints it.
    Mode {
        /// From now on.
        #[arg(value_enum)]
        mode: Option<ModeArgument>,
    },
    /// Chooses what this node gives to carry for others; without an argument, prints it.
    Relay(RelayArgs),
    /// Tells neighbours the name, or stops; without an argument, prints it.
    Visibility {
        /// From now on.
        #[arg(value_enum)]
        visibility: Option<Visibility>,
    },
    /// Chooses how an interface calls for attention when a message comes; without an argument, prints it.
    Alerts(AlertsArgs),
    /// Prints a one-time link for somebody who is to become a contact.
    Invite {
        /// How long it is valid: 14d, 36h; an hour to 30 days.
        #[arg(long, default_value = "14d", value_parser = parse_hours)]
        expires: u32,
        /// Also draws it as a code to be scanned.
        #[arg(long, conflicts_with = "json")]
        qr: bool,
    },
    /// Adds, lists and changes contacts.
    #[command(subcommand)]
    Contact(ContactAction),
    /// Makes somebody in the same room a contact: both choose each other, and compare four words aloud.
    #[command(subcommand)]
    Nearby(NearbyAction),
    /// Writes a message; prints its id once it is durable.
    Send {
        /// Name or number.
        contact: String,
        /// What to say; `-` takes it from standard input.
        #[arg(allow_hyphen_values = true)]
        text: String,
        /// The message's id, 32 hexadecimal digits: a repetition with the same id does nothing more.
        #[arg(long)]
        id: Option<MessageId>,
        /// Asks carriers to prefer it.
        #[arg(long)]
        urgent: bool,
        /// Waits so long for it to be delivered.
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u32>,
    },
    /// Prints messages, oldest first. Nothing counts as read unless asked.
    Messages {
        /// Name or number.
        contact: String,
        /// Only those after this one.
        #[arg(long, value_name = "ID")]
        since: Option<MessageId>,
        /// Only those before this one: with --limit, the page before it.
        #[arg(long, value_name = "ID")]
        before: Option<MessageId>,
        /// At most so many, the newest.
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Counts those printed as read, and lets their writer know.
        #[arg(long)]
        mark_read: bool,
    },
    /// Says where a message is: with whom, since when, until when, why.
    Explain {
        /// Its id.
        id: MessageId,
    },
    /// Sends a message of ours once more that failed or expired; its reader sees it once.
    Retry {
        /// Its id.
        id: MessageId,
    },
    /// Takes a message of ours back that has not left this device. It stays, and says so.
    Cancel {
        /// Its id.
        id: MessageId,
    },
    /// Follows what happens, one event a line.
    Events,
    /// Speaks JSON-RPC on standard input and output (docs/api.md).
    Rpc,
    /// Changes the passphrase.
    Passwd {
        /// A file that holds the new one.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Makes the daemon close the profile, forget its key and end all links.
    Lock,
    /// Makes a locked daemon open the profile again.
    Unlock,
    /// Ends the daemon in order.
    Stop,
    /// Destroys the profile for good: contacts, keys, messages.
    Wipe {
        /// Says that it is meant.
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Prints a conversation.
    Export {
        /// Name or number.
        contact: String,
        /// In which form.
        #[arg(long, value_enum, default_value = "json")]
        format: ExportFormat,
    },
    /// Copies the profile, encrypted as it is, into one new file. A running daemon closes its links for a moment.
    Backup {
        /// The file to make.
        file: PathBuf,
    },
    /// Makes a profile of a backup, in a folder that is empty or does not exist.
    Restore {
        /// The backup.
        file: PathBuf,
    },
}

/// How the daemon reaches others.
#[derive(Args, Debug)]
pub(crate) struct DaemonArgs {
    /// Listens on this address and port; can be given several times.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Dials this host:port again and again; can be given several times.
    #[arg(long, value_name = "ADDR")]
    pub(crate) connect: Vec<String>,
    /// Neither shows itself to neighbours nor looks for them. Without --listen no port is opened then.
    #[arg(long)]
    pub(crate) no_mdns: bool,
    /// Takes this interface for one that costs money, as it does wwan*, ppp* and rmnet*; can be given several times.
    #[arg(long, value_name = "IFACE")]
    pub(crate) metered: Vec<String>,
    /// For tests only: divides the delays that hide who writes and who reads. `status` says so.
    #[cfg(feature = "test-delays")]
    #[arg(long, hide = true, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) shorten_delays: u32,
}

impl DaemonArgs {
    /// By how much delays are divided: 1 but in tests.
    #[cfg(feature = "test-delays")]
    pub(crate) const fn delay_divisor(&self) -> u32 {
        self.shorten_delays
    }

    /// By how much delays are divided.
    #[cfg(not(feature = "test-delays"))]
    pub(crate) const fn delay_divisor(&self) -> u32 {
        1
    }
}

/// With whom mail is exchanged.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ModeArgument {
    /// Strangers carry for us, and we for them: mail gets through where people never meet. Strangers see how much is held here, though
    /// not whose it is, and can mark this device by a bundle that only they know.
    Mesh,
    /// Only contacts: strangers see a node that holds nothing. Mail waits for its reader or for a contact who meets the reader.
    Contacts,
}

/// Who is told the name.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Visibility {
    /// Contacts alone.
    Hidden,
    /// Whoever is near, for 12 hours, until the network changes or the profile is closed. Anybody near can note who was here when; a name
    /// proves nothing.
    Visible,
}

/// What is given to carry for others.
#[derive(Args, Debug)]
pub(crate) struct RelayArgs {
    /// Whether to carry at all. Off, mail goes straight to its reader alone: a node that carried nothing but gave its own mail to
    /// strangers would show each of them that all of it is its own.
    #[arg(value_enum)]
    pub(crate) relay: Option<Switch>,
    /// How much space bundles of others may take: 512M, 2G; 1M to 1T. What is too much is let go.
    #[arg(long, value_name = "SIZE", value_parser = parse_space)]
    pub(crate) space: Option<u64>,
    /// Carries over networks that cost money too.
    #[arg(long, conflicts_with = "no_metered")]
    pub(crate) metered: bool,
    /// Carries over free networks alone.
    #[arg(long)]
    pub(crate) no_metered: bool,
}

/// How an interface calls for attention.
#[derive(Args, Debug)]
pub(crate) struct AlertsArgs {
    /// Whether the terminal's bell rings.
    #[arg(long, value_enum)]
    pub(crate) bell: Option<Switch>,
    /// Whether the terminal is asked to show a notification.
    #[arg(long, value_enum)]
    pub(crate) notify: Option<Switch>,
    /// Whether that notification says who wrote, and what. Whoever sees the screen, or what the desktop keeps of it, reads it.
    #[arg(long, value_enum)]
    pub(crate) content: Option<Switch>,
}

/// Yes or no.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// What can be done with contacts.
#[derive(Subcommand, Debug)]
pub(crate) enum ContactAction {
    /// Uses a one-time link. Returns at once; the contact is pending until its owner answers.
    Add {
        /// The link, with or without text around it; `-` takes it from standard input.
        link: String,
        /// What to call the contact here.
        #[arg(long = "as", value_name = "NAME")]
        alias: Option<String>,
        /// The first message to them, `-` from standard input; a short one (to about 1,200 bytes) travels with the request.
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        message: Option<String>,
        /// Waits so long for it to be established.
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u32>,
    },
    /// Lists contacts.
    List,
    /// Shows one contact with its fingerprint.
    Show {
        /// Name or number.
        contact: String,
    },
    /// Notes that the fingerprint was compared.
    Verify {
        /// Name or number.
        contact: String,
        /// The fingerprint as the contact's own device shows it.
        fingerprint: String,
    },
    /// Calls a contact by another name here.
    Rename {
        /// Name or number.
        contact: String,
        /// The new name, 1 to 50 bytes.
        name: String,
    },
    /// Refuses a contact's messages.
    Block {
        /// Name or number.
        contact: String,
        /// Takes them again.
        #[arg(long)]
        undo: bool,
    },
    /// Chooses whether a contact is told when its messages are read. That they have arrived is always confirmed.
    Receipts {
        /// Name or number.
        contact: String,
        /// From now on. On again, it is told of what was read meanwhile with the next that is.
        #[arg(value_enum)]
        receipts: Switch,
    },
    /// Has a contact's messages come without a call for attention.
    Mute {
        /// Name or number.
        contact: String,
    },
    /// Has a contact's messages call for attention again.
    Unmute {
        /// Name or number.
        contact: String,
    },
    /// Forgets a contact with keys and messages.
    Remove {
        /// Name or number.
        contact: String,
    },
}

/// What can be done about people nearby.
#[derive(Subcommand, Debug)]
pub(crate) enum NearbyAction {
    /// Opens the window for two minutes, or for two minutes more. Meanwhile everybody in reach whose window is open too is told the name.
    Open {
        /// Waits so long for somebody to choose.
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u32>,
    },
    /// Closes the window, and ends what nobody here has confirmed.
    Close,
    /// Lists who can be chosen, and how far it has come.
    List,
    /// Chooses somebody. Once both have, both are shown the words.
    Add {
        /// Number, or the name it claims if only one claims it.
        peer: String,
        /// Waits so long for the words.
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u32>,
    },
    /// Says that the words are the same on both screens.
    Confirm {
        /// Number, or the name it claims if only one claims it.
        peer: String,
        /// Says that they are not: the exchange ends on both sides.
        #[arg(long)]
        differ: bool,
    },
}

/// The form of an export.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExportFormat {
    /// One document.
    Json,
    /// Markdown.
    Md,
}

/// Reads `512M`, `2G` or `1T` as bytes: powers of 1,024.
fn parse_space(text: &str) -> Result<u64, String> {
    let wrong = || "write a size such as 512M or 2G, from 1M to 1T".to_owned();
    let unit = text.chars().last().and_then(|unit| Some("KMGT".find(unit.to_ascii_uppercase())? as u32 + 1)).ok_or_else(wrong)?;
    let number = text.get(..text.len() - 1).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(wrong)?;
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << (10 * unit)));
    bytes.filter(|bytes| (1 << 20..=1 << 40).contains(bytes)).ok_or_else(wrong)
}

/// Reads `14d` or `36h` as hours.
fn parse_hours(text: &str) -> Result<u32, String> {
    let wrong = || "write days or hours, such as 14d or 36h, from 1h to 30d".to_owned();
    let (number, unit) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
        (Some(days), _) => (days, 24),
        (None, Some(hours)) => (hours, 1),
        (None, None) => return Err(wrong()),
    };
    let hours = number.parse::<u32>().ok().filter(|_| !number.starts_with('+')).and_then(|number| number.checked_mul(unit));
    hours.filter(|hours| (1..=720).contains(hours)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_days_or_hours_within_the_range() {
        assert_eq!((parse_hours("14d"), parse_hours("36h"), parse_hours("1h"), parse_hours("30d")), (Ok(336), Ok(36), Ok(1), Ok(720)));
        for wrong in ["", "d", "14", "0h", "31d", "721h", "-1d", "+1d", "1.5d", "99999999999d", "4294967295d", "1w", "1d "] {
            assert!(parse_hours(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_a_unit_and_lie_within_the_range() {
        assert_eq!((parse_space("1M"), parse_space("512m"), parse_space("2G")), (Ok(1 << 20), Ok(512 << 20), Ok(2 << 30)));
        assert_eq!((parse_space("1024k"), parse_space("1T")), (Ok(1 << 20), Ok(1 << 40)));
        for wrong in
            ["", "M", "1", "1048576", "0M", "1023K", "1025G", "2T", "-1G", "+1G", "1.5G", "1 G", "1GB", "99999999999999999999T", "1é"]
        {
            assert!(parse_space(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn globals_stand_before_or_after() {
        for words in [&["hedgerow", "--json", "--home", "/x", "status"][..], &["hedgerow", "status", "--home", "/x", "--json"]] {
            let cli = Cli::try_parse_from(words).unwrap();
            assert!(cli.globals.json && cli.globals.home.is_some());
        }
    }
}

//! What the links of a simulated meeting are like.

use std::{fmt, str::FromStr, time::Duration};

/// A kind of link (figures: guesses after what such links carry in practice, kept round so that runs can be compared).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Profile {
    /// Bluetooth LE between old phones: 10 kB/s.
    BlePoor,
    /// Bluetooth LE between good adapters: 50 kB/s.
    BleGood,
    /// Wi-Fi at the edge of its range: 300 kB/s.
    Wifi,
    /// A local network: 5 MB/s.
    Lan,
    /// An onion service: 50 kB/s, far away.
    Tor,
}

impl Profile {
    /// All of them, slowest first.
    pub const ALL: [Self; 5] = [Self::BlePoor, Self::BleGood, Self::Wifi, Self::Lan, Self::Tor];

    /// Bytes a second, each way.
    pub const fn rate(self) -> u32 {
        match self {
            Self::BlePoor => 10_000,
            Self::BleGood | Self::Tor => 50_000,
            Self::Wifi => 300_000,
            Self::Lan => 5_000_000,
        }
    }

    /// From two devices coming into reach to the first byte of a session.
    pub const fn set_up(self) -> Duration {
        Duration::from_millis(match self {
            Self::BlePoor | Self::BleGood => 3_000,
            Self::Wifi => 1_000,
            Self::Lan => 200,
            Self::Tor => 5_000,
        })
    }

    /// From one end to the other.
    pub const fn delay(self) -> Duration {
        Duration::from_millis(match self {
            Self::BlePoor | Self::BleGood => 20,
            Self::Wifi => 5,
            Self::Lan => 1,
            Self::Tor => 400,
        })
    }

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BlePoor => "ble-poor",
            Self::BleGood => "ble-good",
            Self::Wifi => "wifi",
            Self::Lan => "lan",
            Self::Tor => "tor",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No profile has this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no link profile is called {0:?}: ble-poor, ble-good, wifi, lan, tor")]
pub struct UnknownProfile(String);

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        Self::ALL.into_iter().find(|profile| profile.name() == name).ok_or_else(|| UnknownProfile(name.to_owned()))
    }
}

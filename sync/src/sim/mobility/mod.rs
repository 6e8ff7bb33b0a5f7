//! Made-up people, for whoever has no trace at hand: a seed and a few numbers give everybody's way through the days, and who comes within
//! reach of whom on it.
//!
//! Four small models, each for a situation that Hedgerow is made for; each says in its own file what people do in it. Nobody was measured
//! for them: the numbers in them are guesses at everyday life, so that a run says how the engine copes with such a pattern, not what it would
//! do in a certain place. All is done with whole numbers, so that a seed gives the same trace on every machine.

mod camp;
mod city;
mod march;
mod path;
mod reach;
mod village;

use std::{fmt, ops::RangeInclusive, str::FromStr};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use self::path::{HOUR, Path};
use super::trace::{Contact, Trace};

/// How many people there may be: with fewer, most models have no second household.
pub const NODES: RangeInclusive<u32> = 10..=2_000;
/// How many hours a trace may have: up to thirty days.
pub const HOURS: RangeInclusive<u32> = 1..=720;
/// Most people times hours: more takes too long to make and to replay.
pub const MAX_NODE_HOURS: u32 = 100_000;

/// What people do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Model {
    /// A camp: tents, and the ways between them, the kitchen, the clinic and the water.
    Camp,
    /// A march: a crowd that moves along streets for hours, in which neighbours change slowly.
    March,
    /// A city: homes in its districts, lines into its centre, and work there.
    City,
    /// Villages that a bus joins.
    Village,
}

impl Model {
    const ALL: [Self; 4] = [Self::Camp, Self::March, Self::City, Self::Village];

    const fn name(self) -> &'static str {
        match self {
            Self::Camp => "camp",
            Self::March => "march",
            Self::City => "city",
            Self::Village => "village",
        }
    }

    /// People and hours where nobody says otherwise.
    const fn defaults(self) -> (u32, u32) {
        match self {
            Self::Camp => (100, 48),
            Self::March => (200, 4),
            Self::City => (300, 96),
            Self::Village => (150, 96),
        }
    }

    /// Everybody's way.
    fn paths(self, nodes: u32, seconds: u32, rng: &mut ChaCha20Rng) -> Vec<Path> {
        match self {
            Self::Camp => camp::paths(nodes, seconds, rng),
            Self::March => march::paths(nodes, seconds, rng),
            Self::City => city::paths(nodes, seconds, rng),
            Self::Village => village::paths(nodes, seconds, rng),
        }
    }
}

/// A model and its numbers; as text `camp` or `camp:nodes=100,hours=48,seed=1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mobility {
    model: Model,
    nodes: u32,
    hours: u32,
    seed: u64,
}

impl Mobility {
    /// A model with its own numbers and the seed 1.
    pub const fn new(model: Model) -> Self {
        let (nodes, hours) = model.defaults();
        Self { model, nodes, hours, seed: 1 }
    }

    /// The trace; its name is the model's. It begins with the first contact, and so may be a little shorter than its hours.
    pub fn trace(&self) -> Trace {
        let seconds = self.hours * HOUR;
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed);
        let mut met = reach::meetings(&self.model.paths(self.nodes, seconds, &mut rng), seconds);
        let first = met.iter().map(|contact| contact.start).min().unwrap_or(0);
        met.iter_mut().for_each(|Contact { start, end, .. }| (*start, *end) = (*start - first, *end - first));
        Trace::merged(self.model.name(), self.nodes, met)
    }
}

impl fmt::Display for Mobility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, nodes, hours, seed } = self;
        write!(f, "{}:nodes={nodes},hours={hours},seed={seed}", model.name())
    }
}

/// What is wrong with the description of a [`Mobility`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MobilityError {
    /// No model has this name.
    #[error("no model is called {0:?}: camp, march, city, village")]
    UnknownModel(String),
    /// A part that is not one of the numbers a model has.
    #[error("{0:?} is none of nodes=N, hours=N, seed=N")]
    UnknownPart(String),
    /// Fewer or more people than [`NODES`].
    #[error("nodes must be from {} to {}", NODES.start(), NODES.end())]
    Nodes,
    /// Fewer or more hours than [`HOURS`].
    #[error("hours must be from {} to {}", HOURS.start(), HOURS.end())]
    Hours,
    /// More than [`MAX_NODE_HOURS`].
    #[error("nodes times hours must be at most {MAX_NODE_HOURS}")]
    TooMuch,
}

impl FromStr for Mobility {
    type Err = MobilityError;

    fn from_str(text: &str) -> Result<Self, MobilityError> {
        let (name, parts) = text.split_once(':').map_or((text, None), |(name, parts)| (name, Some(parts)));
        let model = Model::ALL.into_iter().find(|model| model.name() == name);
        let mut mobility = Self::new(model.ok_or_else(|| MobilityError::UnknownModel(name.to_owned()))?);
        for part in parts.into_iter().flat_map(|parts| parts.split(',')) {
            mobility.set(part).ok_or_else(|| MobilityError::UnknownPart(part.to_owned()))?;
        }
        let Self { nodes, hours, .. } = mobility;
        if !NODES.contains(&nodes) {
            return Err(MobilityError::Nodes);
        }
        if !HOURS.contains(&hours) {
            return Err(MobilityError::Hours);
        }
        if nodes * hours > MAX_NODE_HOURS {
            return Err(MobilityError::TooMuch);
        }
        Ok(mobility)
    }
}

impl Mobility {
    /// Takes a part like `nodes=200`; `None` if it is none.
    fn set(&mut self, part: &str) -> Option<()> {
        let (name, number) = part.split_once('=')?;
        let number = Some(number).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
        match name {
            "nodes" => self.nodes = number.parse().ok()?,
            "hours" => self.hours = number.parse().ok()?,
            "seed" => self.seed = number.parse().ok()?,
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;

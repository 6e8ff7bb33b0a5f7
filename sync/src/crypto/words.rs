//! Words that two people compare aloud (docs/protocol.md, section 7.8).
//!
//! A list of our own: common English nouns that are easy to say, no two with the same first three letters, and none that sounds much like
//! another.

/// How many words are compared: 32 bits.
pub const WORD_COUNT: usize = 4;

/// The word of each byte, in the order of the alphabet.
const WORDS: [&str; 256] = [
    "acorn", "actor", "album", "almond", "amber", "anchor", "apple", "apron", "arrow", "artist", "atlas", "bacon", "badge", "bakery",
    "ballet", "banjo", "barrel", "basket", "beach", "bicycle", "bishop", "blanket", "blossom", "bonfire", "bottle", "boulder", "bracelet",
    "brick", "brush", "bucket", "butter", "cabin", "cactus", "camera", "candle", "captain", "carpet", "castle", "cherry", "chimney",
    "circus", "citrus", "clarinet", "clover", "cobweb", "coffee", "comet", "copper", "corner", "cotton", "cousin", "cradle", "cricket",
    "crystal", "cupboard", "curtain", "cushion", "daisy", "dancer", "desert", "diamond", "dinner", "dolphin", "donkey", "dragon", "drum",
    "eagle", "earth", "echo", "eclipse", "elbow", "elephant", "engine", "envelope", "factory", "falcon", "farmer", "feather", "ferry",
    "fiddle", "finger", "flag", "flute", "forest", "fossil", "fountain", "fox", "fridge", "frog", "fruit", "funnel", "galaxy", "garden",
    "giant", "ginger", "glacier", "globe", "golfer", "grape", "guitar", "hammer", "harbour", "hazel", "heron", "honey", "horizon", "hotel",
    "hunter", "icicle", "igloo", "island", "jacket", "jaguar", "jewel", "jigsaw", "journal", "jungle", "kettle", "keyboard", "kitchen",
    "kiwi", "koala", "ladder", "lagoon", "lamp", "lantern", "lemon", "leopard", "library", "lizard", "lobster", "machine", "magnet",
    "mango", "marble", "meadow", "mermaid", "mirror", "mitten", "monkey", "muffin", "museum", "napkin", "needle", "nephew", "nest",
    "ninja", "noodle", "nurse", "oasis", "ocean", "octopus", "olive", "onion", "opera", "orange", "orchid", "otter", "oven", "owl",
    "oyster", "palace", "panther", "parrot", "pastry", "peanut", "pebble", "pelican", "pencil", "pepper", "piano", "pigeon", "pirate",
    "pizza", "planet", "plum", "potato", "pumpkin", "puppet", "puzzle", "pyramid", "quail", "rabbit", "radio", "reindeer", "ribbon",
    "river", "robin", "rocket", "rooster", "ruby", "saddle", "salmon", "sapphire", "school", "scissors", "seal", "shadow", "ship",
    "shovel", "skate", "sleeve", "smoke", "snow", "sofa", "soldier", "spider", "spoon", "spring", "squirrel", "stable", "stove", "string",
    "sugar", "summer", "sunset", "swan", "sweater", "table", "tailor", "teacher", "temple", "tennis", "thread", "thunder", "ticket",
    "tiger", "timber", "toast", "tomato", "tractor", "tree", "trumpet", "tulip", "tunnel", "turtle", "umbrella", "uncle", "unicorn",
    "valley", "vase", "velvet", "violin", "volcano", "voyage", "vulture", "waffle", "wagon", "walnut", "wheel", "whistle", "window",
    "wizard", "wolf", "zebra", "zipper",
];

/// The words that stand for four bytes, in their order.
pub fn words(bytes: [u8; WORD_COUNT]) -> [&'static str; WORD_COUNT] {
    bytes.map(|byte| WORDS[usize::from(byte)])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_word_is_short_plain_and_told_by_its_first_three_letters() {
        assert!(WORDS.is_sorted());
        let starts: BTreeSet<&str> = WORDS.iter().map(|word| &word[..3]).collect();
        assert_eq!(starts.len(), WORDS.len());
        for word in WORDS {
            assert!((3..=8).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
        }
    }

    #[test]
    fn every_byte_has_its_word() {
        let all: BTreeSet<&str> = (0..=255).map(|byte| words([byte, 0, 0, 0])[0]).collect();
        assert_eq!(all.len(), 256);
        assert_eq!(words([0, 1, 254, 255]), ["acorn", "actor", "zebra", "zipper"]);
    }
}

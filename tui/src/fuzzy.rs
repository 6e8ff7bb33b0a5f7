//! How well something fits to what is typed: its letters in the same order, near each other and at the beginnings of words is better.

/// A letter that follows the one found before it.
const ADJACENT: u32 = 8;
/// A letter at the beginning of a word.
const WORD_START: u32 = 6;
/// The first letter of all.
const TEXT_START: u32 = 4;
/// Letters that are looked at, of the text and of what is typed (policy): no name or command is longer.
const MAX_LETTERS: usize = 200;

/// How well `text` fits, more is better; `None` if it lacks a letter of `typed`. Capitals and spaces of `typed` do not count.
pub(crate) fn score(typed: &str, text: &str) -> Option<u32> {
    let letters: Vec<char> = text.chars().flat_map(char::to_lowercase).take(MAX_LETTERS).collect();
    let wanted = typed.chars().flat_map(char::to_lowercase).filter(|letter| !letter.is_whitespace()).take(MAX_LETTERS);
    let (mut total, mut from, mut previous) = (0, 0, None);
    for letter in wanted {
        let index = from + letters.iter().skip(from).position(|other| *other == letter)?;
        total += 1 + worth(&letters, index, previous);
        previous = Some(index);
        from = index + 1;
    }
    Some(total)
}

fn worth(letters: &[char], index: usize, previous: Option<usize>) -> u32 {
    let before = index.checked_sub(1).and_then(|before| letters.get(before));
    let starts_word = before.is_none_or(|before| !before.is_alphanumeric());
    let adjacent = previous.is_some_and(|previous| previous + 1 == index);
    u32::from(adjacent) * ADJACENT + u32::from(starts_word) * WORD_START + u32::from(index == 0) * TEXT_START
}

/// How many letters must be changed, left out or added to make one word of the other.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().take(MAX_LETTERS).collect();
    let mut row: Vec<usize> = (0..=one.len()).collect();
    for letter in other.chars().take(MAX_LETTERS) {
        let mut next = Vec::with_capacity(row.len());
        next.push(row.first().map_or(0, |first| first + 1));
        for (pair, mine) in row.windows(2).zip(&one) {
            let (diagonal, above) = (pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0));
            let left = next.last().copied().unwrap_or(0);
            next.push((diagonal + usize::from(*mine != letter)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_order_fit_and_others_do_not() {
        assert!(score("stg", "settings").is_some() && score("gts", "settings").is_none());
        assert!(score("", "anything").is_some() && score("a", "").is_none());
        assert_eq!(score("NET work", "network"), score("network", "network"));
    }

    #[test]
    fn what_stands_together_and_at_the_beginning_is_better() {
        assert!(score("net", "network") > score("net", "a new tent"));
        assert!(score("ben", "Ben") > score("ben", "ruben"));
        assert!(score("set", "settings") > score("set", "show everything that"));
    }

    #[test]
    fn near_words_are_near() {
        for (one, other, expected) in [("help", "help", 0), ("hlep", "help", 2), ("", "abc", 3), ("netwrk", "network", 1), ("ä", "a", 1)] {
            assert_eq!((distance(one, other), distance(other, one)), (expected, expected), "{one} {other}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(distance(&"a".repeat(30_000), ""), MAX_LETTERS);
        assert!(score(&"a".repeat(30_000), &"a".repeat(30_000)).is_some());
    }
}

//! Regular expressions as Nix has them: those of libstdc++'s `std::regex` in
//! POSIX-extended mode, over bytes.
//!
//! They are neither POSIX nor Perl. A whole match takes the first way that
//! reaches the end; a search keeps the longest of the ways that it tries, and
//! it does not try all. So the machine here is built and walked in the same
//! order as that library's, and no other engine would do.

mod bracket;
mod compile;
mod guide;
mod matching;

pub use compile::{CompileError, Compiled};
pub use matching::Captures;

/// A compiled expression.
pub struct Regex(Compiled);

/// Why a match could not be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchError {
    /// The text nests the expression's repetitions beyond the stack.
    Stack,
    /// Repetitions of nothing inside each other have more ways than can be
    /// tried.
    Steps,
}

impl Regex {
    /// # Errors
    /// See [`CompileError`].
    pub fn new(pattern: &[u8]) -> Result<Self, CompileError> {
        Ok(Self(compile::compile(pattern)?))
    }

    /// Matches the whole text. Group 0 is the text.
    ///
    /// # Errors
    /// See [`MatchError`].
    pub fn match_whole(&self, text: &[u8]) -> Result<Option<Captures>, MatchError> {
        matching::Matching::new(&self.0, text).whole()
    }

    /// All matches from left to right, none overlapping.
    ///
    /// # Errors
    /// See [`MatchError`].
    pub fn find_all(&self, text: &[u8]) -> Result<Vec<Captures>, MatchError> {
        let mut found: Vec<Captures> = Vec::new();
        let mut matching = matching::Matching::new(&self.0, text);
        let mut start = 0;
        let mut inside = false;
        loop {
            let Some(captures) = matching.search(start, inside)? else { return Ok(found) };
            let (from, to) = captures[0].expect("group 0 is set in every match");
            found.push(captures);
            start = to;
            inside = true;
            if from == to {
                // An empty match: what is not empty may begin at the same
                // place, else the next byte is skipped.
                if to == text.len() {
                    return Ok(found);
                }
                if let Some(captures) = matching.here_not_empty(to)? {
                    start = captures[0].expect("group 0 is set in every match").1;
                    found.push(captures);
                } else {
                    start = to + 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(pattern: &str, text: &str) -> Option<Vec<Option<String>>> {
        let captures = Regex::new(pattern.as_bytes()).ok().unwrap().match_whole(text.as_bytes()).unwrap()?;
        let part = |range: &Option<(usize, usize)>| range.map(|(a, b)| text[a..b].to_owned());
        Some(captures[1..].iter().map(part).collect())
    }

    #[test]
    fn the_first_alternative_that_fits_wins() {
        let groups = |v: &[&str]| Some(v.iter().map(|s| Some((*s).to_owned())).collect());
        assert_eq!(whole("(a|ab)(c|bcd)(d*)", "abcd"), groups(&["a", "bcd", ""]));
        assert_eq!(whole("(a*)+", "aa"), groups(&[""]));
        assert_eq!(whole("(x)|y", "y"), Some(vec![None]));
    }

    #[test]
    fn many_ways_to_fail_are_not_all_tried() {
        assert_eq!(whole("((a*)+|b{1,3}?)+x*", &format!("aa{})", "b".repeat(60))), None);
        assert_eq!(whole("(a|a|aa)*c", &"a".repeat(100)), None);
        assert_eq!(whole("(([ab]*)*)*b", &"ab".repeat(50)).map(|groups| groups.len()), Some(2));
    }

    #[test]
    fn a_search_is_longest() {
        let regex = Regex::new(b"a|ab").ok().unwrap();
        let found = regex.find_all(b"abab").unwrap();
        assert_eq!(found.iter().map(|c| c[0].unwrap()).collect::<Vec<_>>(), [(0, 2), (2, 4)]);
    }

    #[test]
    fn refuses_what_the_library_refuses() {
        for bad in [r"\d", r"\w", "(?:a)", "{", "a{1", "[a", "(", "*", "+a", "[b-a]", "a{3,1}", "[[:foo:]]"] {
            assert!(Regex::new(bad.as_bytes()).is_err(), "{bad}");
        }
        for good in ["", "()", "a*?", "a|", "]", "}", "[]]", "[^]]", "[a-]", "[[=a=]]", r"\.", "a{0}"] {
            assert!(Regex::new(good.as_bytes()).is_ok(), "{good}");
        }
    }
}

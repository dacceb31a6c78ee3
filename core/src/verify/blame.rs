//! Which variations a difference comes from: found by building again with some
//! of them off.

use std::collections::BTreeMap;

use super::variation::{Variation, Variations};

/// Why a step's outputs differ, or why it fails, as far as building again tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It does so with nothing varied, too: a time of the day, a random number,
    /// a race; or what is broken.
    Itself,
    /// With each of these and nothing else it does so, and with none of them
    /// it does not. More than one in a set: only together.
    Variations(Vec<Variations>),
    /// It did so once and not again: a race, most likely.
    Unsteady,
}

/// What a step does that it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Differs,
    Fails,
}

impl Cause {
    /// The same as a sentence without its stop.
    pub fn sentence(&self, fault: Fault) -> String {
        let (does, did) = match fault {
            Fault::Differs => ("differs", "differed"),
            Fault::Fails => ("fails", "failed"),
        };
        let sets = match self {
            Self::Itself => return format!("it {does} from run to run, with nothing varied"),
            Self::Unsteady => return format!("it {did} once and not again, as what races does"),
            Self::Variations(sets) => sets,
        };
        let names: Vec<String> = sets.iter().map(|set| set.to_string().replace(',', " with ")).collect();
        let names = names.join(", and with ");
        let mut sentence =
            format!("it {does} with {names} varied and nothing else, and with nothing varied it does not");
        let usual: Option<Vec<&str>> = sets.iter().map(|set| Some(set.only()?.usual_difference())).collect();
        if let (Fault::Differs, Some(usual)) = (fault, usual) {
            sentence.push_str(&format!(" (usually {})", usual.join("; ")));
        }
        sentence
    }
}

/// Finds the cause of a fault that was seen under some variations. `differs`
/// builds once more; `suspected` are tried first, since what differs may already
/// show what it comes from.
///
/// # Errors
/// Those of `differs`.
pub fn blame<E>(
    seen: &Variations,
    suspected: &[Variation],
    differs: &mut dyn FnMut(&Variations) -> Result<bool, E>,
) -> Result<Cause, E> {
    let mut tried = Tried { differs, results: BTreeMap::new() };
    if tried.differs(&Variations::none())? {
        return Ok(Cause::Itself);
    }
    let mut causes = Vec::new();
    let mut rest = seen.clone();
    for suspect in suspected.iter().filter(|suspect| seen.contains(**suspect)) {
        let alone: Variations = [*suspect].into_iter().collect();
        if tried.differs(&alone)? {
            rest = rest.without(*suspect);
            causes.push(alone);
        }
    }
    while !rest.is_empty() && tried.differs(&rest)? {
        let cause = tried.smallest(rest.clone())?;
        rest = rest.iter().filter(|one| !cause.contains(*one)).collect();
        causes.push(cause);
    }
    Ok(if causes.is_empty() { Cause::Unsteady } else { Cause::Variations(causes) })
}

struct Tried<'d, E> {
    differs: &'d mut dyn FnMut(&Variations) -> Result<bool, E>,
    results: BTreeMap<Variations, bool>,
}

impl<E> Tried<'_, E> {
    fn differs(&mut self, variations: &Variations) -> Result<bool, E> {
        if let Some(result) = self.results.get(variations) {
            return Ok(*result);
        }
        let result = (self.differs)(variations)?;
        self.results.insert(variations.clone(), result);
        Ok(result)
    }

    /// The smallest part, of variations that make it differ, that does.
    fn smallest(&mut self, mut set: Variations) -> Result<Variations, E> {
        loop {
            let all: Vec<Variation> = set.iter().collect();
            if all.len() == 1 {
                return Ok(set);
            }
            let (some, others) = all.split_at(all.len() / 2);
            let [some, others]: [Variations; 2] = [some, others].map(|half| half.iter().copied().collect());
            if self.differs(&some)? {
                set = some;
            } else if self.differs(&others)? {
                set = others;
            } else {
                return self.together(set);
            }
        }
    }

    /// Of variations that act only together, those that are needed.
    fn together(&mut self, mut set: Variations) -> Result<Variations, E> {
        for one in set.clone().iter() {
            let without = set.without(one);
            if self.differs(&without)? {
                set = without;
            }
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use Variation::*;

    fn set(variations: &[Variation]) -> Variations {
        variations.iter().copied().collect()
    }

    /// The cause that is found, where `law` says what differs; and how many
    /// builds that took.
    fn find(suspected: &[Variation], law: impl Fn(&Variations) -> bool) -> (Cause, usize) {
        let mut builds = 0;
        let mut differs = |variations: &Variations| {
            builds += 1;
            Ok::<_, Infallible>(law(variations))
        };
        let Ok(cause) = blame(&Variations::all(), suspected, &mut differs);
        (cause, builds)
    }

    #[test]
    fn one_cause_is_found_among_many() {
        for variation in Variations::all().iter() {
            let (cause, builds) = find(&[], |on| on.contains(variation));
            assert_eq!(cause, Cause::Variations(vec![set(&[variation])]), "{variation}");
            assert!(builds <= 11, "{variation}: {builds} builds");
        }
    }

    #[test]
    fn a_right_suspicion_takes_three_builds() {
        let (cause, builds) = find(&[Clock], |on| on.contains(Clock));
        assert_eq!((cause, builds), (Cause::Variations(vec![set(&[Clock])]), 3));
    }

    #[test]
    fn a_wrong_suspicion_blames_nobody() {
        let (cause, _) = find(&[Clock, Path], |on| on.contains(Umask));
        assert_eq!(cause, Cause::Variations(vec![set(&[Umask])]));
    }

    #[test]
    fn all_causes_are_found() {
        let (cause, _) = find(&[Path], |on| on.contains(Path) || on.contains(Zone) || on.contains(Memory));
        assert_eq!(cause, Cause::Variations(vec![set(&[Path]), set(&[Zone]), set(&[Memory])]));
    }

    #[test]
    fn what_acts_together_is_found_together() {
        let (cause, _) = find(&[], |on| on.contains(Clock) && on.contains(Zone));
        assert_eq!(cause, Cause::Variations(vec![set(&[Zone, Clock])]));
    }

    #[test]
    fn what_differs_by_itself_or_once_is_no_variations_fault() {
        assert_eq!(find(&[Clock], |_| true), (Cause::Itself, 1));
        assert_eq!(find(&[], |_| false).0, Cause::Unsteady);
    }
}

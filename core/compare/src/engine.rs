//! Two runs of bytes, opened as far as they go.

use std::collections::BTreeMap;
use std::io;

use crate::difference::{
    Class, Difference, Excerpt, Hint, Line, LineSide, Sides, Step, StepKind, What, printable,
};
use crate::formats;
use crate::hints;
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened, Stored};
use crate::scan::{Scan, is_equal, scan};
use crate::sniff::{Format, sniff};
use crate::source::{Refusal, Scratch, Source};
use crate::{bytes, json, listing, text};

pub(crate) struct Engine<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) scratch: Scratch,
}

/// Differences below one thing, as many as may be kept.
pub(crate) struct Children {
    kept: Vec<Difference>,
    omitted: u64,
    limit: usize,
}

impl Children {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { kept: Vec::new(), omitted: 0, limit: limits.children }
    }

    /// Further ones need not be worked out, only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.len() >= self.limit
    }

    pub(crate) fn count(&mut self) {
        self.omitted += 1;
    }

    pub(crate) fn push(&mut self, child: Difference) {
        if self.is_full() { self.count() } else { self.kept.push(child) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.omitted == 0
    }

    pub(crate) fn hand_to(self, node: &mut Difference) {
        node.children = self.kept;
        node.children_omitted = self.omitted;
    }
}

impl Engine<'_> {
    /// Compares and opens; none if the bytes are equal.
    pub(crate) fn contents(
        &self,
        step: Step,
        left: &Source,
        right: &Source,
        depth: usize,
    ) -> io::Result<Option<Difference>> {
        let Some(scan) = scan(left, right)? else {
            return Ok(None);
        };
        let mut node = Difference::new(step, What::Bytes);
        node.sizes = Sides { left: Some(left.size()), right: Some(right.size()) };
        node.place = Some(scan.place);
        let formats = Sides { left: sniff(left)?, right: sniff(right)? };
        let Some(format) = Format::of_both(formats) else {
            node.what = What::Kind(Sides { left: formats.left.word(), right: formats.right.word() });
            bytes::describe(&mut node, left, right, &scan, self.limits)?;
            return Ok(Some(node));
        };
        node.format = format.word_of_pair();
        match self.open(&mut node, format, left, right, &scan, depth) {
            Ok(()) => return Ok(Some(node)),
            Err(Refusal::Host(error)) => return Err(error),
            Err(refusal) => node.notes.push(format!("compared as bytes: {}", refusal.why())),
        }
        bytes::describe(&mut node, left, right, &scan, self.limits)?;
        Ok(Some(node))
    }

    fn open(
        &self,
        node: &mut Difference,
        format: Format,
        left: &Source,
        right: &Source,
        scan: &Scan,
        depth: usize,
    ) -> Result<(), Refusal> {
        let reader = match format {
            Format::Bytes | Format::Empty => {
                return Ok(bytes::describe(node, left, right, scan, self.limits)?);
            }
            Format::Text => return text::describe(node, left, right, self.limits),
            Format::Json => {
                return match json::describe(node, left, right, self.limits) {
                    Err(Refusal::Malformed(_)) => {
                        node.format = Format::Text.word_of_pair();
                        text::describe(node, left, right, self.limits)
                    }
                    done => done,
                };
            }
            format => formats::reader(format),
        };
        if depth >= self.limits.depth {
            return Err(Refusal::Beyond(format!("it lies {depth} containers deep")));
        }
        let sides = [("left", left), ("right", right)];
        let mut opened = Vec::new();
        for (side, source) in sides {
            match reader(source, self.limits, &self.scratch) {
                Ok(done) => opened.push(done),
                Err(Refusal::Host(error)) => return Err(Refusal::Host(error)),
                Err(refusal) => {
                    let why = refusal.why();
                    node.notes.push(format!("compared as bytes: the {side} side is not opened: {why}"));
                }
            }
        }
        match <[Opened; 2]>::try_from(opened) {
            Ok([a, b]) => self.opened(node, Sides { left: a, right: b }, left, right, scan, depth)?,
            Err(_) => bytes::describe(node, left, right, scan, self.limits)?,
        }
        Ok(())
    }

    fn opened(
        &self,
        node: &mut Difference,
        opened: Sides<Opened>,
        left: &Source,
        right: &Source,
        scan: &Scan,
        depth: usize,
    ) -> io::Result<()> {
        let Sides { left: a, right: b } = opened;
        let mut children = Children::new(self.limits);
        fields(&a.fields, &b.fields, &mut children);
        let sequence = a.sequence;
        self.members(a.members, b.members, sequence, &mut children, depth + 1)?;
        for note in a.notes.into_iter().chain(b.notes) {
            if !node.notes.contains(&note) {
                node.notes.push(note);
            }
        }
        if !children.is_empty() {
            node.what = What::Inside;
            children.hand_to(node);
            return Ok(());
        }
        bytes::describe(node, left, right, scan, self.limits)?;
        node.what = What::Encoding;
        for (side, places) in [("left", &a.places), ("right", &b.places)] {
            if let Some(place) = place_of(places, scan.place.first_offset) {
                node.notes.push(format!("the first differing byte on the {side} is in {place}"));
            }
        }
        if a.is_compression {
            node.hints.clear();
            let evidence = "what it unpacks to is equal, the compressed bytes are not".to_owned();
            node.hints.push(Hint { class: Class::Compression, evidence });
        }
        Ok(())
    }

    fn members(
        &self,
        mut left: Vec<Member>,
        mut right: Vec<Member>,
        sequence: Option<&'static str>,
        children: &mut Children,
        depth: usize,
    ) -> io::Result<()> {
        number(&mut left);
        number(&mut right);
        let places: BTreeMap<&Step, usize> = right.iter().enumerate().map(|(at, m)| (&m.step, at)).collect();
        let partner: Vec<Option<usize>> = left.iter().map(|m| places.get(&m.step).copied()).collect();
        drop(places);
        if let Some(what) = sequence {
            let child = order(what, &left, &right, &partner);
            child.into_iter().for_each(|child| children.push(child));
        }
        let mut has_partner = vec![false; right.len()];
        partner.iter().flatten().for_each(|at| has_partner[*at] = true);
        // By the place on the side where it stands first, so that the sequence
        // is the same whichever side is called left.
        let mut pairs: Vec<(usize, usize, Sides<Option<&Member>>)> = Vec::new();
        for (at, (member, partner)) in left.iter().zip(&partner).enumerate() {
            let other = partner.unwrap_or(at);
            let sides = Sides { left: Some(member), right: partner.map(|at| &right[at]) };
            pairs.push((at.min(other), at.max(other), sides));
        }
        for (at, member) in right.iter().enumerate().filter(|(at, _)| !has_partner[*at]) {
            pairs.push((at, at, Sides { left: None, right: Some(member) }));
        }
        pairs.sort_by(|a, b| (a.0, a.1, step_of(&a.2)).cmp(&(b.0, b.1, step_of(&b.2))));
        for (_, _, sides) in pairs {
            match sides {
                Sides { left: Some(left), right: Some(right) } if children.is_full() => {
                    if self.member_differs(left, right)? {
                        children.count();
                    }
                }
                Sides { left: Some(left), right: Some(right) } => {
                    let child = self.member(left, right, depth)?;
                    child.into_iter().for_each(|child| children.push(child));
                }
                Sides { left: Some(left), right: None } => children.push(alone(left, What::OnlyLeft)),
                Sides { left: None, right: Some(right) } => children.push(alone(right, What::OnlyRight)),
                Sides { left: None, right: None } => {}
            }
        }
        Ok(())
    }

    fn member(&self, left: &Member, right: &Member, depth: usize) -> io::Result<Option<Difference>> {
        let mut found = Children::new(self.limits);
        fields(&left.fields, &right.fields, &mut found);
        let content = self.content(&left.step, &left.content, &right.content, depth)?;
        Ok(joined(left.step.clone(), found.kept, content))
    }

    fn content(
        &self,
        step: &Step,
        left: &Content,
        right: &Content,
        depth: usize,
    ) -> io::Result<Option<Difference>> {
        match (left, right) {
            (Content::None, Content::None) => Ok(None),
            (Content::None, _) => Ok(Some(self.one_sided(step, What::OnlyRight, right))),
            (_, Content::None) => Ok(Some(self.one_sided(step, What::OnlyLeft, left))),
            (Content::Listing { bytes: a, lines: la, of }, Content::Listing { bytes: b, lines: lb, .. }) => {
                let Some(scan) = scan(a, b)? else { return Ok(None) };
                match (la(), lb()) {
                    (Ok(la), Ok(lb)) if la != lb => {
                        let mut node = Difference::new(step.clone(), What::Text);
                        node.sizes = Sides { left: Some(a.size()), right: Some(b.size()) };
                        node.place = Some(scan.place);
                        node.format = Some(of);
                        listing::describe(&mut node, &la, &lb, self.limits);
                        Ok(Some(node))
                    }
                    (Err(Refusal::Host(error)), _) | (_, Err(Refusal::Host(error))) => Err(error),
                    _ => self.contents(step.clone(), a, b, depth),
                }
            }
            (Content::Stored(a), Content::Stored(b)) if is_stored_equal(a, b)? => Ok(None),
            _ => {
                let (left, right) = match (self.bytes_of(left), self.bytes_of(right)) {
                    (Ok(left), Ok(right)) => (left, right),
                    (Err(Refusal::Host(error)), _) | (_, Err(Refusal::Host(error))) => return Err(error),
                    (a, b) => {
                        let mut node = Difference::new(step.clone(), What::Bytes);
                        node.sizes = Sides { left: left.size(), right: right.size() };
                        for (side, refusal) in [("left", a.err()), ("right", b.err())] {
                            node.notes.extend(refusal.map(|r| format!("the {side} side: {}", r.why())));
                        }
                        return Ok(Some(node));
                    }
                };
                self.contents(step.clone(), &left, &right, depth)
            }
        }
    }

    fn bytes_of(&self, content: &Content) -> Result<Source, Refusal> {
        match content {
            Content::None => Ok(Source::of_bytes(Vec::new())),
            Content::Bytes(bytes) | Content::Listing { bytes, .. } => Ok(bytes.clone()),
            Content::Stored(stored) => (stored.unpack)(&self.scratch),
        }
    }

    fn one_sided(&self, step: &Step, what: What, content: &Content) -> Difference {
        let mut node = Difference::new(step.clone(), what);
        set_size(&mut node, content.size());
        node
    }

    /// Whether a member differs at all.
    fn member_differs(&self, left: &Member, right: &Member) -> io::Result<bool> {
        let has_equal_fields = left.fields.len() == right.fields.len()
            && left.fields.iter().zip(&right.fields).all(|(a, b)| a.name == b.name && a.value == b.value);
        if !has_equal_fields {
            return Ok(true);
        }
        match (&left.content, &right.content) {
            (Content::Stored(a), Content::Stored(b)) if is_stored_equal(a, b)? => return Ok(false),
            (Content::None, Content::None) => return Ok(false),
            (Content::None, _) | (_, Content::None) => return Ok(true),
            _ => {}
        }
        match (self.bytes_of(&left.content), self.bytes_of(&right.content)) {
            (Ok(left), Ok(right)) => Ok(!is_equal(&left, &right)?),
            (Err(Refusal::Host(error)), _) | (_, Err(Refusal::Host(error))) => Err(error),
            _ => Ok(true),
        }
    }
}

/// Puts together what differs of a thing beside its contents and the contents.
pub(crate) fn joined(
    step: Step,
    mut fields: Vec<Difference>,
    content: Option<Difference>,
) -> Option<Difference> {
    let Some(mut content) = content else {
        if fields.is_empty() {
            return None;
        }
        let mut node = Difference::new(step, What::Inside);
        node.children = fields;
        return Some(node);
    };
    content.step = step;
    if fields.is_empty() {
        return Some(content);
    }
    if content.what == What::Inside {
        fields.append(&mut content.children);
        content.children = fields;
        return Some(content);
    }
    let mut node = Difference::new(content.step, What::Inside);
    content.step = Step::new(StepKind::Content, "contents");
    node.sizes = content.sizes;
    fields.push(content);
    node.children = fields;
    Some(node)
}

/// Values of headers by their names.
fn fields(left: &[Field], right: &[Field], children: &mut Children) {
    let numbered = |fields: &[Field]| {
        let mut seen: BTreeMap<&'static str, u32> = BTreeMap::new();
        let steps = fields.iter().map(|field| {
            let count = seen.entry(field.name).or_default();
            *count += 1;
            Step { kind: StepKind::Field, name: field.name.into(), occurrence: *count - 1 }
        });
        steps.collect::<Vec<_>>()
    };
    let (left_steps, right_steps) = (numbered(left), numbered(right));
    let of_right: BTreeMap<&Step, &Field> = right_steps.iter().zip(right).collect();
    let of_left: BTreeMap<&Step, &Field> = left_steps.iter().zip(left).collect();
    // Every step with its places, the first of them first: the sequence is the
    // same whichever side is called left.
    let mut places: BTreeMap<&Step, (usize, usize)> = BTreeMap::new();
    for (at, step) in left_steps.iter().enumerate().chain(right_steps.iter().enumerate()) {
        let place = places.entry(step).or_insert((at, at));
        *place = (place.0.min(at), place.1.max(at));
    }
    let mut all: Vec<((usize, usize), &Step)> =
        places.into_iter().map(|(step, place)| (place, step)).collect();
    all.sort();
    for (_, step) in all {
        match (of_left.get(step), of_right.get(step)) {
            (Some(a), Some(b)) if a.value == b.value => {}
            (Some(a), Some(b)) => children.push(value(step.clone(), &a.value, &b.value, a.class)),
            (Some(field), None) => children.push(field_alone(step, field, What::OnlyLeft)),
            (None, Some(field)) => children.push(field_alone(step, field, What::OnlyRight)),
            (None, None) => {}
        }
    }
}

fn field_alone(step: &Step, field: &Field, what: What) -> Difference {
    let mut node = Difference::new(step.clone(), what);
    node.notes.push(format!("it says {}", printable(cut(&field.value))));
    node
}

/// Two values of one thing.
pub(crate) fn value(step: Step, left: &[u8], right: &[u8], class: Option<Class>) -> Difference {
    let values = Sides { left: cut(left).to_vec(), right: cut(right).to_vec() };
    let name = printable(&step.name);
    let mut node = Difference::new(step, What::Value(values));
    if left.len().max(right.len()) > VALUE_BYTES {
        node.notes.push(format!("only the first {VALUE_BYTES} bytes of the values are shown"));
    }
    node.hints = match class {
        Some(class) => vec![Hint { class, evidence: format!("the format's own field '{name}' differs") }],
        None => hints::of_texts(left, right),
    };
    node
}

const VALUE_BYTES: usize = 1024;

fn cut(value: &[u8]) -> &[u8] {
    &value[..value.len().min(VALUE_BYTES)]
}

fn number(members: &mut [Member]) {
    let mut seen: BTreeMap<(StepKind, Vec<u8>), u32> = BTreeMap::new();
    for member in members {
        let count = seen.entry((member.step.kind, member.step.name.clone())).or_default();
        member.step.occurrence = *count;
        *count += 1;
    }
}

fn step_of<'a>(sides: &Sides<Option<&'a Member>>) -> Option<&'a Step> {
    sides.left.or(sides.right).map(|member| &member.step)
}

fn alone(member: &Member, what: What) -> Difference {
    let mut node = Difference::new(member.step.clone(), what);
    set_size(&mut node, member.content.size());
    node
}

fn set_size(node: &mut Difference, size: Option<u64>) {
    if node.what == What::OnlyLeft { node.sizes.left = size } else { node.sizes.right = size }
}

/// Whether what both sides have stands in another sequence.
fn order(what: &str, left: &[Member], right: &[Member], partner: &[Option<usize>]) -> Option<Difference> {
    let of_left: Vec<&Step> =
        left.iter().zip(partner).filter(|(_, p)| p.is_some()).map(|(m, _)| &m.step).collect();
    let mut places: Vec<usize> = partner.iter().flatten().copied().collect();
    places.sort_unstable();
    let of_right: Vec<&Step> = places.iter().map(|at| &right[*at].step).collect();
    let first = of_left.iter().zip(&of_right).position(|(a, b)| a != b)?;
    let mut node = Difference::new(Step::new(StepKind::Sequence, what), What::Order);
    let line = |side, at: usize, step: &Step| Line { side, number: at as u64 + 1, text: step.name.clone() };
    let shown = first..of_left.len().min(first + 3);
    let lines = shown.clone().map(|at| line(LineSide::Left, at, of_left[at]));
    let lines = lines.chain(shown.map(|at| line(LineSide::Right, at, of_right[at]))).collect();
    let moved = of_left.iter().zip(&of_right).filter(|(a, b)| a != b).count() as u64;
    node.excerpt = Some(Excerpt::Lines { lines, omitted: 0 });
    let evidence =
        format!("both sides have the same {} {what}, {moved} of them at other places", of_left.len());
    node.hints.push(Hint { class: Class::Order, evidence });
    Some(node)
}

fn is_stored_equal(left: &Stored, right: &Stored) -> io::Result<bool> {
    if left.size != right.size || left.pieces.len() != right.pieces.len() {
        return Ok(false);
    }
    for ((a, shape_a), (b, shape_b)) in left.pieces.iter().zip(&right.pieces) {
        if shape_a != shape_b || !is_equal(a, b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn place_of(places: &[(u64, String)], offset: u64) -> Option<&str> {
    let behind = places.partition_point(|(start, _)| *start <= offset);
    places.get(behind.checked_sub(1)?).map(|(_, place)| place.as_str())
}

impl Refusal {
    fn why(&self) -> String {
        match self {
            Self::Malformed(why) => (*why).to_owned(),
            Self::Beyond(why) => why.clone(),
            Self::Host(error) => error.to_string(),
        }
    }
}

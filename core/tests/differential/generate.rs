//! Programs from random choices.
//!
//! Every expression is drawn for a type, so that most programs get somewhere;
//! now and then the type is another, so that failures are compared too. The
//! same choices always draw the same program, which is what makes shrinking
//! possible without a syntax tree: choices that run out are zero, and zero
//! always draws something small.

mod builtins;
mod drawn;
mod literals;
mod shapes;

/// Where decisions come from.
pub(crate) struct Choices {
    given: Vec<u32>,
    position: usize,
    random: Option<u64>,
}

impl Choices {
    pub(crate) fn seeded(seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
        Self { given: Vec::new(), position: 0, random: Some(random) }
    }

    pub(crate) fn fixed(given: Vec<u32>) -> Self {
        Self { given, position: 0, random: None }
    }

    /// The choices that were made.
    pub(crate) fn taken(&self) -> Vec<u32> {
        self.given[..self.position.min(self.given.len())].to_vec()
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        if let Some(random) = &mut self.random {
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mixed = (*random ^ (*random >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            self.given.push(((mixed >> 33) as usize % bound) as u32);
        }
        let choice = self.given.get(self.position).copied().unwrap_or(0) as usize;
        self.position += 1;
        choice.min(bound - 1)
    }

    /// True in one case of `count`.
    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// What an expression should evaluate to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Int,
    /// Small enough to be a length.
    Count,
    Float,
    Bool,
    Null,
    String,
    /// A string without context, such as names need.
    Name,
    /// A name as such, without quotes.
    Bare,
    Path,
    List,
    /// A list of strings.
    Strings,
    /// A list of sets.
    Sets,
    Set,
    Function,
    Derivation,
    Any,
}

const TYPES: [Type; 11] = [
    Type::Int,
    Type::String,
    Type::List,
    Type::Set,
    Type::Bool,
    Type::Float,
    Type::Path,
    Type::Function,
    Type::Null,
    Type::Derivation,
    Type::Strings,
];

const NAMES: [&str; 8] = ["a", "b", "c", "d", "x", "y", "name", "value"];

pub(crate) fn program(choices: &mut Choices) -> String {
    let mut generator = Generator { choices, variables: Vec::new(), budget: 60 };
    generator.expression(Type::Any, 6)
}

struct Generator<'c> {
    choices: &'c mut Choices,
    /// In scope, innermost last; their types are what was intended.
    variables: Vec<(&'static str, Type)>,
    /// Nodes that may still be drawn.
    budget: usize,
}

impl Generator<'_> {
    fn expression(&mut self, wanted: Type, depth: usize) -> String {
        let mut wanted = wanted;
        if wanted == Type::Bare {
            return self.choices.pick(&NAMES).to_owned();
        }
        if wanted == Type::Any || self.choices.one_in(40) {
            wanted = self.choices.pick(&TYPES);
        }
        if depth == 0 || self.budget == 0 {
            return self.leaf(wanted);
        }
        self.budget -= 1;
        match self.choices.below(12) {
            0 | 1 => self.leaf(wanted),
            2 | 3 => self.shaped(wanted, depth - 1),
            4 => self.wrapped(wanted, depth - 1),
            5..8 => match self.library_shape(wanted, depth - 1) {
                Some(text) => text,
                None => self.shaped(wanted, depth - 1),
            },
            _ => self.call_builtin(wanted, depth - 1),
        }
    }

    /// In parentheses, as an argument or operand.
    fn operand(&mut self, wanted: Type, depth: usize) -> String {
        format!("({})", self.expression(wanted, depth))
    }

    fn leaf(&mut self, wanted: Type) -> String {
        let matching: Vec<&'static str> =
            self.variables.iter().filter(|(_, t)| *t == wanted || *t == Type::Any).map(|(n, _)| *n).collect();
        if !matching.is_empty() && self.choices.below(3) > 0 {
            return self.choices.pick(&matching).to_owned();
        }
        self.literal(wanted)
    }

    /// Syntax that makes this type.
    fn shaped(&mut self, wanted: Type, depth: usize) -> String {
        match wanted {
            Type::Int | Type::Count => {
                let sign = self.choices.pick(&["+", "-", "*", "/"]);
                format!("{} {sign} {}", self.operand(wanted, depth), self.operand(wanted, depth))
            }
            Type::Float => {
                let sign = self.choices.pick(&["+", "-", "*", "/"]);
                let other = self.choices.pick(&[Type::Float, Type::Int]);
                format!("{} {sign} {}", self.operand(Type::Float, depth), self.operand(other, depth))
            }
            Type::Bool => self.condition(depth),
            Type::String => match self.choices.below(4) {
                0 => format!("{} + {}", self.operand(Type::String, depth), self.operand(Type::String, depth)),
                1 => {
                    let part = self.choices.pick(&[Type::String, Type::Path, Type::Derivation, Type::Int]);
                    format!("\"<${{{}}}>\"", self.expression(part, depth))
                }
                2 => format!("''  a${{{}}} b ''", self.expression(Type::String, depth)),
                _ => format!(
                    "{} + {}",
                    self.operand(Type::Derivation, depth),
                    self.operand(Type::String, depth)
                ),
            },
            Type::Path => {
                format!("{} + {}", self.operand(Type::Path, depth), self.operand(Type::String, depth))
            }
            Type::List | Type::Strings | Type::Sets => match self.choices.below(3) {
                0 => format!("{} ++ {}", self.operand(wanted, depth), self.operand(wanted, depth)),
                _ => {
                    let item = match wanted {
                        Type::Strings => Type::String,
                        Type::Sets => Type::Set,
                        _ => self.choices.pick(&[Type::Any, Type::Int, Type::String]),
                    };
                    let count = self.choices.below(5);
                    let items: Vec<String> = (0..count).map(|_| self.operand(item, depth)).collect();
                    format!("[ {} ]", items.join(" "))
                }
            },
            Type::Set => match self.choices.below(4) {
                0 => format!("{} // {}", self.operand(Type::Set, depth), self.operand(Type::Set, depth)),
                _ => self.set(depth),
            },
            Type::Function => self.function(depth),
            Type::Derivation => self.derivation(depth),
            Type::Null | Type::Name | Type::Bare | Type::Any => self.leaf(wanted),
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        match self.choices.below(6) {
            0 => format!("! {}", self.operand(Type::Bool, depth)),
            1 => {
                let sign = self.choices.pick(&["&&", "||", "->"]);
                format!("{} {sign} {}", self.operand(Type::Bool, depth), self.operand(Type::Bool, depth))
            }
            2 => {
                let sign = self.choices.pick(&["<", "<=", ">", ">="]);
                let kind = self.choices.pick(&[Type::Int, Type::Float, Type::String, Type::List, Type::Path]);
                format!("{} {sign} {}", self.operand(kind, depth), self.operand(kind, depth))
            }
            3 => {
                let name = self.choices.pick(&NAMES);
                let path = match self.choices.below(3) {
                    0 => name.to_owned(),
                    1 => format!("{name}.{}", self.choices.pick(&NAMES)),
                    _ => format!("${{{}}}", self.expression(Type::Name, depth)),
                };
                format!("{} ? {path}", self.operand(Type::Set, depth))
            }
            _ => {
                let sign = self.choices.pick(&["==", "!="]);
                let kind = self.choices.pick(&TYPES);
                format!("{} {sign} {}", self.operand(kind, depth), self.operand(kind, depth))
            }
        }
    }

    fn set(&mut self, depth: usize) -> String {
        let recursive = self.choices.one_in(3);
        let count = self.choices.below(5);
        let mut used: Vec<&str> = Vec::new();
        let names: Vec<&'static str> = (0..count)
            .map(|_| self.choices.pick(&NAMES))
            .filter(|name| {
                if used.contains(name) {
                    false
                } else {
                    used.push(name);
                    true
                }
            })
            .collect();
        let outer = self.variables.len();
        if recursive {
            self.variables.extend(names.iter().map(|name| (*name, Type::Any)));
        }
        let mut text = String::from(if recursive { "rec { " } else { "{ " });
        for name in &names {
            text.push_str(&self.binding(name, recursive, depth));
        }
        if self.choices.one_in(4) {
            let name = self.choices.pick(&[
                "\"a b\"",
                "\"\"",
                "\"if\"",
                "\"é\"",
                "or",
                "__toString",
                "__functor",
                "outPath",
                "type",
            ]);
            let value = match name {
                "__toString" => format!("self: {}", self.expression(Type::String, depth)),
                "__functor" => format!("self: {}", self.function(depth)),
                "outPath" => self.expression(Type::String, depth),
                _ => self.expression(Type::Any, depth),
            };
            text.push_str(&format!("{name} = {value}; "));
        }
        if self.choices.one_in(6) {
            let name = self.expression(Type::Name, depth);
            text.push_str(&format!("${{{name}}} = {}; ", self.expression(Type::Any, depth)));
        }
        self.variables.truncate(outer);
        text.push('}');
        text
    }

    fn binding(&mut self, name: &'static str, recursive: bool, depth: usize) -> String {
        let outside = self.variables.iter().any(|(n, _)| *n == name) && !recursive;
        match self.choices.below(8) {
            0 if outside => format!("inherit {name}; "),
            1 => format!("inherit ({}) {name}; ", self.expression(Type::Set, depth)),
            2 => {
                let (one, two) = (self.choices.pick(&NAMES[..4]), self.choices.pick(&NAMES[4..]));
                let (a, b) = (self.expression(Type::Any, depth), self.expression(Type::Any, depth));
                format!("{name}.{one} = {a}; {name}.{two} = {b}; ")
            }
            _ => format!("{name} = {}; ", self.expression(Type::Any, depth)),
        }
    }

    fn function(&mut self, depth: usize) -> String {
        let outer = self.variables.len();
        let name = self.choices.pick(&NAMES);
        let text = match self.choices.below(4) {
            0 | 1 => {
                self.variables.push((name, Type::Any));
                format!("{name}: {}", self.expression(Type::Any, depth))
            }
            2 => {
                let other = self.choices.pick(&NAMES);
                self.variables.extend([(name, Type::Any), (other, Type::Any)]);
                format!("{name}: {other}: {}", self.expression(Type::Any, depth))
            }
            _ => {
                let other = NAMES.iter().copied().find(|n| *n != name).expect("there are several names");
                self.variables.extend([(name, Type::Any), (other, Type::Any)]);
                let default = self.expression(Type::Any, depth);
                let rest = self.choices.pick(&["", ", ..."]);
                let at = self.choices.pick(&["", "@all"]);
                format!("{{ {name} ? {default}, {other}{rest} }}{at}: {}", self.expression(Type::Any, depth))
            }
        };
        self.variables.truncate(outer);
        text
    }

    fn derivation(&mut self, depth: usize) -> String {
        let more = match self.choices.below(5) {
            0 => String::new(),
            1 => format!("a = {};", self.expression(Type::Any, depth)),
            2 => "outputs = [ \"out\" \"dev\" ];".to_owned(),
            3 => format!(
                "__structuredAttrs = true; a = {}; f = {};",
                self.expression(Type::Any, depth),
                self.drawn_float()
            ),
            _ => format!("args = {};", self.expression(Type::List, depth)),
        };
        format!("derivation {{ name = \"n\"; builder = \"b\"; system = \"s\"; {more} }}")
    }

    /// Syntax around an expression of any type.
    fn wrapped(&mut self, wanted: Type, depth: usize) -> String {
        let outer = self.variables.len();
        let text = match self.choices.below(7) {
            0 => format!(
                "if {} then {} else {}",
                self.expression(Type::Bool, depth),
                self.expression(wanted, depth),
                self.expression(wanted, depth)
            ),
            1 | 2 => {
                let name = self.choices.pick(&NAMES);
                let kind = self.choices.pick(&TYPES);
                let value = self.expression(kind, depth);
                self.variables.push((name, kind));
                format!("let {name} = {value}; in {}", self.expression(wanted, depth))
            }
            3 => {
                let set = self.expression(Type::Set, depth);
                self.variables.extend(NAMES[..3].iter().map(|name| (*name, Type::Any)));
                format!("with {set}; {}", self.expression(wanted, depth))
            }
            4 => {
                let name = self.choices.pick(&NAMES);
                let or = self.expression(wanted, depth);
                format!("{}.{name} or ({or})", self.operand(Type::Set, depth))
            }
            5 => format!("assert {}; {}", self.expression(Type::Bool, depth), self.expression(wanted, depth)),
            _ => {
                let name = self.choices.pick(&NAMES);
                self.variables.push((name, Type::Any));
                let body = self.expression(wanted, depth);
                self.variables.truncate(outer);
                format!("({name}: {body}) {}", self.operand(Type::Any, depth))
            }
        };
        self.variables.truncate(outer);
        text
    }
}

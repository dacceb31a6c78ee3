//! `osbuild repl`: expressions typed and answered.

mod editor;
mod input;
mod resume;

use std::path::PathBuf;
use std::rc::Rc;

use osbuild_core::build::sandbox::catch_interrupts;
use osbuild_core::instantiate::interactive::{Interactive, WHOLE};
use osbuild_core::instantiate::{SessionOptions, Source};

use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};
use crate::realiser::Place;
use crate::session::{self, FunctionArguments};
use crate::workshop::BuildLimits;
use input::{Input, Line};
use resume::Handover;

/// Evaluate expressions as you type them
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Begin with the attributes of these: files, folders, variants, packages
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Where <x> is looked up: DIR or NAME=DIR; before NIX_PATH
    #[arg(long = "include", short = 'I', value_name = "PLACE")]
    search_path: Vec<String>,
    #[command(flatten)]
    arguments: FunctionArguments,
    /// Start anew when values take more memory than this: bytes, or with K, M, G
    /// [default: three quarters of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = super::eval::memory_size)]
    max_memory: Option<usize>,
    /// Go on with a conversation that ran out of memory
    #[arg(long, hide = true, value_name = "FILE")]
    resume: Option<PathBuf>,
}

pub(crate) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let directory = session::working_directory()?;
    // The second Ctrl-C in a row would end the process, were it not armed anew
    // for each line.
    let interrupted = catch_interrupts();
    let store = config::open_store()?;
    let options = session::impure(&arguments.search_path);
    let place = Place::open(store, common.verbosity(), BuildLimits::default());
    let options = SessionOptions {
        import_from_derivation: place.import_from_derivation,
        memory_ceiling: arguments.max_memory,
        ..options
    };
    let interactive = Interactive::new(options, place.sink, directory, interrupted);
    let conversation = std::cell::RefCell::new(interactive);
    let resumed = arguments.resume.as_deref().map(Handover::read).transpose()?;
    let mut repl = Repl {
        conversation: Rc::new(conversation),
        loaded: Vec::new(),
        lines: Vec::new(),
        tells: resumed.is_none(),
        common,
    };
    if !arguments.targets.is_empty() {
        repl.loaded = arguments.targets.clone();
        repl.reload()?;
    }
    for (name, text) in arguments.arguments.expressions() {
        repl.conversation.borrow_mut().bind(&format!("{name} = {text}"))?;
    }
    let mut input = Input::open(&repl.conversation, arguments.resume.is_some())?;
    if let Some(Handover { lines, unanswered }) = resumed {
        input.put_back(unanswered);
        let mut lines = lines.into_iter();
        while let Some(line) = lines.next() {
            catch_interrupts();
            if let Err(failure) = repl.answer(&line) {
                failure.print();
                if failure.is_out_of_memory() {
                    // Not with this line again, or it would never end.
                    repl.lines.extend(lines);
                    return Err(repl.handover(&input).go_on());
                }
            }
        }
        repl.tells = true;
    }
    loop {
        let line = match input.next() {
            Line::Text(line) => line,
            Line::Discarded => continue,
            Line::End => return Ok(()),
        };
        catch_interrupts();
        match repl.answer(line.trim()) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // Whatever went wrong, the conversation goes on.
            Err(failure) => {
                failure.print();
                if failure.is_out_of_memory() && repl.conversation.borrow_mut().is_used_up() {
                    eprintln!("hint: the memory is given back, and variables are evaluated anew");
                    repl.handover(&input).go_on().print();
                }
            }
        }
    }
}

struct Repl<'a> {
    conversation: Rc<std::cell::RefCell<Interactive>>,
    /// What `:r` loads again.
    loaded: Vec<String>,
    /// Lines that made the variables, in order.
    lines: Vec<String>,
    /// Whether it says what it did.
    tells: bool,
    common: &'a CommonArguments,
}

const HELP: &str = "\
  EXPRESSION         show its value, members one level deep
  NAME = EXPRESSION  make a variable
  :p EXPRESSION      show the whole value        (:print)
  :t EXPRESSION      show the kind of the value  (:type)
  :doc BUILTIN       what a built-in function does
  :a EXPRESSION      make variables of a set's attributes  (:add)
  :l TARGET          make variables of what a file, folder, variant or package holds  (:load)
  :r                 forget all variables, load again      (:reload)
  :b EXPRESSION      build a derivation, print where its outputs are  (:build)
  :q                 leave, as Ctrl-D does       (:quit)
An unfinished expression goes on in the next line. Ctrl-C ends an evaluation.
When memory is used up it is given back, and variables are evaluated anew.
";

impl Repl<'_> {
    /// Answers a line; whether more may follow.
    fn answer(&mut self, line: &str) -> Result<bool, Failure> {
        let (command, rest) = match line.strip_prefix(':') {
            Some(command) => command.split_once(char::is_whitespace).unwrap_or((command, "")),
            None => ("", line),
        };
        let rest = rest.trim();
        if rest.is_empty()
            && matches!(
                command,
                "p" | "print" | "t" | "type" | "doc" | "a" | "add" | "b" | "build" | "l" | "load"
            )
        {
            return Err(Failure::usage(
                &format!(":{command} needs something to work on"),
                ":? lists what can be typed",
            ));
        }
        let mut conversation = self.conversation.borrow_mut();
        match command {
            "" if rest.is_empty() || input::is_comment(rest) => {}
            "" if input::is_binding(rest) => {
                conversation.bind(rest)?;
                self.lines.push(line.to_owned());
            }
            "" => println!("{}", conversation.show(rest, 1)?),
            "p" | "print" => println!("{}", conversation.show(rest, WHOLE)?),
            "t" | "type" => println!("{}", conversation.kind(rest)?),
            "doc" => match conversation.describe(rest)? {
                Some(text) => println!("{text}"),
                None => {
                    let message = format!("there is no documentation of '{rest}'");
                    return Err(Failure::new(Exit::Failed, &message)
                        .with_hint("built-in functions have it: `:doc builtins.map`"));
                }
            },
            "a" | "add" => {
                let count = conversation.add(rest)?;
                self.lines.push(line.to_owned());
                self.added(count);
            }
            "l" | "load" => {
                drop(conversation);
                self.loaded.push(rest.to_owned());
                if let Err(failure) = self.load(rest) {
                    self.loaded.pop();
                    return Err(failure);
                }
                self.lines.push(line.to_owned());
            }
            "r" | "reload" => {
                drop(conversation);
                self.reload()?;
            }
            "b" | "build" => {
                let found = conversation.derivations(rest)?;
                drop(conversation);
                self.build(&found)?;
            }
            "?" | "h" | "help" => print!("{HELP}"),
            "q" | "quit" => return Ok(false),
            other => {
                return Err(Failure::usage(
                    &format!("unknown command ':{other}'"),
                    ":? lists what can be typed",
                ));
            }
        }
        Ok(true)
    }

    fn handover(&self, input: &Input) -> Handover {
        Handover { lines: self.lines.clone(), unanswered: input.unanswered() }
    }

    fn added(&self, count: usize) {
        if self.tells {
            let plural = if count == 1 { "" } else { "s" };
            println!("added {count} variable{plural}");
        }
    }

    fn reload(&mut self) -> Result<(), Failure> {
        self.conversation.borrow_mut().clear()?;
        self.lines.retain(|line| line.starts_with(":l"));
        for word in self.loaded.clone() {
            self.load(&word)?;
        }
        Ok(())
    }

    fn load(&mut self, word: &str) -> Result<(), Failure> {
        let mut conversation = self.conversation.borrow_mut();
        let looked_up = word.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
        let (source, attr_path) = match looked_up {
            Some(name) => (Source::File(conversation.session().find_file(name)?), String::new()),
            None => {
                let file = PathBuf::from(word);
                if file.join("default.nix").is_file() && !file.join("variant.nix").is_file() {
                    (Source::File(session::working_directory()?.join(file)), String::new())
                } else {
                    let (targets, project) = session::targets(&[word.to_owned()], self.common)?;
                    targets[0].source(conversation.session(), project.as_ref())?
                }
            }
        };
        let count = conversation.load(&source, &attr_path)?;
        drop(conversation);
        self.added(count);
        Ok(())
    }

    fn build(&self, found: &[osbuild_core::instantiate::nix::Found]) -> Result<(), Failure> {
        let store = config::open_store()?;
        let _held = store.hold_objects()?;
        let words: Vec<String> =
            found.iter().map(|found| store.store_dir().display(&found.drv_path)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for path in super::build::make(&store, &words, self.common)? {
            println!("{}", path.display());
        }
        Ok(())
    }
}

/// The conversation, shared with what completes words.
type Shared = Rc<std::cell::RefCell<Interactive>>;

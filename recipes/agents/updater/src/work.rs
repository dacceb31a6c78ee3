//! What is done: looking what there is, installing it, and what an operator
//! orders.

use std::path::Path;

use osbuild_boot::slot::State;
use osbuild_format::release::Release as Manifest;
use osbuild_install::orders::{self, Rearmed};
use osbuild_install::{Bars, Examined, Preflight, loader};
use osbuild_sys::console::say;
use osbuild_sys::{block, private};
use osbuild_transfer::http::Http;
use osbuild_update::decide;
use osbuild_update::documents::Release;
use osbuild_update::names::{self, Line};

use crate::WHO;
use crate::config::Config;
use crate::disk::{Remembered, Running, WholeDisk};
use crate::fetch::{self, Named, Ways};
use crate::imported::Imported;
use crate::node::{Facts, note_loader_replaced};
use crate::repository::{Repository, all_of, http};
use crate::status::Status;

/// One who works at a time.
pub struct Work<'w> {
    pub facts: &'w Facts,
    pub status: &'w Status,
    pub imported: &'w Imported,
}

/// Which release is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whichever is next if none.
    pub version: Option<String>,
    /// Does not wait for its turn.
    pub now: bool,
    /// Also if it is below the floor or was refused here.
    pub force: bool,
}

type Result<T> = std::result::Result<T, String>;

impl Work<'_> {
    /// Looks what there is.
    ///
    /// # Errors
    /// No repository can be believed.
    pub fn check(&self, config: &Config, wanted: &Wanted) -> Result<()> {
        let http = http()?;
        let (_, repository) = self.open(&http, config)?;
        self.judge(config, &repository, wanted);
        Ok(())
    }

    /// Looks, and installs what is next; the version that the next start tries.
    ///
    /// # Errors
    /// What kept it from being installed; the slot that runs is the next to be
    /// started then, and what came is not fetched again.
    pub fn install(&self, config: &Config, wanted: &Wanted) -> Result<Option<String>> {
        let http = http()?;
        let (line, mut repository) = self.open(&http, config)?;
        self.install_next(config, &line, &mut repository, wanted)
    }

    /// What is due without an order: a release, if the settings say so, or else
    /// the loader of the one that runs. Both in one start are not allowed, and a
    /// release that is ready is worth more.
    ///
    /// # Errors
    /// As [`Work::install`].
    pub fn by_itself(&self, config: &Config) -> Result<Option<String>> {
        let http = http()?;
        if config.places.is_empty() && self.imported.kept()?.is_none() {
            return Ok(None);
        }
        let (line, mut repository) = self.open(&http, config)?;
        let wanted = Wanted::default();
        if self.judge(config, &repository, &wanted).is_some() {
            if config.settings.automatic {
                return self.install_next(config, &line, &mut repository, &wanted);
            }
        } else if let Err(reason) = self.replace_loader(&line, &mut repository) {
            say(WHO, 4, &format!("the boot loader stays as it is: {reason}"));
        } else if !repository.archive_is_of_use(&line, self.facts.rollback_index)?
            && self.imported.forget()?
        {
            say(WHO, 6, "the imported archive has nothing newer than what runs: it was removed");
            self.status.imported(self.imported.told());
        }
        Ok(None)
    }

    fn open<'h>(&self, http: &'h Http, config: &Config) -> Result<(Line, Repository<'h>)> {
        self.status.checks();
        let line = self.facts.line(&config.channel)?;
        // One that cannot be read is as good as none; the status says so.
        let archive = self.imported.kept().unwrap_or_default();
        let private = Path::new(private::MOUNT);
        let repository = Repository::open(http, config, archive.as_ref(), &line, private)?;
        Ok((line, repository))
    }

    /// Takes an archive in place of the one before, if it can be believed.
    ///
    /// # Errors
    /// It cannot: then the one before stays.
    pub fn import(&self, config: &Config, number: u64, size: u64) -> Result<()> {
        let archive = self.imported.finish(number, size)?;
        let http = http()?;
        let line = self.facts.line(&config.channel)?;
        let private = Path::new(private::MOUNT);
        let repository =
            Repository::of_archive(&http, config, &archive, &line, private).inspect_err(|_| {
                self.imported.refuse();
            })?;
        self.imported.keep()?;
        self.status.imported(self.imported.told());
        self.judge(config, &repository, &Wanted::default());
        say(WHO, 5, &format!("an archive of the repository was imported ({size} bytes)"));
        Ok(())
    }

    /// # Errors
    /// There is none, or it cannot be removed.
    pub fn forget(&self) -> Result<()> {
        let was_there = self.imported.forget()?;
        self.status.imported(self.imported.told());
        if was_there { Ok(()) } else { Err("no archive was imported".to_owned()) }
    }

    fn judge<'r>(
        &self,
        config: &Config,
        repository: &'r Repository<'_>,
        wanted: &Wanted,
    ) -> Option<&'r Release> {
        let mut wishes = config.wishes(wanted.now);
        wishes.version_lock = wanted.version.clone().or(wishes.version_lock);
        let node = self.facts.decide(wishes, repository.rebuilt.clone());
        let judged = decide::judge(&node, &repository.catalogue, &repository.rollout, repository.now);
        let chosen = match &wanted.version {
            // What is ordered by name and by force is held against the record
            // where it is installed; by force nobody has made it again.
            Some(version) if wanted.force => {
                repository.catalogue.of_version(version).filter(|release| node.may_trust(release))
            }
            _ => decide::choose(&judged),
        };
        self.status.found(repository.now, &judged, chosen.map(|release| release.version.as_str()));
        chosen
    }

    fn install_next(
        &self,
        config: &Config,
        line: &Line,
        repository: &mut Repository<'_>,
        wanted: &Wanted,
    ) -> Result<Option<String>> {
        let Some(release) = self.judge(config, repository, wanted).cloned() else { return Ok(None) };
        if self.facts.next_start()?.is_some_and(|next| next.root_hash == release.root_hash) {
            return Ok(Some(release.version));
        }
        self.status.installs(&release.version);
        let manifest = repository.manifest(line, &release)?;
        self.write(repository, line, &release, &manifest, wanted.force)?;
        say(WHO, 5, &format!("{} is installed; the next start tries it", release.version));
        Ok(Some(release.version))
    }

    fn write(
        &self,
        repository: &mut Repository<'_>,
        line: &Line,
        release: &Release,
        manifest: &Manifest,
        force: bool,
    ) -> Result<()> {
        let from = self.facts.version.clone();
        let root = self.ways(repository, line, release, "root.squashfs", "root", &from)?;
        let tree = self.ways(repository, line, release, "root.verity", "tree", &from)?;
        let kernel = self.ways(repository, line, release, "boot.efi", "boot", &from)?;
        let running = Running::open(&self.facts.disk).map_err(|error| error.to_string())?;
        let old_bytes = osbuild_sys::ioctl::device_size(&running.root).map_err(|error| error.to_string())?;
        let mut disk = WholeDisk::open(&self.facts.disk).map_err(|error| error.to_string())?;

        let bars = if force { Bars::OverrideByOperator } else { Bars::Heed };
        let mut emptied = {
            let node = self.facts.node()?;
            let table = self.facts.disk.read_table().map_err(|error| error.to_string())?.table;
            let record = private::read();
            let _turn = block::table_lock().map_err(|error| error.to_string())?;
            let preflight = Preflight { node: &node, table: &table, record: &record };
            let plan = preflight
                .check(manifest, bars)
                .map_err(|refusal| format!("{refusal}; {}", refusal.remedy()))?;
            plan.begin(&mut disk).map_err(|error| all_of(&error))?
        };
        let bytes = match emptied.staged_hash_tree().map_err(|error| all_of(&error))? {
            Some(bytes) => bytes,
            None => fetch::tree(repository, &tree, &running.tree, manifest.hash.size, self.status)?,
        };
        let mut writing = emptied.hash_tree(bytes).map_err(|error| all_of(&error))?;
        fetch::root(repository, &root, &running.root, old_bytes, &mut writing, self.status)?;
        fetch::kernel(repository, &kernel, &running.kernel, &mut writing, self.status)?;
        let verified = writing.finish().map_err(|error| all_of(&error))?;
        let _turn = block::table_lock().map_err(|error| error.to_string())?;
        verified.activate(&mut Remembered).map_err(|error| all_of(&error))?;
        Ok(())
    }

    /// The targets by which a part can be had.
    fn ways(
        &self,
        repository: &mut Repository<'_>,
        line: &Line,
        release: &Release,
        file: &str,
        short: &str,
        from: &str,
    ) -> Result<Ways> {
        let whole = repository.name(line, release, file);
        let delta = repository.name(line, release, &names::delta(short, from));
        let chunks = repository.name(line, release, &names::chunks(short));
        let mut named = |name: String| -> Result<Option<Named>> {
            let target = repository.target(&name)?.filter(|target| repository.may_have(&name, target));
            Ok(target.map(|target| Named { name, target }))
        };
        let whole = named(whole.clone())?.ok_or(format!("there is no {whole} to be had"))?;
        Ok(Ways { whole, delta: named(delta)?, chunks: named(chunks)? })
    }

    /// O5.
    ///
    /// # Errors
    /// Nothing is activated.
    pub fn cancel(&self) -> Result<()> {
        self.order(|disk, node| orders::cancel(disk, &mut Remembered, node).map(|_| ()))
    }

    /// O6.
    ///
    /// # Errors
    /// There is nothing good to go back to.
    pub fn roll_back(&self, force: bool) -> Result<()> {
        let bars = if force { Bars::OverrideByOperator } else { Bars::Heed };
        let examined = self.read_other()?;
        self.order(|disk, node| orders::roll_back(disk, &mut Remembered, node, bars, examined).map(|_| ()))
    }

    /// # Errors
    /// PRIVATE cannot be written.
    pub fn lift_hold(&self) -> Result<bool> {
        let held = orders::lift_hold(&mut Remembered).map_err(|error| all_of(&error))?;
        Ok(held.is_some())
    }

    /// Whether the next start runs what was installed or gone back to: else somebody
    /// who may only order updates could restart a node for no reason, again and
    /// again.
    ///
    /// # Errors
    /// It would start the same again.
    pub fn may_restart(&self) -> Result<()> {
        match self.facts.next_start()? {
            Some(_) => Ok(()),
            None => Err("nothing is installed that the next start would run".to_owned()),
        }
    }

    /// After whatever was done.
    pub fn rests(&self) {
        self.status.rests(self.facts.next_start().unwrap_or_else(|reason| {
            say(WHO, 4, &reason);
            None
        }));
    }

    /// O10, once a start: a slot that was good and used up its starts.
    pub fn rearm_if_due(&self) {
        let others = self.facts.disk.read_table().ok().and_then(|loaded| loaded.table.slots());
        if others.map(|pair| pair.of(self.facts.disk.slot.other()).state()) != Some(State::Spent) {
            return;
        }
        let mut outcome = None;
        let ordered = self.read_other().and_then(|examined| {
            self.order(|disk, node| {
                outcome = Some(orders::rearm(disk, &mut Remembered, node, examined)?);
                Ok(())
            })
        });
        match (ordered, outcome) {
            (Ok(()), Some(Rearmed::Trial(_))) => {
                say(WHO, 5, "the other slot is whole although its starts failed: it gets one more trial");
            }
            (Ok(()), _) => say(WHO, 4, "the other slot is damaged: it was emptied, to be installed anew"),
            (Err(reason), _) => say(WHO, 6, &format!("the other slot stays as it is: {reason}")),
        }
    }

    /// All of the other slot. It takes a while, and nobody waits for the table
    /// meanwhile.
    fn read_other(&self) -> Result<Examined> {
        let mut disk = WholeDisk::open(&self.facts.disk).map_err(|error| error.to_string())?;
        let examined = Examined::read(&mut disk, self.facts.disk.slot.other());
        let examined = examined.map_err(|error| all_of(&error))?;
        let table = self.facts.disk.read_table().map_err(|error| error.to_string())?.table;
        if let Some(root_hash) = table.root_hash(examined.slot()) {
            self.status.scrubbed.other_was_read(&examined, root_hash);
        }
        Ok(examined)
    }

    fn order(
        &self,
        order: impl FnOnce(&mut WholeDisk, &osbuild_install::Node) -> osbuild_install::Result<()>,
    ) -> Result<()> {
        let mut disk = WholeDisk::open(&self.facts.disk).map_err(|error| error.to_string())?;
        let node = self.facts.node()?;
        let _turn = block::table_lock().map_err(|error| error.to_string())?;
        order(&mut disk, &node).map_err(|error| all_of(&error))
    }

    /// The loader of the release that runs, if the disk has another one.
    fn replace_loader(&self, line: &Line, repository: &mut Repository<'_>) -> Result<()> {
        let node = self.facts.node()?;
        if !node.running.committed || node.since_start.slot_activated || node.since_start.loader_replaced {
            return Ok(());
        }
        let own = self.facts.root_hash_text();
        let release = repository.catalogue.releases.iter().find(|release| release.root_hash == own).cloned();
        let Some(release) = release else { return Ok(()) };
        let manifest = repository.manifest(line, &release)?;
        let mut disk = WholeDisk::open(&self.facts.disk).map_err(|error| error.to_string())?;
        if loader::is_current(&mut disk, &manifest.loader).map_err(|error| all_of(&error))? {
            return Ok(());
        }
        let name = repository.name(line, &release, "loader.efi");
        let bytes = repository.small(&name)?;
        // Before it happens: a start that is cut in between is another start.
        note_loader_replaced().map_err(|error| error.to_string())?;
        loader::replace(&mut disk, &node, &bytes, &manifest.loader).map_err(|error| all_of(&error))?;
        say(WHO, 5, &format!("the boot loader is now that of {}", release.version));
        self.status.loader(format!("replaced by that of {}", release.version));
        Ok(())
    }
}

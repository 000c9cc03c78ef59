//! A file system in memory that fails and loses power on demand, for tests of the engine.
//!
//! It keeps apart what was written and what was synced, for contents and for names. At a chosen
//! operation it begins to fail, or fails once, or is full; a loss of power gives another file system that has
//! everything synced, and of the rest what chance left: whole writes, parts of them, or nothing.
//! Clones share one file system.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::backend::{Backend, BackendFile, Mode};
use crate::wire::{index, len_u64};

/// What of the unsynced survives a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    /// Nothing.
    Nothing,
    /// All of it, as after the end of the process alone.
    Everything,
    /// What chance of this seed leaves, down to parts of a write.
    Chance(u64),
}

/// A file system in memory.
#[derive(Clone, Default)]
pub struct FaultyBackend {
    world: Arc<Mutex<World>>,
}

#[derive(Default)]
struct World {
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    dirs: BTreeSet<PathBuf>,
    synced_dirs: BTreeSet<PathBuf>,
    locked: BTreeSet<PathBuf>,
    operations: u64,
    fail_from: Option<(u64, ErrorKind)>,
    fail_once: Option<(u64, ErrorKind)>,
    fail_next_sync: Option<(String, ErrorKind)>,
    bytes_max: Option<u64>,
    free: Option<u64>,
}

#[derive(Clone, Default)]
struct Content {
    written: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => {
                let (from, end) = (index(*offset), index(*offset) + bytes.len());
                if to.len() < end {
                    to.resize(end, 0);
                }
                if let Some(place) = to.get_mut(from..end) {
                    place.copy_from_slice(bytes);
                }
            }
            Self::Length(len) => to.resize(index(*len), 0),
        }
    }
}

impl World {
    /// Counts an operation that changes something, and fails where it is to fail.
    fn operation(&mut self) -> io::Result<()> {
        self.operations += 1;
        match (self.fail_from, self.fail_once) {
            (Some((from, kind)), _) if self.operations >= from => Err(kind.into()),
            (_, Some((number, kind))) if self.operations == number => Err(kind.into()),
            _ => Ok(()),
        }
    }

    /// Fails where the next sync of this thread is to fail.
    fn sync_operation(&mut self) -> io::Result<()> {
        self.operation()?;
        let thread = std::thread::current();
        let fails = |(of, _): &mut (String, ErrorKind)| thread.name() == Some(of);
        match self.fail_next_sync.take_if(fails) {
            Some((_, kind)) => Err(kind.into()),
            None => Ok(()),
        }
    }

    fn content(&mut self, inode: usize) -> io::Result<&mut Content> {
        self.contents
            .get_mut(inode)
            .ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Fails where so many bytes more would not fit.
    fn room_for(&self, more: u64) -> io::Result<()> {
        let held: u64 = self
            .names
            .values()
            .filter_map(|inode| self.contents.get(*inode))
            .map(|content| len_u64(content.written.len()))
            .sum();
        match self.bytes_max {
            Some(max) if held + more > max => Err(ErrorKind::StorageFull.into()),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether a folder is there from the beginning.
fn is_root(dir: &Path) -> bool {
    dir.parent().is_none()
}

impl FaultyBackend {
    /// An empty file system.
    pub fn new() -> Self {
        Self::default()
    }

    /// Operations so far that changed something, or tried to.
    pub fn operations(&self) -> u64 {
        self.world.lock().operations
    }

    /// Lets every operation from the `number`th on fail this way, counted from the beginning.
    pub fn fail_from(&self, number: u64, kind: ErrorKind) {
        self.world.lock().fail_from = Some((number, kind));
    }

    /// Lets the `number`th operation fail this way, counted from the beginning, and those after it
    /// succeed again.
    pub fn fail_once(&self, number: u64, kind: ErrorKind) {
        self.world.lock().fail_once = Some((number, kind));
    }

    /// Lets the next sync of the thread of this name fail this way, and those after it succeed again.
    pub fn fail_next_sync(&self, thread: &str, kind: ErrorKind) {
        self.world.lock().fail_next_sync = Some((thread.to_owned(), kind));
    }

    /// Bounds the bytes of all files; none lifts the bound.
    pub fn set_bytes_max(&self, bytes: Option<u64>) {
        self.world.lock().bytes_max = bytes;
    }

    /// What `free_bytes` answers; none is without end.
    pub fn set_free(&self, bytes: Option<u64>) {
        self.world.lock().free = bytes;
    }

    /// The file system as it is after a loss of power now. This one goes on as it was.
    #[must_use]
    pub fn power_loss(&self, survives: Survives) -> Self {
        let world = self.world.lock();
        let mut chance = Chance(match survives {
            Survives::Chance(seed) => seed.wrapping_mul(2).wrapping_add(1),
            Survives::Nothing | Survives::Everything => 1,
        });
        let contents = world
            .contents
            .iter()
            .map(|content| {
                let survived = match survives {
                    Survives::Nothing => content.synced.clone(),
                    Survives::Everything => content.written.clone(),
                    Survives::Chance(_) => chance.of(content),
                };
                Content {
                    written: survived.clone(),
                    synced: survived,
                    unsynced: Vec::new(),
                }
            })
            .collect();
        let mut names = match survives {
            Survives::Nothing => world.synced_names.clone(),
            Survives::Chance(_) if chance.next(2) == 0 => world.synced_names.clone(),
            Survives::Chance(_) | Survives::Everything => world.names.clone(),
        };
        let mut dirs = match survives {
            Survives::Nothing => world.synced_dirs.clone(),
            Survives::Chance(_) if chance.next(2) == 0 => world.synced_dirs.clone(),
            Survives::Chance(_) | Survives::Everything => world.dirs.clone(),
        };
        // What a lost folder held is lost with it.
        let left = dirs.clone();
        let reached = |path: &Path| {
            path.ancestors()
                .skip(1)
                .all(|a| is_root(a) || left.contains(a))
        };
        dirs.retain(|dir| reached(dir));
        names.retain(|path, _| reached(path));
        let world = World {
            contents,
            synced_names: names.clone(),
            names,
            synced_dirs: dirs.clone(),
            dirs,
            ..World::default()
        };
        Self {
            world: Arc::new(Mutex::new(world)),
        }
    }

    /// The names and contents of all files, as written.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let world = self.world.lock();
        let content = |inode: usize| world.contents.get(inode).map(|c| c.written.clone());
        world
            .names
            .iter()
            .filter_map(|(path, inode)| Some((path.clone(), content(*inode)?)))
            .collect()
    }

    /// Puts a file there, synced like the folders above it, in place of one that may exist.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut world = self.world.lock();
        for dir in path.ancestors().skip(1).filter(|dir| !is_root(dir)) {
            world.dirs.insert(dir.to_owned());
            world.synced_dirs.insert(dir.to_owned());
        }
        let inode = world.contents.len();
        world.contents.push(Content {
            written: bytes.clone(),
            synced: bytes,
            unsynced: Vec::new(),
        });
        world.names.insert(path.to_owned(), inode);
        world.synced_names.insert(path.to_owned(), inode);
    }
}

/// Small reproducible chance (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below.max(1)
    }

    /// What remains of a content: each unsynced change whole, in part, or not.
    fn of(&mut self, content: &Content) -> Vec<u8> {
        let mut remains = content.synced.clone();
        for change in &content.unsynced {
            match (self.next(4), change) {
                (0, _) => {}
                (1, Change::Write(offset, bytes)) => {
                    let cut = index(self.next(len_u64(bytes.len()) + 1));
                    let (before, after) = bytes.split_at(cut);
                    if self.next(2) == 0 {
                        Change::Write(*offset, before.to_vec()).apply(&mut remains);
                    } else {
                        let offset = offset + len_u64(cut);
                        Change::Write(offset, after.to_vec()).apply(&mut remains);
                    }
                }
                (_, change) => change.apply(&mut remains),
            }
        }
        remains
    }
}

struct FaultyFile {
    world: Arc<Mutex<World>>,
    inode: usize,
}

impl BackendFile for FaultyFile {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.world.lock();
        let written = &world.content(self.inode)?.written;
        let rest = written.get(index(offset)..).unwrap_or_default();
        let read = rest.len().min(out.len());
        if let (Some(place), Some(from)) = (out.get_mut(..read), rest.get(..read)) {
            place.copy_from_slice(from);
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.world.lock();
        world.operation()?;
        let held = len_u64(world.content(self.inode)?.written.len());
        let end = offset + len_u64(bytes.len());
        world.room_for(end.saturating_sub(held))?;
        let content = world.content(self.inode)?;
        let change = Change::Write(offset, bytes.to_vec());
        change.apply(&mut content.written);
        content.unsynced.push(change);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.world.lock();
        let synced = world.sync_operation();
        let content = world.content(self.inode)?;
        if let Err(error) = synced {
            // As a system does: it tells once, and takes the pages for written from then on.
            content.unsynced.clear();
            return Err(error);
        }
        for change in std::mem::take(&mut content.unsynced) {
            change.apply(&mut content.synced);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.world.lock();
        world.operation()?;
        let content = world.content(self.inode)?;
        content.written.resize(index(len), 0);
        content.unsynced.push(Change::Length(len));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(len_u64(
            self.world.lock().content(self.inode)?.written.len(),
        ))
    }
}

impl Backend for FaultyBackend {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn BackendFile>> {
        let mut world = self.world.lock();
        let inode = match (world.names.get(path), mode) {
            (Some(inode), Mode::Read | Mode::Write) => *inode,
            (None, Mode::Read | Mode::Write) => return Err(ErrorKind::NotFound.into()),
            (_, Mode::Create) => {
                world.operation()?;
                let inode = world.contents.len();
                world.contents.push(Content::default());
                world.names.insert(path.to_owned(), inode);
                inode
            }
        };
        Ok(Arc::new(FaultyFile {
            world: Arc::clone(&self.world),
            inode,
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let world = self.world.lock();
        if !world.dirs.contains(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let in_dir = world.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(in_dir
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        if is_root(dir) || world.dirs.contains(dir) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let above = dir.parent().unwrap_or(dir);
        if !is_root(above) && !world.dirs.contains(above) {
            return Err(ErrorKind::NotFound.into());
        }
        world.operation()?;
        world.dirs.insert(dir.to_owned());
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.operation()?;
        let inode = world.names.remove(from).ok_or(ErrorKind::NotFound)?;
        world.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.operation()?;
        world
            .names
            .remove(path)
            .map(|_| ())
            .ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        if !is_root(dir) && !world.dirs.contains(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        world.sync_operation()?;
        let in_dir = |path: &&PathBuf| path.parent() == Some(dir);
        let made: Vec<_> = world.dirs.iter().filter(in_dir).cloned().collect();
        world.synced_dirs.extend(made);
        world
            .synced_names
            .retain(|path, _| path.parent() != Some(dir));
        let synced: Vec<_> = world
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir))
            .map(|(path, inode)| (path.clone(), *inode))
            .collect();
        world.synced_names.extend(synced);
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.world.lock().free.unwrap_or(u64::MAX))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        if self.world.lock().locked.insert(path.to_owned()) {
            Ok(Box::new(FaultyLock {
                world: Arc::clone(&self.world),
                path: path.to_owned(),
            }))
        } else {
            Err(io::Error::new(
                ErrorKind::WouldBlock,
                std::process::id().to_string(),
            ))
        }
    }
}

struct FaultyLock {
    world: Arc<Mutex<World>>,
    path: PathBuf,
}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        self.world.lock().locked.remove(&self.path);
    }
}

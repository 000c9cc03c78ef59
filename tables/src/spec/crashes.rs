//! A file on a disk that keeps what was synced, and of the rest whatever it likes; and one that fails on the way.

use std::io;
use std::sync::Arc;

use event_store::Position;
use parking_lot::Mutex;
use proptest::prelude::*;
use redb::StorageBackend;

use super::*;
use crate::ViewFile;
use crate::file::Synced;
use crate::overlay::Overlay;

const NAMES: &[&str] = &["rows"];

#[derive(Clone, Debug)]
enum Unsynced {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug, Default)]
struct State {
    /// What a read finds.
    seen: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// Operations until every further one fails.
    fails_after: Option<u64>,
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        match &mut self.fails_after {
            Some(0) => Err(io::Error::other("the disk is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn carry_out(bytes: &mut Vec<u8>, change: &Unsynced) {
    match change {
        Unsynced::Length(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
        Unsynced::Write(offset, data) => {
            let offset = usize::try_from(*offset).unwrap();
            if bytes.len() < offset + data.len() {
                bytes.resize(offset + data.len(), 0);
            }
            bytes[offset..offset + data.len()].copy_from_slice(data);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn change(&self, change: Unsynced) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        carry_out(&mut state.seen, &change);
        state.unsynced.push(change);
        Ok(())
    }

    /// What is there after a loss of power, by one whim of many: of each write since the last sync all, nothing, or a
    /// part, as `survives` says.
    fn after_a_crash(&self, survives: &[u8]) -> Self {
        let state = self.0.lock();
        let mut bytes = state.synced.clone();
        let whims = survives.iter().chain(std::iter::repeat(&0));
        for (change, whim) in state.unsynced.iter().zip(whims) {
            match (change, whim % 4) {
                (Unsynced::Length(_), 1..) | (Unsynced::Write(..), 1) => {
                    carry_out(&mut bytes, change);
                }
                (Unsynced::Write(offset, data), 2) => {
                    let part = data[..data.len() / 2].to_vec();
                    carry_out(&mut bytes, &Unsynced::Write(*offset, part));
                }
                _ => {}
            }
        }
        Self(Arc::new(Mutex::new(State {
            seen: bytes.clone(),
            synced: bytes,
            ..State::default()
        })))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock();
        let offset = usize::try_from(offset).unwrap();
        let found = state
            .seen
            .get(offset..offset + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Unsynced::Length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.synced = state.seen.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Unsynced::Write(offset, data.to_vec()))
    }
}

/// Sixty rows that all tell the position they belong to, and one that is new.
fn fill(overlay: &mut Overlay, position: u64) {
    let mut tx = Tx::new(NAMES, overlay, None);
    for row in 0..60_u64 {
        let value = [position.to_be_bytes().as_slice(), &[7; 200]].concat();
        tx.put("rows", &row.to_be_bytes(), &value).unwrap();
    }
    tx.put(
        "rows",
        &(1_000 + position).to_be_bytes(),
        &position.to_be_bytes(),
    )
    .unwrap();
    overlay.keep(false);
}

/// The position that all rows agree on, which must be the checkpoint's.
fn position_of(file: &ViewFile) -> u64 {
    let reader = file.reader();
    let position = reader.checkpoint().position.0;
    if position > 0 {
        for row in 0..60_u64 {
            let value = reader.get("rows", &row.to_be_bytes()).unwrap().unwrap();
            assert_eq!(value.first_chunk(), Some(&position.to_be_bytes()));
        }
        assert!(
            reader
                .contains("rows", &(1_000 + position).to_be_bytes())
                .unwrap()
        );
    }
    assert_eq!(
        reader.count("rows").unwrap(),
        if position > 0 { 60 + position } else { 0 }
    );
    position
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_crash_goes_back_to_the_last_synced_commit(
        commits in proptest::collection::vec(any::<bool>(), 1..12),
        survives: Vec<u8>,
    ) {
        let disk = Disk::default();
        let mut file = ViewFile::on(disk.clone(), NAMES, LOG).unwrap();
        let mut overlay = Overlay::new(1);
        let mut durable = 0;
        for (position, synced) in (1..).zip(commits) {
            fill(&mut overlay, position);
            let synced = if synced { Synced::Yes } else { Synced::No };
            file.commit(&mut overlay, Position(position), synced).unwrap();
            assert_eq!(position_of(&file), position);
            if synced == Synced::Yes {
                durable = position;
            }
        }
        let mut file = ViewFile::again_on(disk.after_a_crash(&survives), NAMES, LOG).unwrap().unwrap();
        assert_eq!(position_of(&file), durable);
        // It catches up, over what was lost.
        for position in durable + 1..=durable + 3 {
            fill(&mut overlay, position);
            file.commit(&mut overlay, Position(position), Synced::No).unwrap();
            assert_eq!(position_of(&file), position);
        }
    }

    #[test]
    fn a_failing_disk_loses_no_more_than_a_crash(fails_after in 0..400_u64, survives: Vec<u8>) {
        let disk = Disk::default();
        let mut file = ViewFile::on(disk.clone(), NAMES, LOG).unwrap();
        disk.0.lock().fails_after = Some(fails_after);
        let mut overlay = Overlay::new(1);
        let mut durable = 0;
        let mut tried = 0;
        for position in 1..20 {
            fill(&mut overlay, position);
            let synced = if position % 3 == 0 { Synced::Yes } else { Synced::No };
            if synced == Synced::Yes {
                tried = position;
            }
            if file.commit(&mut overlay, Position(position), synced).is_err() {
                break;
            }
            durable = tried;
        }
        let file = ViewFile::again_on(disk.after_a_crash(&survives), NAMES, LOG).unwrap().unwrap();
        let position = position_of(&file);
        prop_assert!(position == durable || position == tried, "{position} is neither {durable} nor {tried}");
    }
}

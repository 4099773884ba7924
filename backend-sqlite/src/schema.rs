//! Making a file what this version needs.

use annalist_core::{Error, LogId};
use rusqlite::{Connection, TransactionBehavior};
use tracing::info;

use crate::error::{self, misconfigured};
use crate::row::Id;

/// The migrations, in order: a file is never edited once it is released. Number `i + 1` is at index `i`.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_tables.sql")];

/// The number that a file must have reached for this version to work with it.
const NEEDED: i32 = MIGRATIONS.len() as i32;

/// The oldest number that works with a file as this version leaves it: what runs beside it may be one version older (C4).
const WORKS_WITH: i32 = 1;

/// What stands in the header of our files: "Anls".
const APPLICATION: i32 = 0x416e_6c73;

/// What a file is.
enum Stage {
    /// Empty: nobody's yet.
    New,
    /// The newest migration, and the oldest that works with it.
    Ours {
        number: i32,
        works_with: i32,
    },
    Foreign,
}

/// Brings a file up to this version where it is not, in one transaction. Processes that do it at once take turns.
pub(crate) fn prepare(connection: &mut Connection) -> Result<(), Error> {
    if let Stage::Ours { number: NEEDED.., works_with: ..=NEEDED } = stage(connection)? {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error::of_file)?;
    // Another process may have been first.
    let done = match stage(&transaction)? {
        Stage::New => 0,
        Stage::Ours { number, works_with: ..=NEEDED } => number,
        stage => return Err(refusal(&stage)),
    };
    for (number, migration) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > done) {
        transaction.execute_batch(migration).map_err(error::of_file)?;
        info!(number, "migrated");
    }
    if done == 0 {
        let id = Id(LogId::new().as_uuid());
        transaction
            .execute("INSERT INTO log (id, works_with) VALUES (?1, 0)", [id])
            .map_err(error::of_file)?;
        transaction.pragma_update(None, "application_id", APPLICATION).map_err(error::of_file)?;
    }
    if done < NEEDED {
        transaction.execute("UPDATE log SET works_with = ?1", [WORKS_WITH]).map_err(error::of_file)?;
        transaction.pragma_update(None, "user_version", NEEDED).map_err(error::of_file)?;
    }
    transaction.commit().map_err(error::of_file)
}

/// Refuses a file that is not of an event store, too old, or so new that this version would harm it.
pub(crate) fn check(connection: &Connection) -> Result<(), Error> {
    match stage(connection)? {
        Stage::Ours { number: NEEDED.., works_with: ..=NEEDED } => Ok(()),
        stage => Err(refusal(&stage)),
    }
}

/// Refuses a file that somebody else made for something else.
pub(crate) fn refuse_foreign(connection: &Connection) -> Result<(), Error> {
    match stage(connection)? {
        Stage::Foreign => Err(refusal(&Stage::Foreign)),
        _ => Ok(()),
    }
}

fn refusal(stage: &Stage) -> Error {
    match stage {
        Stage::New => misconfigured("the file is empty, and not that of an event store"),
        Stage::Foreign => {
            misconfigured("the file is a SQLite database of something else than an event store")
        }
        Stage::Ours { number, .. } if *number > NEEDED => misconfigured(format!(
            "the file is at migration {number}, this version knows {NEEDED}: update this program"
        )),
        Stage::Ours { number, .. } => {
            misconfigured(format!("the file is at migration {number} of {NEEDED}: open the store anew"))
        }
    }
}

/// What a file is now: of one state of it, since others may be making it what it is to be.
fn stage(connection: &Connection) -> Result<Stage, Error> {
    let is_alone = connection.is_autocommit();
    let transaction =
        is_alone.then(|| connection.unchecked_transaction()).transpose().map_err(error::of_file)?;
    let number =
        |text: &str| connection.query_row(text, [], |row| row.get::<_, i32>(0)).map_err(error::of_file);
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let stage = match (number("PRAGMA application_id")?, number("PRAGMA user_version")?) {
        (APPLICATION, reached) => {
            let works_with = number("SELECT works_with FROM log")?;
            Stage::Ours { number: reached, works_with }
        }
        (0, 0) if tables == 0 => Stage::New,
        _ => Stage::Foreign,
    };
    drop(transaction);
    Ok(stage)
}

use std::collections::BTreeMap;
use std::error::Error;
use std::io::ErrorKind;

use annalist::{Position, Query, RecordedEvent, Start};
use serde::{Deserialize, Serialize};

/// What the board cares for, in words of its own: no other type of event, and no field that it does not show.
#[derive(Deserialize)]
enum Seen {
    Lent { to: String },
}

/// How often each has borrowed, and up to where the events are counted in.
#[derive(Serialize, Deserialize)]
struct Board {
    counted: Position,
    loans: BTreeMap<String, u32>,
}

impl Board {
    fn load() -> Result<Self, Box<dyn Error>> {
        match std::fs::read("board.json") {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Self { counted: Position::START, loans: BTreeMap::new() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whole or not at all: the new file takes the place of the old one in one step.
    fn save(&self) -> Result<(), Box<dyn Error>> {
        std::fs::write("board.new", serde_json::to_vec(self)?)?;
        Ok(std::fs::rename("board.new", "board.json")?)
    }

    /// Counts an event in, unless that was done before.
    fn count(&mut self, event: &RecordedEvent) -> Result<(), Box<dyn Error>> {
        if event.position() <= self.counted {
            return Ok(());
        }
        self.counted = event.position();
        if let Some(Seen::Lent { to }) = event.decode()? {
            *self.loans.entry(to).or_default() += 1;
        }
        self.save()?;
        println!("{} {}: {:?}", event.stream(), event.version(), self.loans);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("STORE_URL").unwrap_or_else(|_| "sqlite:lending.db".to_owned());
    let store = annalist::connect(&url).await?;
    let mut board = Board::load()?;

    let mut consumer = store.consumer("board", Query::category("Tool"), Start::BEGINNING).start().await?;
    while let Some(event) = consumer.next().await? {
        board.count(&event)?;
        consumer.done(&event).await?;
    }
    Ok(())
}
